use std::{fmt, time::Duration};

use agentkeys_types::{EvmAddress, OmniAccount, Timestamp};

const OPENING: &str = " wants you to sign in with your Ethereum account:";
const STATEMENT: &str = "Prove this wallet for your AgentKeys account.";
/// The longest time for which a challenge may be good.
const LONGEST_WINDOW: Duration = Duration::from_mins(10);
/// 96 random bits take 16 characters, and nobody needs more than these.
const NONCE_LENGTHS: std::ops::RangeInclusive<usize> = 16..=128;

/// An EIP-4361 message that proves a wallet, always with the same statement and one resource.
///
/// Displays as the exact text to sign, and is read from nothing but such a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiweMessage<'a> {
    /// The broker's authority (RFC 3986).
    pub domain: &'a str,
    /// The wallet.
    pub address: EvmAddress,
    /// The broker's URL.
    pub uri: &'a str,
    /// The EIP-155 chain.
    pub chain_id: u64,
    /// At least 96 random bits, alphanumeric.
    pub nonce: &'a str,
    /// When the message was made.
    pub issued_at: Timestamp,
    /// When it stops counting.
    pub expires_at: Timestamp,
    /// The account that the wallet is to be linked to.
    pub account: OmniAccount,
}

/// Why a text is not a challenge that proves a wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SiweError {
    /// The wallet is not an address in EIP-55 form.
    #[error("its wallet is not an address with a right checksum")]
    Address,
    /// It is not the one form that a challenge has.
    #[error("it is not a challenge to prove a wallet")]
    Form,
}

impl<'a> SiweMessage<'a> {
    /// Reads a message that stands there byte for byte as this type displays it.
    pub fn parse(text: &'a str) -> Result<Self, SiweError> {
        Self::read(text.split('\n'))?.filter_own_form(text)
    }

    fn read(mut lines: impl Iterator<Item = &'a str>) -> Result<Self, SiweError> {
        let mut line = |label: &str| lines.next().and_then(|line| line.strip_prefix(label)).ok_or(SiweError::Form);
        let domain = line("")?.strip_suffix(OPENING).ok_or(SiweError::Form)?;
        let wallet = line("")?;
        for expected in ["", STATEMENT, ""] {
            line(expected)?;
        }
        let uri = line("URI: ")?;
        line("Version: 1")?;
        let chain_id = parsed(line("Chain ID: ")?)?;
        let nonce = line("Nonce: ")?;
        let (issued_at, expires_at) = (parsed(line("Issued At: ")?)?, parsed(line("Expiration Time: ")?)?);
        line("Resources:")?;
        let account = parsed(line("- urn:agentkeys:account:")?)?;
        let address = wallet.parse().map_err(|_| SiweError::Address)?;
        Ok(Self { domain, address, uri, chain_id, nonce, issued_at, expires_at, account })
    }

    /// Refuses every other way of writing the same.
    fn filter_own_form(self, text: &str) -> Result<Self, SiweError> {
        let is_plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic());
        let is_nonce =
            NONCE_LENGTHS.contains(&self.nonce.len()) && self.nonce.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_plain(self.domain) || !is_plain(self.uri) || !is_nonce {
            return Err(SiweError::Form);
        }
        if text.split('\n').nth(1) != Some(self.address.to_string().as_str()) {
            return Err(SiweError::Address);
        }
        if self.to_string() == text { Ok(self) } else { Err(SiweError::Form) }
    }

    /// Whether it is good for some time, and for no more than ten minutes.
    pub fn has_short_window(&self) -> bool {
        self.issued_at < self.expires_at && self.expires_at.since(self.issued_at) <= LONGEST_WINDOW
    }
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, SiweError> {
    text.parse().map_err(|_| SiweError::Form)
}

