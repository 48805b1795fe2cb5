use std::{fs, os::unix::fs::PermissionsExt};

use tempfile::TempDir;

use super::*;

const NOW: Timestamp = Timestamp::from_unix(1_797_933_600);
const DAY: Duration = Duration::from_hours(24);

fn opened(name: RingName) -> (TempDir, KeyRing) {
    let folder = tempfile::tempdir().unwrap();
    let ring = KeyRing::open(folder.path(), name, NOW).unwrap();
    (folder, ring)
}

fn kids(folder: &TempDir, name: RingName, now: Timestamp) -> Vec<String> {
    KeyRing::open(folder.path(), name, now).unwrap().keys().keys.into_iter().map(|jwk| jwk.kid).collect()
}

fn rotate(folder: &TempDir, name: RingName, now: Timestamp) {
    Rotation::begin(folder.path(), now).unwrap().rotate(name).unwrap();
}

#[test]
fn the_current_key_comes_first_then_the_next_then_the_previous_ones_from_the_newest() {
    let (folder, _) = opened(RingName::Session);
    let first = kids(&folder, RingName::Session, NOW);
    rotate(&folder, RingName::Session, NOW);
    let second = kids(&folder, RingName::Session, NOW);
    rotate(&folder, RingName::Session, NOW.after(DAY));

    let third = kids(&folder, RingName::Session, NOW.after(DAY));

    assert_eq!(first.len(), 2);
    assert_eq!((&second[0], &second[2]), (&first[1], &first[0]));
    assert_eq!((&third[0], &third[2], &third[3]), (&second[1], &first[1], &first[0]));
    assert_eq!(third.len(), 4);
}

#[test]
fn a_previous_key_is_dropped_when_nothing_that_it_signed_counts() {
    for (name, life) in [
        (RingName::Session, 30 * DAY + Duration::from_hours(1)),
        (RingName::OidcEs256, Duration::from_mins(15)),
        (RingName::OidcRs256, Duration::from_mins(15)),
    ] {
        let (folder, _) = opened(name);
        rotate(&folder, name, NOW);
        let end = NOW.after(life);

        assert_eq!(kids(&folder, name, end.before(Duration::from_secs(1))).len(), 3);
        assert_eq!(KeyRing::open(folder.path(), name, NOW).unwrap().changes_at(), Some(end));
        assert_eq!(kids(&folder, name, end).len(), 2);
        rotate(&folder, name, end);
        assert_eq!(fs::read_dir(folder.path().join("previous")).unwrap().count(), 1);
    }
}

#[test]
fn a_crash_after_any_step_leaves_keys_that_open_and_verify_what_was_signed() {
    for steps in 0..=3 {
        let (folder, _) = opened(RingName::Session);
        let before = kids(&folder, RingName::Session, NOW);
        let rotation = Rotation::begin(folder.path(), NOW).unwrap();
        if steps > 0 {
            rotation.retire_current(RingName::Session).unwrap();
        }
        if steps > 1 {
            rotation.promote_next(RingName::Session).unwrap();
        }
        if steps > 2 {
            rotation.make_next(RingName::Session).unwrap();
        }
        drop(rotation);

        let after = kids(&folder, RingName::Session, NOW);
        rotate(&folder, RingName::Session, NOW.after(DAY));
        let later = kids(&folder, RingName::Session, NOW.after(30 * DAY));

        assert!(before.iter().all(|kid| after.contains(kid)), "{steps}");
        assert_eq!(after[0], if steps < 2 { before[0].clone() } else { before[1].clone() }, "{steps}");
        assert_eq!(later[0], after[1], "{steps}");
        assert!(later.contains(&before[0]), "{steps}");
        assert_eq!(later.len(), if steps < 2 { 3 } else { 4 }, "{steps}");
    }
}

