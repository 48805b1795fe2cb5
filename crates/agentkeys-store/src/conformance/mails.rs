//! [`MailStore`](crate::MailStore), and what queues mails.

use std::sync::Arc;

use agentkeys_types::{EmailAddress, Identity, OmniAccount, Timestamp};

use super::{
    approval::{approved, device, link as grant_to_link, proved, redeem, redeem_link, subject},
    sample::{
        MINUTE, NOW, RIGHT, WRONG, account, answer, at_once, begin, email, entry, limit, open_session, opening,
        request, seconds, sign_in, unlink,
    },
};
use crate::{
    Action, Begun, BoundedLetter, CodeAnswer, CodeOutcome, EmailSignIn, IdentityLink, Letter, Linking, MailsWaiting,
    Opening, Purpose, QueuedMail, Redeemed, Store, Unlinking,
};

const LEASE: std::time::Duration = MINUTE;

/// To the address that signs in, with every field, and not tried yet.
pub async fn a_letter_is_claimed_as_it_was_queued(store: Arc<dyn Store>) {
    let sign_in = EmailSignIn { email: address("grace"), ..sign_in(1) };
    let begun = store.begin_email_sign_in(sign_in, vec![], Some(bounded(1, 10))).await.unwrap();

    assert_eq!(begun, Begun::Begun);
    let QueuedMail { recipient, letter, attempts, .. } = claim(&store, NOW).await.unwrap();
    assert_eq!((recipient, letter, attempts), (address("grace"), written(1, NOW), 0));
}

/// To the second, and then it is taken again.
pub async fn a_claimed_mail_is_nobody_elses_until_its_lease_is_over(store: Arc<dyn Store>) {
    queue(&store, 1, NOW).await;

    let claimed = claim(&store, NOW).await;

    assert!(claimed.is_some());
    assert_eq!(claim(&store, NOW.after(LEASE).before(seconds(1))).await, None);
    assert_eq!(claim(&store, NOW.after(LEASE)).await, claimed);
}

/// However many at once.
pub async fn of_many_that_claim_one_gets_the_mail(store: Arc<dyn Store>) {
    queue(&store, 1, NOW).await;

    let claimed = at_once(&store, |store, _| async move { claim(&store, NOW).await }).await;

    assert_eq!(claimed.into_iter().flatten().count(), 1);
}

/// Of those that are due.
pub async fn the_mail_that_has_been_due_for_longest_goes_first(store: Arc<dyn Store>) {
    for (number, minutes) in [(1, 2), (2, 0), (3, 1), (4, 3)] {
        queue(&store, number, NOW.after(minutes * MINUTE)).await;
    }

    let now = NOW.after(2 * MINUTE);
    let mut order = Vec::new();
    while let Some(mail) = claim(&store, now).await {
        order.push(mail.letter.content[0]);
    }

    assert_eq!(order, [2, 3, 1]);
}

/// And its attempts are counted.
pub async fn a_delayed_mail_is_due_when_it_was_delayed_to(store: Arc<dyn Store>) {
    queue(&store, 1, NOW).await;

    for attempt in 1..3 {
        let now = NOW.after(attempt * 2 * MINUTE);
        let mail = claim(&store, now).await.unwrap();
        assert_eq!(mail.attempts, attempt - 1);
        store.delay_mail(mail.id, now.after(2 * MINUTE)).await.unwrap();
        assert_eq!(claim(&store, now.after(2 * MINUTE).before(seconds(1))).await, None);
    }

    store.delay_mail(1_000, NOW).await.unwrap();
    assert_eq!(claim(&store, NOW.after(6 * MINUTE)).await.unwrap().attempts, 2);
}

/// And removing what is not there is no error.
pub async fn a_removed_mail_is_gone(store: Arc<dyn Store>) {
    queue(&store, 1, NOW).await;
    let mail = claim(&store, NOW).await.unwrap();

    store.remove_mail(mail.id).await.unwrap();
    store.remove_mail(mail.id).await.unwrap();

    assert_eq!(claim(&store, NOW.after(LEASE)).await, None);
    assert_eq!(store.mails_waiting(NOW).await.unwrap(), MailsWaiting::default());
}

