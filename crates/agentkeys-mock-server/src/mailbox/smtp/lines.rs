/// RFC 5321 section 4.5.3.1.6: the longest line of a message, with its CRLF and a doubled dot.
const LONGEST_LINE: usize = 1001;

/// Why there is no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadLine {
    /// A carriage return or a line feed without the other. Servers that disagree about where a message ends can
    /// be made to see mails that nobody sent.
    BareEnd,
    /// More bytes than a line has.
    TooLong,
}

/// Cuts what arrives into lines, in bounded memory.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    searched: usize,
    is_overlong: bool,
}

impl Lines {
    /// Takes what arrived. The caller goes on with [`Lines::next`] until there is no line.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line, without its CRLF.
    pub(super) fn next(&mut self) -> Option<Result<Vec<u8>, BadLine>> {
        let Some(offset) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
            if self.buffer.len() > LONGEST_LINE {
                self.is_overlong = true;
                // The last byte says whether the line will end rightly.
                self.buffer.drain(..self.buffer.len() - 1);
            }
            self.searched = self.buffer.len();
            return None;
        };
        let mut line: Vec<u8> = self.buffer.drain(..=self.searched + offset).collect();
        self.searched = 0;
        let is_overlong = std::mem::take(&mut self.is_overlong) || line.len() > LONGEST_LINE;
        line.pop();
        if line.pop() != Some(b'\r') || line.contains(&b'\r') {
            return Some(Err(BadLine::BareEnd));
        }
        Some(if is_overlong { Err(BadLine::TooLong) } else { Ok(line) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<Result<Vec<u8>, BadLine>> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for chunk in chunks {
            lines.push(chunk);
            found.extend(std::iter::from_fn(|| lines.next()));
        }
        found
    }

    #[test]
    fn lines_end_with_crlf_wherever_they_are_cut() {
        assert_eq!(lines(&[b"a\r", b"\nb", b"c\r\n\r\n"]), [Ok(b"a".to_vec()), Ok(b"bc".to_vec()), Ok(Vec::new())]);
    }

    #[test]
    fn half_a_line_end_is_none() {
        assert_eq!(lines(&[b"a\nb\r\n"]), [Err(BadLine::BareEnd), Ok(b"b".to_vec())]);
        assert_eq!(lines(&[b"a\rb\r\n"]), [Err(BadLine::BareEnd)]);
        assert_eq!(lines(&[b"\n"]), [Err(BadLine::BareEnd)]);
        assert_eq!(lines(&[&[b'a'; 4096], b"\n"]), [Err(BadLine::BareEnd)]);
        assert_eq!(lines(&[&[b'a'; 4096], b"\r\n"]), [Err(BadLine::TooLong)]);
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let mut lines = Lines::default();

        for _ in 0..1000 {
            lines.push(&[b'a'; 4096]);
            assert!(lines.next().is_none());
            assert!(lines.buffer.len() <= LONGEST_LINE);
        }
        lines.push(b"\r\nb\r\n");

        assert_eq!(lines.next(), Some(Err(BadLine::TooLong)));
        assert_eq!(lines.next(), Some(Ok(b"b".to_vec())));
    }

    proptest! {
        #[test]
        fn the_cuts_do_not_matter(bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a')], 0..64), cut in 0_usize..64) {
            let cut = cut.min(bytes.len());

            prop_assert_eq!(lines(&[&bytes]), lines(&[&bytes[..cut], &bytes[cut..]]));
        }
    }
}
