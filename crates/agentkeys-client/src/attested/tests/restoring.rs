//! Shares of a backup, and the worker that waits for them.

use agentkeys_api::{RestoreProgress, SealedShare};

use super::{
    Machine, check_of, derive,
    fake::{FakeSigner, Trick},
};
use crate::{ClientError, Exit, SignerClient};

const IDENTITY: [u8; 33] = [2; 33];

/// Gives the worker a share, once it is accepted.
async fn give(client: &SignerClient) -> Result<RestoreProgress, ClientError> {
    let worker = client.find_restoring(IDENTITY).await?.unwrap();
    assert_eq!(worker.key(), &[6; 32]);
    let share = SealedShare {
        v: 1,
        identity_pub: hex::encode(IDENTITY),
        threshold: 2,
        recipient: String::new(),
        enc: String::new(),
        ciphertext: String::new(),
    };
    worker.give(&share).await
}

#[tokio::test]
async fn a_worker_that_waits_gets_the_share_on_the_connection_on_which_it_was_accepted() {
    let (signer, machine) = (FakeSigner::start().await, Machine { activates: true, ..Machine::new() });
    signer.plays(Trick::Restores);

    let progress = give(&machine.client(&signer)).await.unwrap();

    assert_eq!((progress.restored, progress.shares, progress.threshold), (false, 1, 2));
    assert_eq!(signer.paths(), ["GET /attestation", "POST /attestation/activate", "POST /restore"]);
    let asked = signer.asked();
    assert!(asked.iter().all(|request| request.connection == asked[0].connection));
}

#[tokio::test]
async fn one_that_signs_hears_nothing_but_the_nonce() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());

    let refused = give(&machine.client(&signer)).await.unwrap_err();

    assert_eq!(refused.code(), "not_restoring");
    assert_eq!(signer.paths(), ["GET /attestation"]);
}

#[tokio::test]
async fn of_what_is_remembered_the_version_of_the_policy_alone_counts_and_all_stays_as_it_is() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    let client = machine.client(&signer);
    derive(&client, &signer).await.unwrap();
    let known = machine.kept().read(client.url()).unwrap();
    signer.plays(Trick::Restores);

    give(&client).await.unwrap();
    let after = machine.kept().read(client.url()).unwrap();
    machine.kept().change(client.url(), |kept| kept.policy_version = 8).unwrap();
    let refused = give(&client).await.map(drop);

    assert_eq!(after, known);
    assert_eq!(check_of(refused), "policy_version");
    assert_eq!(signer.paths().iter().filter(|path| *path == "POST /restore").count(), 1);
}

#[tokio::test]
async fn an_older_policy_than_the_one_that_accepted_another_signer_does_not_accept_a_worker_that_waits() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    let (client, elsewhere) = (machine.client(&signer), "https://signer.example.com".parse().unwrap());
    signer.plays(Trick::Restores);
    machine.kept().change(&elsewhere, |kept| kept.policy_version = 8).unwrap();

    let refused = give(&client).await.map(drop);

    assert_eq!(check_of(refused), "policy_version");
    assert_eq!(signer.paths(), ["GET /attestation"]);
}

#[tokio::test]
async fn a_proxy_that_answers_for_a_worker_that_is_away_is_nobody_there() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    signer.plays(Trick::RestoresBehindAProxy);

    let error = give(&machine.client(&signer)).await.unwrap_err();

    assert_eq!((error.code(), error.exit()), ("unreachable", Exit::Unreachable), "{error}");
}
