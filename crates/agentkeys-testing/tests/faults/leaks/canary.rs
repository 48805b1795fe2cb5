use std::collections::{BTreeSet, HashMap};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// How long the pieces are in which a long secret is looked for: a part of it is a leak too.
const PIECE: usize = 16;
/// By so many first bytes a needle is found.
const START: usize = 8;

/// A secret that must turn up nowhere.
pub(super) struct Canary {
    name: &'static str,
    /// What its owner handles.
    whole: String,
    /// What of it is secret.
    secret: String,
    /// The bytes that the text stands for.
    decoded: Vec<u8>,
}

impl Canary {
    /// A secret that is nothing but its text.
    pub(super) fn text(name: &'static str, secret: &str) -> Self {
        Self { name, whole: secret.to_owned(), secret: secret.to_owned(), decoded: Vec::new() }
    }

    /// A secret in hex.
    pub(super) fn hex(name: &'static str, secret: &str) -> Self {
        Self { decoded: hex::decode(secret).unwrap(), ..Self::text(name, secret) }
    }

    /// A secret in base64.
    pub(super) fn base64(name: &'static str, secret: &str) -> Self {
        let decoded = STANDARD_NO_PAD.decode(secret.trim_end_matches('=')).unwrap();
        Self { decoded, ..Self::text(name, secret) }
    }

    /// A compact JWS: its signature alone makes it one, all else can be read from the record.
    pub(super) fn token(name: &'static str, token: &str) -> Self {
        let signature = token.rsplit('.').next().unwrap();
        let decoded = URL_SAFE_NO_PAD.decode(signature).unwrap();
        Self { whole: token.to_owned(), decoded, ..Self::text(name, signature) }
    }

    /// The secret as its owner handles it.
    pub(super) fn whole(&self) -> &str {
        &self.whole
    }

    /// Its encodings, each with all that may be seen of it.
    fn encodings(&self) -> Vec<(Encoding, Vec<u8>)> {
        let pieces = pieces(self.secret.as_bytes());
        let mut encodings = Vec::new();
        for encoding in Encoding::OF_TEXT {
            encodings.extend(pieces.iter().flat_map(|piece| encoding.seen(piece)).map(|seen| (encoding, seen)));
        }
        encodings.extend(pieces_or_none(&self.decoded).into_iter().map(|piece| (Encoding::Decoded, piece.to_vec())));
        encodings
    }
}

/// How a secret may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Encoding {
    Plain,
    LowerHex,
    UpperHex,
    Base64,
    Base64Url,
    Percent,
    PercentAll,
    Decoded,
}

impl Encoding {
    const OF_TEXT: [Self; 7] =
        [Self::Plain, Self::LowerHex, Self::UpperHex, Self::Base64, Self::Base64Url, Self::Percent, Self::PercentAll];

    /// What of `piece` is seen wherever it stands in a text in this encoding.
    fn seen(self, piece: &[u8]) -> Vec<Vec<u8>> {
        match self {
            Self::Plain => vec![piece.to_vec()],
            Self::LowerHex => vec![hex::encode(piece).into_bytes()],
            Self::UpperHex => vec![hex::encode_upper(piece).into_bytes()],
            Self::Base64 => in_base64(&STANDARD_NO_PAD, piece),
            Self::Base64Url => in_base64(&URL_SAFE_NO_PAD, piece),
            Self::Percent => vec![percent(piece, |byte| !byte.is_ascii_alphanumeric() && !b"-._~".contains(byte))],
            Self::PercentAll => vec![percent(piece, |_| true)],
            Self::Decoded => vec![],
        }
    }
}

/// In base64 the same bytes look different after a multiple of three bytes, one more, and two more.
fn in_base64(engine: &impl Engine, piece: &[u8]) -> Vec<Vec<u8>> {
    let after = |before: usize| {
        let text = engine.encode([vec![0; before], piece.to_vec()].concat());
        // Only the characters that all neighbours leave alone.
        let (first, last) = ((before * 8).div_ceil(6), (before + piece.len()) * 8 / 6);
        text.as_bytes()[first..last].to_vec()
    };
    (0..3).map(after).collect()
}

fn percent(piece: &[u8], is_reserved: impl Fn(&u8) -> bool) -> Vec<u8> {
    let byte = |byte: &u8| if is_reserved(byte) { format!("%{byte:02X}").into_bytes() } else { vec![*byte] };
    piece.iter().flat_map(byte).collect()
}

