//! [`ChallengeStore`](crate::ChallengeStore).

use std::sync::Arc;

use agentkeys_types::Timestamp;

use super::sample::{
    MANY, MINUTE, NOW, account, at_once, challenge, challenged, count, entry, outcomes, request, seconds, session,
    wallet,
};
use crate::{Action, MOST_WRONG_SIGNATURES, Proof, Store};

/// Every field comes back, and only to the two together.
pub async fn a_challenge_is_found_by_the_request_and_session_that_asked(store: Arc<dyn Store>) {
    let issued = challenged(&store, 1, "ada", wallet(1)).await;

    assert_eq!(store.find_challenge(request(1), session(1)).await.unwrap(), Some(issued));
    assert_eq!(store.find_challenge(request(1), session(2)).await.unwrap(), None);
    assert_eq!(store.find_challenge(request(2), session(1)).await.unwrap(), None);
}

/// A second one under the same id is an error, and the first stays.
pub async fn a_request_id_names_one_challenge_only(store: Arc<dyn Store>) {
    let issued = challenged(&store, 1, "ada", wallet(1)).await;

    store.issue_challenge(challenge(1, "mallory", wallet(2))).await.unwrap_err();

    assert_eq!(store.find_challenge(request(1), session(1)).await.unwrap(), Some(issued));
}

/// Exactly one, however many at once, and it is recorded once.
pub async fn of_many_right_signatures_one_proves(store: Arc<dyn Store>) {
    challenged(&store, 1, "ada", wallet(1)).await;

    let proofs = at_once(&store, |store, _| async move { prove(&store, 1, NOW).await }).await;

    assert_eq!(count(&proofs, &Proof::Proved), 1);
    assert_eq!(count(&proofs, &Proof::Invalid), proofs.len() - 1);
    let link = store.find_wallet(account("ada"), wallet(1)).await.unwrap().unwrap();
    assert_eq!(link.proved_at, Some(NOW));
    assert_eq!(outcomes(&store).await.len(), 2);
}

/// It is neither found nor accepted again.
pub async fn a_used_challenge_is_gone(store: Arc<dyn Store>) {
    challenged(&store, 1, "ada", wallet(1)).await;

    assert_eq!(prove(&store, 1, NOW).await, Proof::Proved);

    assert_eq!(prove(&store, 1, NOW).await, Proof::Invalid);
    assert_eq!(prove(&store, 1, NOW.after(60 * MINUTE)).await, Proof::Invalid);
    assert_eq!(store.find_challenge(request(1), session(1)).await.unwrap(), None);
}

/// Nor does its try use the challenge up.
pub async fn another_session_cannot_answer(store: Arc<dyn Store>) {
    challenged(&store, 1, "ada", wallet(1)).await;

    let proof = store.prove(request(1), session(2), entry(Action::ProveWallet, NOW)).await.unwrap();

    assert_eq!(proof, Proof::Invalid);
    assert_eq!(prove(&store, 1, NOW).await, Proof::Proved);
}

/// Four do not.
pub async fn the_fifth_wrong_signature_ends_a_challenge(store: Arc<dyn Store>) {
    challenged(&store, 1, "ada", wallet(1)).await;
    challenged(&store, 2, "ada", wallet(1)).await;
    for _ in 1..MOST_WRONG_SIGNATURES {
        store.count_wrong_signature(request(1)).await.unwrap();
        store.count_wrong_signature(request(2)).await.unwrap();
    }
    store.count_wrong_signature(request(1)).await.unwrap();

    assert_eq!(store.find_challenge(request(1), session(1)).await.unwrap(), None);
    assert_eq!(prove(&store, 1, NOW).await, Proof::Invalid);
    assert_eq!(prove(&store, 2, NOW).await, Proof::Proved);
}

/// The last second before counts; the expiry itself does not, and nothing does after it was seen.
pub async fn a_challenge_ends_at_its_expiry_wherever_the_clock_goes(store: Arc<dyn Store>) {
    let first = challenged(&store, 1, "ada", wallet(1)).await;
    challenged(&store, 2, "ada", wallet(1)).await;

    assert_eq!(prove(&store, 1, first.expires_at).await, Proof::Expired);
    assert_eq!(prove(&store, 1, NOW).await, Proof::Expired);
    assert_eq!(store.find_wallet(account("ada"), wallet(1)).await.unwrap().unwrap().proved_at, None);
    assert_eq!(store.find_challenge(request(1), session(1)).await.unwrap(), Some(first.clone()));
    let last_second = first.expires_at.before(seconds(1));
    assert_eq!(prove(&store, 2, last_second).await, Proof::Proved);
}

/// The challenge does not bring the link back.
pub async fn a_wallet_that_was_unlinked_is_not_proved(store: Arc<dyn Store>) {
    challenged(&store, 1, "ada", wallet(1)).await;
    store.unlink_wallet(account("ada"), wallet(1), entry(Action::UnlinkWallet, NOW)).await.unwrap();

    assert_eq!(prove(&store, 1, NOW).await, Proof::NotLinked);

    assert_eq!(store.find_wallet(account("ada"), wallet(1)).await.unwrap(), None);
    assert_eq!(outcomes(&store).await.len(), 2);
}

/// The others are told, and nothing of theirs is changed.
pub async fn of_two_accounts_that_prove_one_wallet_one_does(store: Arc<dyn Store>) {
    let mut names = ["ada", "mallory"];
    for number in 0..MANY {
        challenged(&store, number, names[number % 2], wallet(1)).await;
    }

    let proofs = at_once(&store, |store, number| async move { (number % 2, prove(&store, number, NOW).await) }).await;

    let (winner, _) = *proofs.iter().find(|(_, proof)| *proof == Proof::Proved).unwrap();
    for (number, proof) in proofs {
        assert_eq!(proof, if number == winner { Proof::Proved } else { Proof::Taken });
    }
    names.swap(0, winner);
    let [winner, loser] = names;
    assert_eq!(store.find_wallet(account(winner), wallet(1)).await.unwrap().unwrap().proved_at, Some(NOW));
    assert_eq!(store.find_wallet(account(loser), wallet(1)).await.unwrap().unwrap().proved_at, None);
}

/// A proof is dated once.
pub async fn a_wallet_that_is_proved_again_keeps_its_first_proof(store: Arc<dyn Store>) {
    challenged(&store, 1, "ada", wallet(1)).await;
    challenged(&store, 2, "ada", wallet(1)).await;

    assert_eq!(prove(&store, 1, NOW).await, Proof::Proved);
    assert_eq!(prove(&store, 2, NOW.after(MINUTE)).await, Proof::Proved);

    assert_eq!(store.find_wallet(account("ada"), wallet(1)).await.unwrap().unwrap().proved_at, Some(NOW));
}

/// A challenge that was refused because the wallet was taken is still open then.
pub async fn a_wallet_may_be_proved_by_another_once_it_is_unlinked(store: Arc<dyn Store>) {
    challenged(&store, 1, "ada", wallet(1)).await;
    challenged(&store, 2, "mallory", wallet(1)).await;
    assert_eq!(prove(&store, 1, NOW).await, Proof::Proved);
    assert_eq!(prove(&store, 2, NOW).await, Proof::Taken);

    store.unlink_wallet(account("ada"), wallet(1), entry(Action::UnlinkWallet, NOW)).await.unwrap();

    assert_eq!(prove(&store, 2, NOW).await, Proof::Proved);
}

async fn prove(store: &Arc<dyn Store>, number: usize, now: Timestamp) -> Proof {
    store.prove(request(number), session(1), entry(Action::ProveWallet, now)).await.unwrap()
}
