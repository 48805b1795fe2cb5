use agentkeys_types::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{SessionTags, WebIdentity};
use crate::aws::{Trust, sts::StsError};

const LONGEST_SUBJECT: usize = 255;

/// The claims of a token whose signature is right.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// Checks every claim that AWS looks at.
    ///
    /// There is no leeway: a token counts from `nbf` and `iat` on, up to and not at `exp`.
    pub(super) fn check(&self, trust: &Trust, now: Timestamp) -> Result<WebIdentity, StsError> {
        if self.text("iss") != Some(&trust.issuer) {
            return Err(StsError::InvalidIdentityToken("Incorrect token issuer"));
        }
        let audience = self.audience().filter(|audience| trust.audiences.iter().any(|known| known == audience));
        let audience = audience.ok_or(StsError::InvalidIdentityToken("Incorrect token audience"))?;
        let subject = self
            .text("sub")
            .filter(|subject| !subject.is_empty() && subject.chars().count() <= LONGEST_SUBJECT)
            .ok_or(StsError::InvalidIdentityToken("The subject must be text of at most 255 characters"))?;
        self.check_times(now)?;
        Ok(WebIdentity {
            issuer: trust.issuer.clone(),
            subject: subject.to_owned(),
            audience: audience.to_owned(),
            tags: SessionTags::read(self.0.get(SessionTags::CLAIM))?,
        })
    }

    fn check_times(&self, now: Timestamp) -> Result<(), StsError> {
        let times = (self.time("iat")?, self.time("exp")?);
        let missing = StsError::InvalidIdentityToken("The claims iat and exp are required");
        let (Some(issued_at), Some(expired_at)) = times else { return Err(missing) };
        if now >= expired_at {
            return Err(StsError::ExpiredWebIdentity { now, expired_at });
        }
        let not_before = self.time("nbf")?.unwrap_or(issued_at);
        if now < issued_at || now < not_before {
            return Err(StsError::InvalidIdentityToken("The token does not count yet"));
        }
        Ok(())
    }

    /// The one audience, also as an array of one, which `azp` may only repeat.
    fn audience(&self) -> Option<&str> {
        let audience = match self.0.get("aud")? {
            Value::Array(audiences) => match audiences.as_slice() {
                [audience] => audience.as_str()?,
                _ => return None,
            },
            audience => audience.as_str()?,
        };
        self.0.get("azp").is_none_or(|party| party == audience).then_some(audience)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>, StsError> {
        let read = |value: &Value| value.as_i64().map(Timestamp::from_unix);
        let not_a_time = StsError::InvalidIdentityToken("Times must be integers");
        self.0.get(name).map(|value| read(value).ok_or(not_a_time)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What the check says at 1000 to good claims in which `changed` differs; a null takes a claim away.
    fn check(changed: Value) -> Result<String, String> {
        let mut claims = json!({
            "iss": "https://issuer.example", "sub": "wallet:0xada", "aud": "sts.amazonaws.com",
            "iat": 1000, "nbf": 1000, "exp": 1300,
        });
        let Value::Object(changed) = changed else { panic!("claims are an object") };
        for (name, value) in changed {
            claims[name] = value;
        }
        let claims = claims.as_object().unwrap().clone().into_iter().filter(|(_, value)| !value.is_null());
        let trust =
            Trust { issuer: "https://issuer.example".to_owned(), audiences: vec!["sts.amazonaws.com".to_owned()] };
        let identity = Claims(claims.collect()).check(&trust, Timestamp::from_unix(1000));
        identity.map(|identity| identity.subject).map_err(|error| error.to_string())
    }

    #[test]
    fn good_claims_pass() {
        for changed in [json!({}), json!({"nbf": null}), json!({"aud": ["sts.amazonaws.com"]}), json!({"exp": 1001})] {
            assert_eq!(check(changed.clone()), Ok("wallet:0xada".to_owned()), "{changed}");
        }
    }

    #[test]
    fn each_wrong_claim_is_refused() {
        for (changed, reason) in [
            (json!({"iss": "https://issuer.example/"}), "issuer"),
            (json!({"iss": null}), "issuer"),
            (json!({"aud": "other"}), "audience"),
            (json!({"aud": ["sts.amazonaws.com", "other"]}), "audience"),
            (json!({"aud": []}), "audience"),
            (json!({"aud": null}), "audience"),
            (json!({"azp": "other"}), "audience"),
            (json!({"sub": null}), "subject"),
            (json!({"sub": ""}), "subject"),
            (json!({"sub": 7}), "subject"),
            (json!({"sub": "s".repeat(256)}), "subject"),
            (json!({"exp": 1000}), "expired"),
            (json!({"exp": -1}), "expired"),
            (json!({"exp": null}), "required"),
            (json!({"iat": null}), "required"),
            (json!({"exp": "1300"}), "integers"),
            (json!({"exp": 1300.5}), "integers"),
            (json!({"exp": 1e308}), "integers"),
            (json!({"iat": "1000"}), "integers"),
            (json!({"nbf": [1000]}), "integers"),
            (json!({"nbf": 1001}), "not count yet"),
            (json!({"iat": 1001}), "not count yet"),
        ] {
            assert!(check(changed.clone()).unwrap_err().contains(reason), "{changed}");
        }
    }
}
