use agentkeys_types::is_invisible;

const LONGEST_CODE: usize = 64;
const LONGEST_DESCRIPTION: usize = 200;

/// Why a provider did not sign somebody in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// What the provider says of the person does not hold: nobody is signed in by it.
    #[error(
        "the identity provider's answer does not prove who signed in: start again, and tell the operator if it stays"
    )]
    IdTokenInvalid,
    /// The answer is of another provider than the one that was asked.
    #[error("the answer is of another identity provider than the one that was asked: start again")]
    IssuerMismatch,
    /// The provider said no.
    #[error("the identity provider refused the sign-in ({code}): start again")]
    Refused {
        /// The error code of RFC 6749, or `unknown_error`.
        code: String,
        /// What the provider says about it, in characters that can be shown; still foreign text.
        description: Option<String>,
    },
    /// The provider cannot be reached, or is not an OpenID Provider that can be used.
    #[error("the identity provider cannot be used at the moment: try again in a minute, or sign in another way")]
    Unavailable,
}

impl ProviderError {
    /// The refusal that a provider's `error` and `error_description` say.
    pub fn refused(code: &str, description: Option<&str>) -> Self {
        let speakable = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let is_code = (1..=LONGEST_CODE).contains(&code.len()) && code.bytes().all(speakable);
        let code = if is_code { code } else { "unknown_error" }.to_owned();
        let description = description.map(presentable).filter(|text| !text.is_empty());
        Self::Refused { code, description }
    }
}

/// Foreign text as one line without anything that moves, hides or turns what stands around it.
fn presentable(text: &str) -> String {
    let words = text.split(|character: char| character.is_whitespace() || character.is_control());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    line.chars().filter(|character| !is_invisible(*character)).take(LONGEST_DESCRIPTION).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_code() {
        let error = ProviderError::refused("access_denied", Some("Ada said no."));

        let description = Some("Ada said no.".to_owned());
        assert_eq!(error, ProviderError::Refused { code: "access_denied".to_owned(), description });
    }

    #[test]
    fn a_code_that_is_none_is_not_repeated() {
        for code in ["", "<script>", "access denied", "a\u{0}", &"a".repeat(65)] {
            let error = ProviderError::refused(code, None);

            let expected = ProviderError::Refused { code: "unknown_error".to_owned(), description: None };
            assert_eq!(error, expected, "{code}");
        }
    }

    #[test]
    fn a_description_is_one_short_line_of_visible_characters() {
        let text = format!("\u{1b}[31mgo\r\nto\u{202e} evil\u{200b}.example {}", "x".repeat(1000));

        let ProviderError::Refused { description: Some(description), .. } =
            ProviderError::refused("invalid_grant", Some(&text))
        else {
            panic!("it is a refusal with a description");
        };

        assert!(description.starts_with("[31mgo to evil.example xxx"), "{description}");
        assert_eq!(description.chars().count(), LONGEST_DESCRIPTION);
    }
}
