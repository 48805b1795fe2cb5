use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use agentkeys_tlog::verify_chain;

use super::{Line, LogError};

pub use agentkeys_tlog::Chain as Verified;
pub(super) use agentkeys_tlog::ChainHead as Head;

/// Writes `line` behind `head` to `lines`, and gives its hash.
pub(super) fn write(head: Head, line: &Line, lines: &mut Vec<u8>) -> io::Result<Head> {
    let start = lines.len();
    serde_json::to_writer(&mut *lines, line)?;
    Ok(head.seal(lines, start))
}

/// Checks every line of the signing log at `path`.
///
/// Finds every change of a byte; entries missing at the end can only be told from a copy of the last hash.
pub fn verify(path: &Path) -> Result<Verified, LogError> {
    check(BufReader::with_capacity(64 * 1024, File::open(path)?))
}

pub(super) fn check(lines: impl BufRead) -> Result<Verified, LogError> {
    Ok(verify_chain(lines, &mut |_| {})?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signing_log::entry::tests::line;

    fn three_lines() -> Vec<u8> {
        let mut lines = Vec::new();
        (0..3).try_fold(Head::default(), |head, number| write(head, &line(number), &mut lines)).unwrap();
        lines
    }

    #[test]
    fn a_line_is_a_json_object_with_every_field() {
        let lines = three_lines();
        let first = lines.split(|byte| *byte == b'\n').next().unwrap();

        let json: serde_json::Value = serde_json::from_slice(first).unwrap();

        let fields: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["time", "account", "address", "message", "session", "outcome", "hash"]);
        assert_eq!(json["time"], "2027-01-15T08:00:00Z");
        assert_eq!(json["outcome"], "allowed");
    }

    #[test]
    fn an_untouched_log_is_in_order_and_a_torn_line_is_counted_apart() {
        let lines = three_lines();
        let length = lines.len() as u64;

        let whole = check(lines.as_slice()).unwrap();
        let torn = check(&lines[..lines.len() - 1]).unwrap();

        assert_eq!((whole.entries, whole.length, whole.torn), (3, length, 0));
        assert_eq!((torn.entries, torn.torn, torn.length + torn.torn), (2, length / 3 - 1, length - 1));
    }

    #[test]
    fn a_line_that_is_missing_or_moved_breaks_the_chain() {
        let lines = three_lines();
        let of = |order: &[usize]| -> Vec<u8> {
            let each: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
            order.iter().flat_map(|index| each[*index].iter().copied()).collect()
        };
        for (order, wrong) in [(&[1, 2][..], 1), (&[0, 2], 2), (&[0, 2, 1], 2), (&[0, 1, 1, 2], 3)] {
            let found = check(of(order).as_slice()).unwrap_err();

            assert!(matches!(found, LogError::Broken { line } if line == wrong), "{order:?}: {found}");
        }
    }

    proptest! {
        #[test]
        fn a_change_of_any_byte_is_found(position in any::<prop::sample::Index>(), flip in 1..=u8::MAX) {
            let mut lines = three_lines();
            let length = lines.len();
            lines[position.index(length)] ^= flip;

            let found = check(lines.as_slice());

            prop_assert!(found.is_err() || found.is_ok_and(|verified| verified.torn > 0 && verified.entries < 3));
        }

        #[test]
        fn no_bytes_make_the_check_panic(bytes in any::<Vec<u8>>()) {
            let _ = check(bytes.as_slice());
        }
    }
}