/// A late word about one that has left concerns no other.
pub async fn the_id_of_a_mail_is_never_used_again(store: Arc<dyn Store>) {
    queue(&store, 1, NOW).await;
    let left = claim(&store, NOW).await.unwrap();
    store.remove_mail(left.id).await.unwrap();

    queue(&store, 2, NOW).await;
    store.remove_mail(left.id).await.unwrap();

    assert_eq!(claim(&store, NOW).await.unwrap().letter.content, [2]);
}

/// From its expiry on, to the second.
pub async fn an_expired_mail_is_not_claimed_and_does_not_count(store: Arc<dyn Store>) {
    queue(&store, 1, NOW).await;
    let expiry = written(1, NOW).expires_at;

    assert_eq!(claim(&store, expiry).await, None);
    assert_eq!(store.mails_waiting(expiry).await.unwrap(), MailsWaiting::default());
    assert!(claim(&store, expiry.before(seconds(1))).await.is_some());
}

/// Those that are being sent too; one that was delayed says since when it should have left.
pub async fn what_waits_is_told(store: Arc<dyn Store>) {
    queue(&store, 1, NOW).await;
    queue(&store, 2, NOW.after(MINUTE)).await;
    let fresh = MailsWaiting { count: 2, next_attempt_at: Some(NOW), delayed_since: None };
    assert_eq!(store.mails_waiting(NOW).await.unwrap(), fresh);

    let mail = claim(&store, NOW).await.unwrap();
    store.delay_mail(mail.id, NOW.after(5 * MINUTE)).await.unwrap();

    let delayed = MailsWaiting { count: 2, next_attempt_at: Some(NOW.after(MINUTE)), delayed_since: Some(NOW) };
    assert_eq!(store.mails_waiting(NOW).await.unwrap(), delayed);
}

/// Until there is room again; without a letter it begins in any case.
pub async fn a_full_queue_keeps_and_counts_nothing(store: Arc<dyn Store>) {
    let limits = || vec![limit("email", 2, MINUTE)];
    let with = |number: usize| store.begin_email_sign_in(sign_in(number), limits(), Some(bounded(1, 1)));
    assert_eq!(with(1).await.unwrap(), Begun::Begun);

    for _ in 0..3 {
        assert_eq!(with(2).await.unwrap(), Begun::QueueFull);
    }

    assert_eq!(store.find_email_sign_in(request(2)).await.unwrap(), None);
    assert_eq!(store.mails_waiting(NOW).await.unwrap().count, 1);
    assert_eq!(store.begin_email_sign_in(sign_in(2), limits(), None).await.unwrap(), Begun::Begun);
    assert_eq!(store.mails_waiting(NOW).await.unwrap().count, 1);
    let mail = claim(&store, NOW).await.unwrap();
    store.remove_mail(mail.id).await.unwrap();
    let room = store.begin_email_sign_in(sign_in(3), vec![], Some(bounded(1, 1))).await.unwrap();
    assert_eq!(room, Begun::Begun);
}

/// By as many at once as may be.
pub async fn the_queue_never_holds_more_than_it_may(store: Arc<dyn Store>) {
    let begun = at_once(&store, |store, number| async move {
        store.begin_email_sign_in(sign_in(number), vec![], Some(bounded(1, 5))).await.unwrap()
    })
    .await;

    assert_eq!(begun.iter().filter(|begun| **begun == Begun::Begun).count(), 5);
    assert_eq!(store.mails_waiting(NOW).await.unwrap().count, 5);
}

/// Nor does one whose request id is taken.
pub async fn a_sign_in_that_is_not_kept_queues_nothing(store: Arc<dyn Store>) {
    begin(&store, 1).await;

    let limits = vec![limit("email", 0, MINUTE)];
    let limited = store.begin_email_sign_in(sign_in(2), limits, Some(bounded(1, 10))).await.unwrap();
    store.begin_email_sign_in(sign_in(1), vec![], Some(bounded(1, 10))).await.unwrap_err();

    assert_eq!(limited, Begun::Limited { retry_after: MINUTE });
    assert_eq!(store.mails_waiting(NOW).await.unwrap().count, 0);
}

