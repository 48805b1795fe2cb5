/// Appends `leaf` to a bundle of entries (C2SP tlog-tiles): its length in two bytes, and itself.
///
/// `false`, and nothing appended, when it is longer than two bytes can tell.
#[must_use]
pub fn push_leaf(bundle: &mut Vec<u8>, leaf: &[u8]) -> bool {
    let Ok(length) = u16::try_from(leaf.len()) else { return false };
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(leaf);
    true
}

/// The leaves of a bundle of entries; `None` when it ends in the middle of one.
pub fn leaves(bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut rest, mut leaves) = (bundle, Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (leaf, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        leaves.push(leaf);
        rest = behind;
    }
    rest.is_empty().then_some(leaves)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bundle_that_ends_in_the_middle_has_no_leaves() {
        assert_eq!(leaves(b""), Some(vec![]));
        assert_eq!(leaves(b"\0\x02ab\0\0"), Some(vec![&b"ab"[..], b""]));
        for torn in [&b"\0"[..], b"\0\x01", b"\0\x02a", b"\0\x01ab"] {
            assert_eq!(leaves(torn), None);
        }
        assert!(!push_leaf(&mut Vec::new(), &vec![0; 65_536]));
    }

    proptest! {
        #[test]
        fn leaves_read_back(each in prop::collection::vec(any::<Vec<u8>>(), 0..20)) {
            let mut bundle = Vec::new();
            for leaf in &each {
                prop_assert!(push_leaf(&mut bundle, leaf));
            }

            prop_assert_eq!(leaves(&bundle).unwrap(), each);
        }

        #[test]
        fn no_bytes_make_the_parser_panic_and_what_it_reads_it_writes(bytes: Vec<u8>) {
            if let Some(leaves) = leaves(&bytes) {
                let mut bundle = Vec::new();
                prop_assert!(leaves.iter().all(|leaf| push_leaf(&mut bundle, leaf)));
                prop_assert_eq!(bundle, bytes);
            }
        }
    }
}