/// The whole of a short secret; a long one in pieces that cover it.
fn pieces(secret: &[u8]) -> Vec<&[u8]> {
    if secret.len() < 2 * PIECE {
        return vec![secret];
    }
    let last = &secret[secret.len() - PIECE..];
    secret.chunks_exact(PIECE).chain([last]).collect()
}

fn pieces_or_none(bytes: &[u8]) -> Vec<&[u8]> {
    if bytes.is_empty() { vec![] } else { pieces(bytes) }
}

/// Everything that must not be found, in every encoding.
pub(super) struct Search {
    needles: HashMap<[u8; START], Vec<Needle>>,
}

struct Needle {
    name: &'static str,
    encoding: Encoding,
    bytes: Vec<u8>,
}

impl Search {
    pub(super) fn of(canaries: &[Canary]) -> Self {
        let mut needles: HashMap<_, Vec<Needle>> = HashMap::new();
        for canary in canaries {
            for (encoding, bytes) in canary.encodings() {
                let start = *bytes.first_chunk().expect("no secret is shorter than a start");
                needles.entry(start).or_default().push(Needle { name: canary.name, encoding, bytes });
            }
        }
        Self { needles }
    }

    /// What is found in `bytes`, and how it is written there.
    pub(super) fn find(&self, bytes: &[u8]) -> BTreeSet<(&'static str, Encoding)> {
        let mut found = BTreeSet::new();
        for (position, start) in bytes.windows(START).enumerate() {
            for needle in self.needles.get(start).into_iter().flatten() {
                if bytes[position..].starts_with(&needle.bytes) {
                    found.insert((needle.name, needle.encoding));
                }
            }
        }
        found
    }
}

mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    const LOG: &[u8] = b"2026-12-22T10:00:00Z TRACE agentkeys_broker: a line that holds nothing\n";

    fn canaries() -> [Canary; 4] {
        let token = format!("aks_eyJhbGciOiJFUzI1NiJ9.e30.{}", URL_SAFE_NO_PAD.encode([0xfb; 64]));
        [
            Canary::text("code", "K7Q4MF2X"),
            Canary::hex("request id", &"0123456789abcdef".repeat(4)),
            Canary::base64("secret access key", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEK+"),
            Canary::token("session token", &token),
        ]
    }

    /// The log with `leak` in its middle.
    fn log_with(leak: impl AsRef<[u8]>) -> Vec<u8> {
        [LOG, b"INFO leak=", leak.as_ref(), b"; and on\n", LOG].concat()
    }

    #[test]
    fn a_clean_log_has_no_hits() {
        assert!(Search::of(&canaries()).find(&log_with("nothing")).is_empty());
    }

    #[test]
    fn a_planted_leak_is_found_in_each_encoding() {
        let canaries = canaries();
        let search = Search::of(&canaries);
        for Canary { name, secret, decoded, .. } in &canaries {
            let found = |encoding, leak: &[u8]| {
                let found = search.find(&log_with(leak));
                assert!(found.contains(&(*name, encoding)), "{name} {encoding:?}: {found:?}");
            };
            found(Encoding::Plain, secret.as_bytes());
            found(Encoding::LowerHex, hex::encode(secret).as_bytes());
            found(Encoding::UpperHex, hex::encode_upper(secret).as_bytes());
            for before in ["", "a", "ab"] {
                let text = format!("{before}{secret} and more");
                found(Encoding::Base64, STANDARD.encode(&text).as_bytes());
                found(Encoding::Base64Url, URL_SAFE.encode(&text).as_bytes());
            }
            found(Encoding::Percent, url_encoded(secret).as_bytes());
            let all: Vec<String> = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
            found(Encoding::PercentAll, all.concat().as_bytes());
            if !decoded.is_empty() {
                found(Encoding::Decoded, decoded);
            }
        }
    }

    #[test]
    fn half_of_a_long_secret_is_a_leak_too() {
        let canaries = canaries();
        let search = Search::of(&canaries);
        for Canary { name, secret, .. } in &canaries[1..] {
            let found = search.find(&log_with(&secret[5..5 + 2 * PIECE]));

            assert!(found.contains(&(*name, Encoding::Plain)), "{name}: {found:?}");
        }
    }

    fn url_encoded(text: &str) -> String {
        let url = reqwest::Url::parse_with_params("http://a/", [("", text)]).unwrap();
        url.query().unwrap().trim_start_matches('=').to_owned()
    }
}
