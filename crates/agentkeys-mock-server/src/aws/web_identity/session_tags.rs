use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::aws::sts::StsError;

const MOST_TAGS: usize = 50;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;
/// The space for all tags of a session. AWS packs them in a form of its own and does not say how large it may
/// become; this counts characters.
const SPACE: usize = 4096;

/// The session tags that a token carries, within AWS's limits.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::aws) struct SessionTags(BTreeMap<String, String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagsClaim {
    principal_tags: BTreeMap<String, [String; 1]>,
    #[serde(default)]
    transitive_tag_keys: Vec<String>,
}

impl SessionTags {
    /// The claim that carries them.
    pub(super) const CLAIM: &str = "https://aws.amazon.com/tags";

    /// Reads the claim in AWS's nested form. A token without it has no tags.
    pub(super) fn read(claim: Option<&Value>) -> Result<Self, StsError> {
        let refused = StsError::InvalidIdentityToken;
        let Some(claim) = claim else { return Ok(Self::default()) };
        let claim = TagsClaim::deserialize(claim).map_err(|_| {
            refused("The tags claim must be {principal_tags: {key: [value]}, transitive_tag_keys: [key]}")
        })?;
        let tags: BTreeMap<_, _> = claim.principal_tags.into_iter().map(|(key, [value])| (key, value)).collect();
        if tags.len() > MOST_TAGS {
            return Err(refused("A session has at most 50 tags"));
        }
        if !tags.iter().all(|(key, value)| is_key(key) && is_value(value)) {
            return Err(refused("A tag's key has 1 to 128 characters, its value at most 256, of AWS's alphabet"));
        }
        if tags.keys().map(|key| key.to_lowercase()).collect::<BTreeSet<_>>().len() < tags.len() {
            return Err(refused("Tag keys must differ in more than case"));
        }
        if !claim.transitive_tag_keys.iter().all(|key| tags.contains_key(key)) {
            return Err(refused("Transitive tag keys must be keys of tags"));
        }
        let tags = Self(tags);
        if tags.packed_size() > 100 { Err(StsError::PackedPolicyTooLarge) } else { Ok(tags) }
    }

    /// How much of the space for tags they take, in percent.
    pub(in crate::aws) fn packed_size(&self) -> usize {
        let characters: usize = self.0.iter().map(|(key, value)| key.len() + value.len()).sum();
        (characters * 100).div_ceil(SPACE)
    }

    pub(in crate::aws) fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }
}

fn is_key(key: &str) -> bool {
    let reserved = key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"));
    (1..=LONGEST_KEY).contains(&key.chars().count()) && is_of_alphabet(key) && !reserved
}

fn is_value(value: &str) -> bool {
    value.chars().count() <= LONGEST_VALUE && is_of_alphabet(value)
}

/// Letters, numbers, spaces and `_.:/=+-@`.
fn is_of_alphabet(text: &str) -> bool {
    text.chars().all(|character| {
        character.is_alphanumeric() || "_.:/=+-@".contains(character) || character == ' ' || character == '\u{a0}'
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(claim: &Value) -> Result<SessionTags, String> {
        SessionTags::read(Some(claim)).map_err(|error| error.to_string())
    }

    fn many(count: usize, value: &str) -> Value {
        let tags: BTreeMap<_, _> = (0..count).map(|number| (format!("key{number}"), [value])).collect();
        json!({"principal_tags": tags})
    }

    #[test]
    fn the_nested_form_is_read() {
        let tags = read(&json!({"principal_tags": {"team": ["a"]}, "transitive_tag_keys": ["team"]})).unwrap();

        assert_eq!(tags.into_map(), BTreeMap::from([("team".to_owned(), "a".to_owned())]));
    }

    #[test]
    fn the_tags_of_an_agent_are_read_and_leave_room() {
        let values = [
            ("agentkeys_user_wallet", format!("0x{}", "a".repeat(40))),
            ("agentkeys_account", "a".repeat(64)),
            ("agentkeys_session", "a".repeat(32)),
            ("agentkeys_agent", "a-9".repeat(10)),
        ];
        let tags: BTreeMap<_, _> = values.iter().map(|(key, value)| (*key, [value])).collect();
        let keys: Vec<_> = values.iter().map(|(key, _)| key).collect();

        let read = read(&json!({"principal_tags": tags, "transitive_tag_keys": keys})).unwrap();

        assert!(read.packed_size() <= 10, "{}", read.packed_size());
        assert_eq!(read.into_map(), values.map(|(key, value)| (key.to_owned(), value)).into());
    }

    #[test]
    fn no_claim_is_no_tags() {
        assert_eq!(SessionTags::read(None).unwrap(), SessionTags::default());
    }

    #[test]
    fn aws_limits_hold() {
        assert!(read(&many(50, "v")).is_ok());
        assert!(read(&json!({"principal_tags": {"k".repeat(128): ["v".repeat(256)]}})).is_ok());
        for claim in [
            many(51, "v"),
            many(50, &"v".repeat(256)),
            json!({"principal_tags": {"k".repeat(129): ["v"]}}),
            json!({"principal_tags": {"k": ["v".repeat(257)]}}),
            json!({"principal_tags": {"": ["v"]}}),
            json!({"principal_tags": {"aws:k": ["v"]}}),
            json!({"principal_tags": {"k": ["a*"]}}),
            json!({"principal_tags": {"k": ["a", "b"]}}),
            json!({"principal_tags": {"k": []}}),
            json!({"principal_tags": {"k": "a"}}),
            json!({"principal_tags": {"k": [1]}}),
            json!({"principal_tags": {"k": ["a"], "K": ["b"]}}),
            json!({"principal_tags": {"k": ["a"]}, "transitive_tag_keys": ["other"]}),
            json!({"principal_tags": {}, "more": 1}),
            json!([]),
            json!("k=v"),
        ] {
            assert!(read(&claim).is_err(), "{claim}");
        }
    }
}