impl fmt::Display for SiweMessage<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, address, uri, chain_id, nonce, issued_at, expires_at, account } = self;
        write!(
            formatter,
            "{domain}{OPENING}\n\
             {address}\n\
             \n\
             {STATEMENT}\n\
             \n\
             URI: {uri}\n\
             Version: 1\n\
             Chain ID: {chain_id}\n\
             Nonce: {nonce}\n\
             Issued At: {issued_at}\n\
             Expiration Time: {expires_at}\n\
             Resources:\n\
             - urn:agentkeys:account:{account}"
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "broker.example.com wants you to sign in with your Ethereum account:\n\
        0x74144a5f826537a8610B136552c6fFEc9D37A6dE\n\
        \n\
        Prove this wallet for your AgentKeys account.\n\
        \n\
        URI: https://broker.example.com\n\
        Version: 1\n\
        Chain ID: 1\n\
        Nonce: 9ZxkQ2mT7vB4nR6sW8yA\n\
        Issued At: 2026-12-22T10:00:00Z\n\
        Expiration Time: 2026-12-22T10:05:00Z\n\
        Resources:\n\
        - urn:agentkeys:account:7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6";

    prop_compose! {
        fn any_message_parts()(
            domain in "[a-z0-9.-]{1,40}(:[0-9]{1,5})?",
            uri in "https://[a-z0-9.-]{1,40}",
            address in any::<[u8; 20]>(),
            chain_id in any::<u64>(),
            nonce in "[A-Za-z0-9]{16,64}",
            times in (0i64..4_000_000_000, 0i64..4_000_000_000),
            account in any::<[u8; 32]>(),
        ) -> (String, String, [u8; 20], u64, String, (i64, i64), [u8; 32]) {
            (domain, uri, address, chain_id, nonce, times, account)
        }
    }

    proptest! {
        #[test]
        fn what_is_rendered_is_read_again((domain, uri, address, chain_id, nonce, times, account) in any_message_parts()) {
            let message = SiweMessage {
                domain: &domain,
                address: EvmAddress::from_bytes(address),
                uri: &uri,
                chain_id,
                nonce: &nonce,
                issued_at: Timestamp::from_unix(times.0),
                expires_at: Timestamp::from_unix(times.1),
                account: OmniAccount::from_bytes(account),
            };

            let text = message.to_string();

            prop_assert_eq!(SiweMessage::parse(&text), Ok(message));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = SiweMessage::parse(&text);
        }

        #[test]
        fn what_is_cut_or_joined_from_a_message_is_read_only_as_itself(
            start in 0..TEXT.len(), end in 0..TEXT.len(), insert in "(?s).{0,3}|\n|\r|\u{202e}|\u{0}",
        ) {
            let (start, end) = (start.min(end), start.max(end));
            let text = format!("{}{insert}{}", &TEXT[..start], &TEXT[end..]);

            if let Ok(message) = SiweMessage::parse(&text) {
                prop_assert_eq!(message.to_string(), text);
            }
        }
    }

    /// The parts of a text in which other characters make another message, and not none.
    fn variable_parts() -> Vec<std::ops::Range<usize>> {
        let find = |part: &str| TEXT.find(part).map(|start| start..start + part.len()).unwrap();
        let mut parts: Vec<_> = ["Nonce: ", "Chain ID: ", "Issued At: ", "Expiration Time: ", "URI: ", "account:7308"]
            .into_iter()
            .map(|label| {
                let start = TEXT.find(label).unwrap() + if label == "account:7308" { 8 } else { label.len() };
                start..start + TEXT[start..].find('\n').unwrap_or(TEXT.len() - start)
            })
            .collect();
        parts.push(find("broker.example.com"));
        parts
    }

    #[test]
    fn a_changed_byte_is_refused_or_changes_what_the_message_says() {
        let original = SiweMessage::parse(TEXT).unwrap();
        let variable = variable_parts();
        for index in 0..TEXT.len() {
            for byte in 0..=0x7f {
                let mut bytes = TEXT.as_bytes().to_vec();
                if bytes[index] == byte {
                    continue;
                }
                bytes[index] = byte;
                let text = String::from_utf8(bytes).unwrap();
                if let Ok(message) = SiweMessage::parse(&text) {
                    assert!(variable.iter().any(|part| part.contains(&index)), "{text}");
                    assert_ne!(message, original, "{text}");
                    assert_eq!(message.to_string(), text);
                }
            }
        }
    }

    #[test]
    fn other_ways_of_writing_the_same_are_refused() {
        for (ours, theirs, error) in [
            (
                "0x74144a5f826537a8610B136552c6fFEc9D37A6dE",
                "0x74144a5f826537a8610b136552c6ffec9d37a6de",
                SiweError::Address,
            ),
            (
                "0x74144a5f826537a8610B136552c6fFEc9D37A6dE",
                "0x74144A5F826537A8610B136552C6FFEC9D37A6DE",
                SiweError::Address,
            ),
            ("Chain ID: 1", "Chain ID: 01", SiweError::Form),
            ("Chain ID: 1", "Chain ID: +1", SiweError::Form),
            ("10:00:00Z", "10:00:00.000Z", SiweError::Form),
            ("10:00:00Z", "10:00:00+00:00", SiweError::Form),
            ("2026-12-22T10:00:00Z", "2026-12-22t10:00:00z", SiweError::Form),
            ("account:7308dcc9", "account:0x7308dcc9", SiweError::Form),
            ("account:7308dcc9", "account:7308DCC9", SiweError::Form),
            ("9ZxkQ2mT7vB4nR6sW8yA", "9ZxkQ2mT7vB4nR6", SiweError::Form),
            ("9ZxkQ2mT7vB4nR6sW8yA", "9ZxkQ2mT7vB4nR6sW8y-", SiweError::Form),
            ("Version: 1", "Version: 2", SiweError::Form),
            ("Resources:", "Request ID: 1\nResources:", SiweError::Form),
            ("cac6e6", "cac6e6\n- https://bank.example.com", SiweError::Form),
            ("cac6e6", "cac6e6\n", SiweError::Form),
            ("broker.example.com wants", " wants", SiweError::Form),
            ("broker.example.com wants", "broker.example.com\u{202e} wants", SiweError::Form),
            ("Prove this", "\nProve this", SiweError::Form),
        ] {
            assert_eq!(SiweMessage::parse(&TEXT.replacen(ours, theirs, 1)), Err(error), "{theirs}");
        }
        assert_eq!(SiweMessage::parse(&TEXT.replace('\n', "\r\n")), Err(SiweError::Form));
    }

    #[test]
    fn a_window_is_some_time_and_at_most_ten_minutes() {
        let message = SiweMessage::parse(TEXT).unwrap();
        for (seconds, is_short) in [(-1, false), (0, false), (1, true), (600, true), (601, false), (i64::MAX, false)] {
            let expires_at = Timestamp::from_unix(message.issued_at.as_unix().saturating_add(seconds));

            assert_eq!(SiweMessage { expires_at, ..message }.has_short_window(), is_short, "{seconds}");
        }
    }
}
