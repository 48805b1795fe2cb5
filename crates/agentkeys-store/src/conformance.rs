//! The contract of the store traits as a test suite, for any implementation to run.
//!
//! Each function is one promise, and takes an empty store. [`conformance!`](crate::conformance!) makes a test of
//! each:
//!
//! ```text
//! agentkeys_store::conformance!(open);
//!
//! /// An empty store, and what must live as long as it does.
//! async fn open() -> (Arc<dyn Store>, TempDir) { … }
//! ```
#![expect(clippy::missing_panics_doc, clippy::unwrap_used, reason = "these are tests")]

pub mod agents;
mod approval;
pub mod audit;
pub mod browser_sign_ins;
pub mod challenges;
pub mod deployment;
pub mod email_sign_ins;
pub mod grants;
pub mod identity_links;
pub mod limits;
pub mod mails;
pub mod purging;
pub mod restores;
mod sample;
pub mod sessions;
pub mod wallet_links;

/// Makes a test of every promise. Takes an `async fn() -> (Arc<dyn Store>, T)`; the `T` is dropped after the test.
///
/// The caller's crate needs `tokio`.
#[macro_export]
macro_rules! conformance {
    ($open:ident) => {
        $crate::conformance! { @$open
            agents {
                an_agent_is_listed_as_it_was_created,
                agents_are_listed_by_name_and_for_their_account_only,
                an_agent_may_have_something_else_and_keeps_its_date,
                granting_the_same_again_changes_nothing,
                an_account_has_no_more_agents_than_it_may,
                of_many_that_create_agents_no_more_than_allowed_do,
                of_many_that_create_one_agent_one_does,
                a_revoked_agent_is_gone,
                revoking_what_is_not_there_is_not_recorded,
                what_an_agent_may_have_is_recorded,
                what_an_agent_may_not_have_is_not_recorded,
                an_agent_ends_at_its_expiry,
                an_entry_for_an_agent_counts_against_its_limits,
                nothing_is_recorded_for_an_agent_after_its_revocation,
            }
            audit {
                entries_are_read_back_in_order_as_they_were_written,
                entries_are_read_in_pages,
                an_empty_record_has_no_entries,
                the_head_is_the_last_entry,
                concurrent_appends_leave_one_unbroken_chain,
                changes_of_every_kind_share_the_chain,
            }
            browser_sign_ins {
                a_browser_is_found_as_it_was_begun,
                a_beginning_brings_its_grant_its_code_and_its_letter,
                a_beginning_is_kept_whole_or_not_at_all,
                of_many_answers_one_is_taken,
                a_provider_does_not_answer_for_an_address,
                an_identity_is_proved_once_after_the_answer,
                a_browser_ends_at_its_expiry_wherever_the_clock_goes,
                nothing_is_decided_before_the_proof,
                a_refusal_is_recorded_and_an_approval_is_not,
                of_many_decisions_one_counts,
                of_many_browsers_about_one_grant_one_decides,
                a_grant_that_is_over_is_not_decided,
                the_right_code_lets_the_browser_decide,
                a_code_for_a_browser_that_is_over_is_over,
                a_code_does_not_answer_for_a_provider,
                a_retired_identity_is_not_proved,
            }
            challenges {
                a_challenge_is_found_by_the_request_and_session_that_asked,
                a_request_id_names_one_challenge_only,
                of_many_right_signatures_one_proves,
                a_used_challenge_is_gone,
                another_session_cannot_answer,
                the_fifth_wrong_signature_ends_a_challenge,
                a_challenge_ends_at_its_expiry_wherever_the_clock_goes,
                a_wallet_that_was_unlinked_is_not_proved,
                of_two_accounts_that_prove_one_wallet_one_does,
                a_wallet_that_is_proved_again_keeps_its_first_proof,
                a_wallet_may_be_proved_by_another_once_it_is_unlinked,
            }
            deployment {
                what_was_pinned_stays,
                of_many_values_pinned_at_once_one_stays,
                pinned_names_are_listed_by_prefix,
                checking_leaves_nothing_behind,
            }
            email_sign_ins {
                a_sign_in_is_found_as_it_was_begun,
                a_request_id_names_one_sign_in_only,
                a_cancelled_sign_in_is_unknown,
                the_right_code_opens_a_session_and_is_recorded,
                of_many_right_codes_one_is_accepted,
                of_many_wrong_codes_five_are_counted,
                the_right_code_after_five_wrong_ones_is_over,
                the_right_code_after_four_wrong_ones_is_accepted,
                right_codes_among_wrong_ones_are_accepted_once_at_most,
                a_code_ends_at_its_expiry_wherever_the_clock_goes,
                an_unknown_request_is_unknown,
                a_refused_code_is_used_up_and_opens_nothing,
                a_refusal_names_the_account_where_there_is_one,
                signing_in_again_opens_the_same_account,
                a_linked_identity_opens_the_account_that_it_is_linked_to,
                a_session_id_that_is_taken_changes_nothing,
                first_sign_ins_at_once_open_one_account,
                a_code_of_one_purpose_is_unknown_to_another,
                a_linking_code_is_taken_once_and_links,
                a_code_that_links_what_is_taken_is_used_up,
                of_two_accounts_that_link_by_code_one_gets_the_identity,
            }
            grants {
                a_grant_is_found_as_it_was_begun,
                a_secret_and_a_user_code_name_one_grant_only,
                a_limited_grant_is_not_kept,
                an_approved_grant_opens_a_session_and_is_recorded,
                an_approved_grant_opens_the_account_that_its_identity_is_linked_to,
                of_many_redemptions_one_opens_a_session,
                what_nobody_approved_opens_nothing,
                a_grant_opens_what_was_approved_and_nothing_else,
                a_session_id_that_is_taken_changes_nothing,
                a_grant_ends_at_its_expiry_wherever_the_clock_goes,
                a_grant_that_was_asked_for_at_its_expiry_is_never_approved,
                an_approved_code_counts_for_a_minute,
                an_approved_code_never_counts_beyond_its_expiry,
                an_identity_that_is_retired_in_between_opens_nothing,
                a_device_is_found_by_its_code_while_it_waits,
                a_device_that_was_looked_for_at_its_expiry_is_never_found,
                every_lookup_counts_against_its_limits,
                asking_too_soon_makes_the_wait_longer_and_it_stays_so,
                a_clock_that_steps_back_slows_a_client_down_once,
                only_what_waits_can_be_asked_for_too_soon,
                of_many_questions_at_once_one_is_in_time,
                of_many_links_by_one_grant_one_is_made,
                a_link_ends_at_its_expiry_wherever_the_clock_goes,
                of_two_accounts_that_link_by_grants_one_gets_the_identity,
            }
            identity_links {
                an_identity_opens_the_account_that_it_is_linked_to,
                an_unknown_identity_opens_nothing,
                linking_again_writes_nothing,
                an_identity_of_another_account_stays_there,
                of_many_accounts_one_gets_the_identity,
                identities_are_listed_oldest_first,
                the_address_that_a_provider_has_is_shown_as_it_was_last,
                a_removed_identity_is_gone_and_recorded,
                what_an_account_does_not_have_is_not_removed,
                the_last_identity_stays,
                of_two_identities_removed_at_once_one_stays,
                a_removed_identity_takes_the_sessions_along_that_it_opened,
                a_removed_identity_may_open_another_account,
                a_retired_anchor_signs_nobody_in,
                a_retired_anchor_is_linked_again_by_its_own_account_only,
                of_many_that_link_a_retired_anchor_again_one_does,
            }
            limits {
                a_limit_is_never_exceeded_by_many_at_once,
                a_limit_refuses_until_its_window_is_over,
                a_limited_entry_is_not_recorded,
                limits_count_together_or_not_at_all,
                the_longest_wait_is_told,
                a_limit_of_none_always_refuses,
                sign_ins_and_entries_share_a_limit,
                a_limited_sign_in_is_not_kept,
                a_limited_answer_changes_nothing,
                every_answer_counts_against_its_limits,
                stepping_the_clock_back_opens_no_limit,
            }
            mails {
                a_letter_is_claimed_as_it_was_queued,
                a_claimed_mail_is_nobody_elses_until_its_lease_is_over,
                of_many_that_claim_one_gets_the_mail,
                the_mail_that_has_been_due_for_longest_goes_first,
                a_delayed_mail_is_due_when_it_was_delayed_to,
                a_removed_mail_is_gone,
                the_id_of_a_mail_is_never_used_again,
                an_expired_mail_is_not_claimed_and_does_not_count,
                what_waits_is_told,
                a_full_queue_keeps_and_counts_nothing,
                the_queue_never_holds_more_than_it_may,
                a_sign_in_that_is_not_kept_queues_nothing,
                a_notice_of_a_sign_in_goes_to_every_address_of_the_account,
                the_first_sign_in_causes_no_notice,
                a_code_that_opens_nothing_causes_no_notice,
                a_notice_of_a_grant_goes_to_every_address_once,
                a_notice_of_a_link_goes_to_the_new_address_too,
                a_notice_of_a_removal_goes_to_the_address_that_goes_too,
                what_changes_no_identity_causes_no_notice,
            }
            purging {
                what_is_long_over_is_forgotten,
                what_is_not_long_over_is_kept,
                grants_and_browsers_are_forgotten_a_day_after_they_are_over,
                more_than_one_step_is_forgotten,
                an_agent_is_forgotten_a_month_after_its_expiry,
                what_lasts_is_never_forgotten,
                a_retired_anchor_is_never_forgotten,
            }
            restores {
                every_session_ends,
                open_sign_ins_and_challenges_end,
                grants_and_browsers_end,
                agents_expire,
                mails_that_wait_are_forgotten,
                signing_in_goes_on_after_everything_ended,
                an_end_of_everything_is_recorded,
                a_session_is_ended_once,
            }
            sessions {
                an_unknown_session_is_not_found,
                a_session_ends_at_its_expiry,
                sessions_are_listed_newest_first_while_they_stand,
                a_revoked_session_says_since_when,
                a_session_is_revoked_once,
                only_its_own_account_revokes_a_session,
                an_expired_session_is_not_revoked,
                revoking_all_spares_other_accounts,
                revoking_nothing_is_not_recorded,
                a_session_knows_its_key_and_where_it_was_opened,
                a_renewed_session_lives_on_and_is_recorded,
                of_many_renewals_one_renews_and_all_get_its_token,
                a_lost_answer_can_be_asked_for_again_for_ten_minutes,
                a_token_that_was_replaced_revokes_its_session,
                a_session_that_is_over_is_not_renewed,
                the_last_use_of_a_session_is_noted,
            }
            wallet_links {
                a_wallet_is_linked_pending,
                linking_again_changes_nothing,
                a_pending_link_blocks_nobody,
                wallets_are_listed_oldest_first,
                an_unlinked_wallet_is_gone,
                unlinking_what_is_not_linked_is_not_recorded,
                of_many_links_at_once_one_is_new,
            }
        }
    };
    (@$open:ident $($module:ident { $($promise:ident,)* })*) => {
        $(mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let (store, _guard) = super::$open().await;
                $crate::conformance::$module::$promise(store).await;
            })*
        })*
    };
}
