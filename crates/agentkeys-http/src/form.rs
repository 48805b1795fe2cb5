use std::borrow::Cow;

use agentkeys_api::ErrorCode;
use axum::extract::Request;
use http::{HeaderMap, header};

use crate::{Refusal, body};

/// More than any form of ours has.
const MOST: usize = 64;

/// The parameters of a query or a form (RFC 6749 appendix B). None stands twice, and an empty one is as good as none.
#[derive(Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `name=value&…`.
    ///
    /// # Errors
    ///
    /// `invalid_field` when a parameter stands twice, or when there are more than any form has.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if parameters.len() == MOST || parameters.iter().any(|(known, _)| *known == name) {
                return Err(Refusal::new(ErrorCode::InvalidField, "a parameter stands twice, or there are too many"));
            }
            parameters.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter, unless it is absent or empty.
    pub fn find(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    ///
    /// `invalid_field` when it is absent or empty.
    pub fn required(&self, name: &'static str) -> Result<&str, Refusal> {
        let missing = || Refusal::new(ErrorCode::InvalidField, Cow::from(format!("`{name}` is missing")));
        self.find(name).ok_or_else(missing)
    }
}

/// The parameters in the body of a form.
///
/// # Errors
///
/// `unsupported_media_type` for anything but a form, `body_too_large`, and those of [`Parameters::parse`].
pub async fn form(request: Request) -> Result<Parameters, Refusal> {
    if !is_form(request.headers()) {
        let detail = "the body must be application/x-www-form-urlencoded";
        return Err(Refusal::new(ErrorCode::UnsupportedMediaType, detail));
    }
    let bytes = body::read_all(request).await?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Refusal::new(ErrorCode::InvalidField, "the form is no text"))?;
    Parameters::parse(text)
}

fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else { return false };
    let media_type = content_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_parameter_is_found_and_an_empty_one_is_none() {
        let parameters = Parameters::parse("code=a+b%2Bc&state=").unwrap();

        assert_eq!(parameters.find("code"), Some("a b+c"));
        assert_eq!(parameters.find("state"), None);
        assert_eq!(parameters.required("state").unwrap_err().problem().error, ErrorCode::InvalidField);
    }

    #[test]
    fn a_parameter_that_stands_twice_is_refused() {
        assert!(Parameters::parse("code=a&code=a").is_err());
        assert!(Parameters::parse("a=&%61=").is_err());
        let many: Vec<String> = (0..65).map(|number| format!("p{number}=x")).collect();
        assert!(Parameters::parse(&many.join("&")).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = Parameters::parse(&text);
        }
    }
}
