use agentkeys_crypto::random;

/// The letters and digits of AWS's ids: base32.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// An id as AWS makes them: a prefix that says what it names, then 16 letters and digits.
pub(super) fn aws_id(prefix: &str) -> String {
    let letters = random::<16>().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    prefix.chars().chain(letters).collect()
}

/// A role that can be assumed.
#[derive(Debug)]
pub(super) struct Role {
    arn: String,
    account: String,
    name: String,
    id: String,
}

impl Role {
    /// The role with this ARN; `None` when it is no ARN of a role.
    pub(super) fn new(arn: &str) -> Option<Self> {
        let (account, path) = arn.strip_prefix("arn:aws:iam::")?.split_once(":role/")?;
        let name = path.rsplit('/').next().filter(|name| !name.is_empty())?;
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self { arn: arn.to_owned(), account: account.to_owned(), name: name.to_owned(), id: aws_id("AROA") })
    }

    pub(super) fn arn(&self) -> &str {
        &self.arn
    }

    /// How AWS names whoever has assumed the role under a session name.
    pub(super) fn assumed_as(&self, session_name: &str) -> AssumedRole {
        AssumedRole {
            account: self.account.clone(),
            arn: format!("arn:aws:sts::{}:assumed-role/{}/{session_name}", self.account, self.name),
            id: format!("{}:{session_name}", self.id),
        }
    }

    /// How AWS names the provider of an issuer.
    pub(super) fn provider_arn(&self, issuer: &str) -> String {
        let name = issuer.split_once("://").map_or(issuer, |(_, name)| name);
        format!("arn:aws:iam::{}:oidc-provider/{name}", self.account)
    }
}

/// Someone who has assumed a role.
#[derive(Clone, Debug)]
pub(super) struct AssumedRole {
    pub(super) account: String,
    pub(super) arn: String,
    pub(super) id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assumed_role_is_named_as_aws_names_it() {
        let role = Role::new("arn:aws:iam::000000000000:role/team/agentkeys-dev").unwrap();

        assert_eq!(role.assumed_as("ada").arn, "arn:aws:sts::000000000000:assumed-role/agentkeys-dev/ada");
        assert_eq!(
            role.provider_arn("http://127.0.0.1:8470"),
            "arn:aws:iam::000000000000:oidc-provider/127.0.0.1:8470"
        );
    }

    #[test]
    fn other_arns_are_no_roles() {
        for arn in
            ["", "arn:aws:iam::000000000000:user/ada", "arn:aws:iam::0:role/x", "arn:aws:iam::000000000000:role/"]
        {
            assert!(Role::new(arn).is_none(), "{arn}");
        }
    }
}