#[test]
fn of_a_retired_key_only_the_public_half_stays_in_the_folder() {
    let (folder, ring) = opened(RingName::OidcEs256);
    let private = fs::read_to_string(folder.path().join("oidc.pem")).unwrap();
    let secret_line = private.lines().nth(2).unwrap();

    rotate(&folder, RingName::OidcEs256, NOW);

    let kept = folder.path().join(format!("previous/oidc.{}.json", ring.current.public().kid));
    let text = fs::read_to_string(&kept).unwrap();
    assert!(text.contains(r#""purpose": "oidc""#) && text.contains("x5c"), "{text}");
    assert!(!text.contains(r#""d""#));
    for entry in fs::read_dir(folder.path()).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        assert!(!fs::read_to_string(entry.path()).unwrap().contains(secret_line), "{entry:?}");
    }
}

#[test]
fn everything_in_the_folder_is_private() {
    let (folder, _) = opened(RingName::Session);
    rotate(&folder, RingName::Session, NOW);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;

    let previous = folder.path().join("previous");
    assert_eq!(mode(&previous), 0o700);
    let entries = [folder.path(), &previous].map(|folder| fs::read_dir(folder).unwrap().map(Result::unwrap));
    let files: Vec<_> = entries.into_iter().flatten().filter(|entry| entry.path().is_file()).collect();
    assert_eq!(files.len(), 4);
    for file in files {
        assert_eq!(mode(&file.path()), 0o600, "{file:?}");
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
    }
    assert!(matches!(KeyRing::open(folder.path(), RingName::Session, NOW), Err(KeyError::File(..))));
}

#[test]
fn what_root_rotates_stays_the_owners() {
    use std::os::unix::fs::{MetadataExt, chown};

    let (folder, _) = opened(RingName::Session);
    if chown(folder.path(), Some(4242), Some(4242)).is_err() {
        return; // only root can be in this situation
    }
    rotate(&folder, RingName::Session, NOW);

    for made in ["session.next.pem", "previous", "rotation.lock"] {
        assert_eq!(fs::metadata(folder.path().join(made)).unwrap().uid(), 4242, "{made}");
    }
    let kept = fs::read_dir(folder.path().join("previous")).unwrap().next().unwrap().unwrap();
    assert_eq!(kept.metadata().unwrap().uid(), 4242);
}

#[test]
fn swapped_files_are_refused_by_name() {
    let (folder, _) = opened(RingName::Session);
    KeyRing::open(folder.path(), RingName::OidcEs256, NOW).unwrap();
    rotate(&folder, RingName::OidcEs256, NOW);
    let at = |file: &str| folder.path().join(file);
    let refusal = |name| KeyRing::open(folder.path(), name, NOW).unwrap_err().to_string();

    fs::rename(at("oidc.next.pem"), at("session.next.pem")).unwrap();
    assert!(refusal(RingName::Session).contains("session.next.pem holds a key for `oidc`, not for `session`"));

    let kept = fs::read_dir(at("previous")).unwrap().next().unwrap().unwrap();
    let kept_name = kept.file_name().into_string().unwrap();
    fs::rename(kept.path(), at("previous").join(kept_name.replace("oidc.", "session."))).unwrap();
    fs::remove_file(at("session.next.pem")).unwrap();
    assert!(refusal(RingName::Session).contains("holds a key for `oidc`"));
}

#[test]
fn two_rotations_at_once_are_one_too_many() {
    let (folder, _) = opened(RingName::Session);
    let first = Rotation::begin(folder.path(), NOW).unwrap();

    let second = Rotation::begin(folder.path(), NOW).unwrap_err();

    assert!(matches!(second, KeyError::Rotating(_)));
    drop(first);
    assert!(Rotation::begin(folder.path(), NOW).is_ok());
}

#[test]
fn where_no_keys_are_nothing_is_rotated_listed_or_made() {
    let folder = tempfile::tempdir().unwrap();

    for place in [folder.path().to_owned(), folder.path().join("missing")] {
        assert!(matches!(Rotation::begin(&place, NOW), Err(KeyError::NoKeys(_))));
        assert!(matches!(ListedKey::all(&place, NOW), Err(KeyError::NoKeys(_))));
    }

    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_leaked_key_goes_with_all_its_neighbours() {
    let (folder, _) = opened(RingName::Session);
    rotate(&folder, RingName::Session, NOW);
    let before = kids(&folder, RingName::Session, NOW);

    let current = Rotation::begin(folder.path(), NOW).unwrap().replace_leaked(RingName::Session).unwrap();

    let after = kids(&folder, RingName::Session, NOW);
    assert_eq!(after[0], current.kid);
    assert_eq!((before.len(), after.len()), (3, 2));
    assert!(after.iter().all(|kid| !before.contains(kid)));
}

#[test]
fn nobody_is_shown_more_keys_than_they_take() {
    for (name, most) in [(RingName::OidcEs256, 100), (RingName::Session, 1000)] {
        let (_folder, ring) = opened(name);
        let stranger = |index: usize| Jwk { kid: index.to_string(), ..ring.next.clone() };
        let previous = (0..1100).map(|index| (stranger(index), NOW)).collect();

        let ring = KeyRing { previous, ..ring };

        assert_eq!(ring.keys().keys.len(), most);
    }
}

#[test]
fn what_a_crash_left_half_written_is_swept_away() {
    let (folder, _) = opened(RingName::Session);
    let abandoned = folder.path().join("session.next.new-0011223344556677");
    fs::write(&abandoned, "half a key").unwrap();
    let other = folder.path().join("oidc.new-0011223344556677");
    fs::write(&other, "half a key").unwrap();

    // The files' times are the machine's.
    rotate(&folder, RingName::Session, Timestamp::from_unix(0));
    assert!(abandoned.exists());
    rotate(&folder, RingName::Session, Timestamp::from_unix(i64::from(u32::MAX)));

    assert!(!abandoned.exists() && other.exists());
}

#[test]
fn the_list_says_whose_turn_it_is_and_since_when() {
    let (folder, _) = opened(RingName::Session);
    KeyRing::open(folder.path(), RingName::OidcRs256, NOW).unwrap();
    let before = kids(&folder, RingName::Session, NOW);
    rotate(&folder, RingName::Session, NOW);

    let listed = ListedKey::all(folder.path(), NOW).unwrap();

    let states: Vec<_> = listed.iter().map(|key| (key.purpose, key.algorithm, key.state)).collect();
    assert_eq!(
        states,
        [
            (Purpose::Session, Algorithm::Es256, KeyState::Current),
            (Purpose::Session, Algorithm::Es256, KeyState::Next),
            (Purpose::Session, Algorithm::Es256, KeyState::Previous),
            (Purpose::Oidc, Algorithm::Rs256, KeyState::Current),
            (Purpose::Oidc, Algorithm::Rs256, KeyState::Next),
        ]
    );
    assert_eq!((&listed[0].kid, listed[0].since), (&before[1], NOW));
    assert_eq!((&listed[2].kid, listed[2].since), (&before[0], NOW));
    assert_eq!(listed[2].until, Some(NOW.after(30 * DAY + Duration::from_hours(1))));
}

#[test]
fn a_folder_looks_the_same_until_something_in_it_changes() {
    let (folder, _) = opened(RingName::Session);
    let look = || FolderState::of(folder.path()).unwrap();
    let before = look();

    assert_eq!(look(), before);
    rotate(&folder, RingName::Session, NOW);
    let rotated = look();
    assert_ne!(rotated, before);
    fs::set_permissions(folder.path().join("session.pem"), fs::Permissions::from_mode(0o400)).unwrap();
    assert_ne!(look(), rotated);
}