/// And to nothing else that opens it, nor to anybody else's; a full queue keeps none away.
pub async fn a_notice_of_a_sign_in_goes_to_every_address_of_the_account(store: Arc<dyn Store>) {
    let ada = open_session(&store, "ada", 1, NOW).await;
    open_session(&store, "mallory", 2, NOW).await;
    link(&store, ada, email("ada.too")).await;
    let wallet = Identity::parse("evm".parse().unwrap(), &format!("0x{}", "11".repeat(20))).unwrap();
    link(&store, ada, wallet).await;

    let outcome = sign_in_with_notice(&store, "ada", 3, RIGHT).await;

    assert_eq!(outcome, CodeOutcome::Accepted { account: Some(ada) });
    assert_eq!(notified(&store).await, ["ada.too@example.com", "ada@example.com"]);
}

/// There is nobody yet who should know.
pub async fn the_first_sign_in_causes_no_notice(store: Arc<dyn Store>) {
    let outcome = sign_in_with_notice(&store, "ada", 1, RIGHT).await;

    assert_eq!(outcome, CodeOutcome::Accepted { account: Some(account("ada")) });
    assert_eq!(store.mails_waiting(NOW).await.unwrap().count, 0);
}

/// Neither a wrong code nor a refused, an unknown or a used one.
pub async fn a_code_that_opens_nothing_causes_no_notice(store: Arc<dyn Store>) {
    open_session(&store, "ada", 1, NOW).await;

    assert_eq!(sign_in_with_notice(&store, "ada", 2, WRONG).await, CodeOutcome::Wrong);
    for (number, opening) in [(2, Opening::Refused), (3, opening("ada", 3, NOW)), (1, opening("ada", 1, NOW))] {
        let answer = CodeAnswer { request: request(number), code_hash: RIGHT, purpose: Purpose::Session, now: NOW };
        let notice = Some(written(9, NOW));
        store.answer(answer, opening, entry(Action::SignIn, NOW), vec![], notice).await.unwrap();
    }

    assert_eq!(store.mails_waiting(NOW).await.unwrap().count, 0);
    assert_eq!(answer(&store, 2, RIGHT, NOW).await, CodeOutcome::Over);
}

/// Also to one that a provider has verified, even if it is linked as well, but to none that is retired.
pub async fn a_notice_of_a_grant_goes_to_every_address_once(store: Arc<dyn Store>) {
    let ada = with_four_identities(&store).await;
    approved(&store, 1, device(1), "ada").await;

    assert_eq!(redeem(&store, 1, "ada", 2, NOW).await, Redeemed::Opened { account: ada });

    assert_eq!(notified(&store).await, ["ada.too@example.com", "ada@acme.example"]);
}

/// And to none that is retired, by whichever way it is linked.
pub async fn a_notice_of_a_link_goes_to_the_new_address_too(store: Arc<dyn Store>) {
    with_four_identities(&store).await;
    approved(&store, 1, grant_to_link("ada"), "lovelace").await;

    assert_eq!(redeem_link(&store, 1, "lovelace", "ada", NOW).await, Some(Linking::Linked));
    let by_grant = notified(&store).await;
    let link = IdentityLink { identity: email("new"), account: account("ada"), email: None, linked_at: NOW };
    store.link_identity(link, entry(Action::LinkIdentity, NOW), Some(written(9, NOW))).await.unwrap();
    let by_hand = notified(&store).await;

    assert_eq!(by_grant, ["ada.too@example.com", "ada@acme.example", "lovelace@acme.example"]);
    let new = ["ada.too@example.com", "ada@acme.example", "lovelace@acme.example", "new@example.com"];
    assert_eq!(by_hand, new);
}

/// And to none that is retired already.
pub async fn a_notice_of_a_removal_goes_to_the_address_that_goes_too(store: Arc<dyn Store>) {
    with_four_identities(&store).await;

    assert!(matches!(unlink(&store, email("ada.too"), "ada", false).await, Unlinking::Unlinked { .. }));
    let first = notified(&store).await;
    assert!(matches!(unlink(&store, subject("ada"), "ada", true).await, Unlinking::Unlinked { .. }));
    let second = notified(&store).await;

    assert_eq!(first, ["ada.too@example.com", "ada@acme.example"]);
    assert_eq!(second, ["ada@acme.example"]);
}

