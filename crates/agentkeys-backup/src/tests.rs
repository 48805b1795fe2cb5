use agentkeys_api::SealedShare;
use agentkeys_crypto::MasterSecret;
use zeroize::Zeroizing;

use super::*;
use crate::share::{Use, seal};

const SECRET: [u8; 32] = [7; 32];

struct Holders {
    keys: Vec<RecipientKey>,
    shares: Vec<SealedShare>,
}

impl Holders {
    fn of(secret: &[u8; 32], threshold: u8, count: usize) -> Self {
        let keys: Vec<RecipientKey> = (0..count).map(|_| RecipientKey::generate().unwrap()).collect();
        let recipients: Vec<_> = keys.iter().map(RecipientKey::public).collect();
        let shares = split(secret, &identity(secret), threshold, &recipients).unwrap();
        Self { keys, shares }
    }

    fn reseal(&self, number: usize, worker: &Collection) -> SealedShare {
        self.keys[number].reseal(&self.shares[number], &worker.public_key()).unwrap()
    }
}

fn identity(secret: &[u8; 32]) -> [u8; 33] {
    MasterSecret::new(secret).identity_public_key()
}

fn restoring(secret: &[u8; 32]) -> Collection {
    Collection::new(&hex::encode(identity(secret))).unwrap()
}

#[test]
fn any_two_of_three_restore_the_secret() {
    let holders = Holders::of(&SECRET, 2, 3);

    for (one, other) in [(0, 1), (1, 2), (2, 0)] {
        let mut worker = restoring(&SECRET);
        let first = worker.add(&holders.reseal(one, &worker)).unwrap();
        let second = worker.add(&holders.reseal(other, &worker)).unwrap();

        assert_eq!(first, Progress::Waiting { shares: 1, threshold: 2 });
        assert_eq!(second, Progress::Complete(Zeroizing::new(SECRET)));
    }
}

#[test]
fn the_same_share_twice_is_one() {
    let holders = Holders::of(&SECRET, 2, 3);
    let mut worker = restoring(&SECRET);

    for _ in 0..3 {
        let progress = worker.add(&holders.reseal(0, &worker)).unwrap();

        assert_eq!(progress, Progress::Waiting { shares: 1, threshold: 2 });
    }
}

#[test]
fn a_share_is_opened_by_its_recipient_alone() {
    let holders = Holders::of(&SECRET, 2, 2);
    let worker = restoring(&SECRET);

    let opened = holders.keys[1].reseal(&holders.shares[0], &worker.public_key());

    assert!(matches!(opened, Err(ShareError::Key)));
}

#[test]
fn a_share_for_another_worker_is_refused() {
    let holders = Holders::of(&SECRET, 2, 2);
    let (mut worker, other) = (restoring(&SECRET), restoring(&SECRET));

    assert!(matches!(worker.add(&holders.reseal(0, &other)), Err(ShareError::Key)));
    assert!(matches!(worker.add(&holders.shares[0]), Err(ShareError::Key)));
}

#[test]
fn shares_of_another_identity_are_refused_also_under_its_name() {
    let holders = Holders::of(&[8; 32], 2, 2);
    let mut worker = restoring(&SECRET);
    let own_name = holders.reseal(0, &worker);
    let mut other_name = own_name.clone();
    other_name.identity_pub = hex::encode(identity(&SECRET));

    assert!(matches!(worker.add(&own_name), Err(ShareError::Identity)));
    assert!(matches!(worker.add(&other_name), Err(ShareError::Key)));
}

#[test]
fn wrong_shares_give_no_secret_and_are_forgotten() {
    let (right, wrong) = (Holders::of(&SECRET, 2, 3), Holders::of(&[8; 32], 2, 3));
    let mut worker = restoring(&SECRET);
    let name = hex::encode(identity(&SECRET));
    let share = wrong.keys[0].open(Use::Backup, &wrong.shares[0]).unwrap();
    let forged = seal(Use::Restore, &name, 2, &share, &worker.public_key()).unwrap();
    worker.add(&forged).unwrap();

    let refused = worker.add(&right.reseal(1, &worker));

    assert!(matches!(refused, Err(ShareError::Wrong)));
    worker.add(&right.reseal(1, &worker)).unwrap();
    let complete = worker.add(&right.reseal(2, &worker)).unwrap();
    assert_eq!(complete, Progress::Complete(Zeroizing::new(SECRET)));
}

#[test]
fn a_lower_threshold_than_was_sealed_is_refused() {
    let holders = Holders::of(&SECRET, 3, 3);
    let mut worker = restoring(&SECRET);
    let mut share = holders.reseal(0, &worker);
    share.threshold = 2;

    assert!(matches!(worker.add(&share), Err(ShareError::Key)));
}

#[test]
fn keys_and_shares_read_back_from_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let holders = Holders::of(&SECRET, 2, 2);
    let file = folder.path().join("key.json");

    holders.keys[0].write(&file).unwrap();
    write_shares(folder.path(), &holders.shares).unwrap();

    let key = RecipientKey::read(&file).unwrap();
    let share = read_share(&folder.path().join("share-1.json")).unwrap();
    assert_eq!(share, holders.shares[0]);
    assert!(key.is_recipient_of(&share) && !holders.keys[1].is_recipient_of(&share));
    assert!(key.open(Use::Backup, &share).is_ok());
    assert!(holders.keys[1].write(&file).is_err());
}

#[test]
fn neither_keys_nor_shares_print_what_is_secret() {
    let holders = Holders::of(&SECRET, 2, 2);
    let (key, mut worker) = (&holders.keys[0], restoring(&SECRET));
    let share = key.open(Use::Backup, &holders.shares[0]).unwrap();
    worker.add(&holders.reseal(0, &worker)).unwrap();

    let printed = format!("{key:?} {worker:?} {:?}", Progress::Complete(Zeroizing::new(SECRET)));

    for secret in [key.secret_bytes(), &share, &SECRET] {
        let list = format!("{secret:?}");
        assert!(
            !printed.contains(&hex::encode(secret)) && !printed.contains(list.trim_matches(['[', ']'])),
            "{printed}"
        );
    }
    assert!(printed.contains("shares: 1") && printed.contains("Complete(…)"), "{printed}");
}