/// What is taken, linked already, the last one, unknown, refused as retired, or over.
pub async fn what_changes_no_identity_causes_no_notice(store: Arc<dyn Store>) {
    with_four_identities(&store).await;
    open_session(&store, "mallory", 9, NOW).await;
    open_session(&store, "grace", 10, NOW).await;
    link(&store, account("grace"), subject("grace")).await;
    unlink(&store, email("grace"), "grace", true).await;
    notified(&store).await;
    approved(&store, 1, device(1), "ada").await;

    for identity in [email("mallory"), email("ada"), email("ada.too")] {
        let link = IdentityLink { identity, account: account("grace"), email: None, linked_at: NOW };
        store.link_identity(link, entry(Action::LinkIdentity, NOW), Some(written(9, NOW))).await.unwrap();
    }
    let again = IdentityLink { identity: email("ada.too"), account: account("ada"), email: None, linked_at: NOW };
    store.link_identity(again, entry(Action::LinkIdentity, NOW), Some(written(9, NOW))).await.unwrap();
    assert_eq!(unlink(&store, subject("grace"), "grace", false).await, Unlinking::Last);
    assert_eq!(unlink(&store, email("nobody"), "ada", false).await, Unlinking::NotFound);
    assert_eq!(sign_in_with_notice(&store, "grace", 3, RIGHT).await, CodeOutcome::Retired);
    assert_eq!(redeem(&store, 1, "ada", 2, NOW.after(10 * MINUTE)).await, Redeemed::Over);

    assert_eq!(store.mails_waiting(NOW).await.unwrap().count, 0);
}

/// Ada has two subjects with one address between them, a further address, and one that is retired.
async fn with_four_identities(store: &Arc<dyn Store>) -> OmniAccount {
    let ada = open_session(store, "ada", 1, NOW).await;
    link(store, ada, email("ada.too")).await;
    for subject in [subject("ada"), subject("ada.work")] {
        let email = proved("ada").email;
        let link = IdentityLink { identity: subject, account: ada, email, linked_at: NOW };
        store.link_identity(link, entry(Action::LinkIdentity, NOW), None).await.unwrap();
    }
    unlink(store, email("ada"), "ada", true).await;
    notified(store).await;
    ada
}

/// Takes all notices that wait, and says to whom they go.
async fn notified(store: &Arc<dyn Store>) -> Vec<String> {
    let mut recipients = Vec::new();
    while let Some(mail) = claim(store, NOW).await {
        assert_eq!(mail.letter, written(9, NOW));
        store.remove_mail(mail.id).await.unwrap();
        recipients.push(mail.recipient.into_string());
    }
    recipients.sort();
    recipients
}

fn address(name: &str) -> EmailAddress {
    email(name).value().parse().unwrap()
}

fn written(number: u8, at: Timestamp) -> Letter {
    Letter { content: vec![number], written_at: at, expires_at: at.after(10 * MINUTE) }
}

fn bounded(number: u8, most_waiting: u32) -> BoundedLetter {
    BoundedLetter { letter: written(number, NOW), most_waiting }
}

async fn claim(store: &Arc<dyn Store>, now: Timestamp) -> Option<QueuedMail> {
    store.claim_mail(now, LEASE).await.unwrap()
}

/// Begins the sign-in of this number at `at`, with a letter that says just that number.
async fn queue(store: &Arc<dyn Store>, number: u8, at: Timestamp) {
    let sign_in = EmailSignIn { created_at: at, ..sign_in(number.into()) };
    let letter = BoundedLetter { letter: written(number, at), most_waiting: 100 };
    assert_eq!(store.begin_email_sign_in(sign_in, vec![], Some(letter)).await.unwrap(), Begun::Begun);
}

async fn link(store: &Arc<dyn Store>, account: OmniAccount, identity: Identity) {
    let link = IdentityLink { identity, account, email: None, linked_at: NOW };
    store.link_identity(link, entry(Action::LinkIdentity, NOW), None).await.unwrap();
}

async fn sign_in_with_notice(store: &Arc<dyn Store>, name: &str, number: usize, code_hash: [u8; 32]) -> CodeOutcome {
    let sign_in = EmailSignIn { email: address(name), ..sign_in(number) };
    store.begin_email_sign_in(sign_in, vec![], None).await.unwrap();
    let answer = CodeAnswer { request: request(number), code_hash, purpose: Purpose::Session, now: NOW };
    let notice = Some(written(9, NOW));
    store.answer(answer, opening(name, number, NOW), entry(Action::SignIn, NOW), vec![], notice).await.unwrap()
}
