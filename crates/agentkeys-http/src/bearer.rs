use agentkeys_api::{ErrorCode, Problem};
use http::{HeaderMap, header};

/// The token in `Authorization: Bearer …`, as it came in.
///
/// # Errors
///
/// `token_missing` without the header, `ambiguous_auth` with two of them or with a second way of
/// authenticating beside it, `token_invalid` when it holds something else.
pub fn bearer_token(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let missing = || Problem::new(ErrorCode::TokenMissing, "this needs `Authorization: Bearer <session token>`");
    let invalid = || Problem::new(ErrorCode::TokenInvalid, "the session token is not valid");
    let value = values.next().ok_or_else(missing)?;
    let text = value.to_str().map_err(|_| invalid())?;
    if values.next().is_some() || text.contains(',') {
        return Err(Problem::new(ErrorCode::AmbiguousAuth, "there must be one `Authorization`, with one token"));
    }
    let (scheme, unverified_token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") || unverified_token.is_empty() {
        return Err(invalid());
    }
    Ok(unverified_token)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(values: &[&'static str]) -> Result<String, ErrorCode> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        bearer_token(&headers).map(str::to_owned).map_err(|problem| problem.error)
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(value in any::<Vec<u8>>()) {
            if let Ok(value) = http::HeaderValue::from_bytes(&value) {
                let mut headers = HeaderMap::new();
                headers.append(header::AUTHORIZATION, value);
                let _ = bearer_token(&headers);
            }
        }
    }

    #[test]
    fn one_bearer_token_is_found_and_nothing_else() {
        assert_eq!(found(&["Bearer aks_x"]), Ok("aks_x".to_owned()));
        assert_eq!(found(&["bearer aks_x"]), Ok("aks_x".to_owned()));
        assert_eq!(found(&[]), Err(ErrorCode::TokenMissing));
        assert_eq!(found(&["Bearer a", "Bearer b"]), Err(ErrorCode::AmbiguousAuth));
        assert_eq!(found(&["Bearer a", "DPoP b"]), Err(ErrorCode::AmbiguousAuth));
        assert_eq!(found(&["Bearer a, DPoP b"]), Err(ErrorCode::AmbiguousAuth));
        for value in ["Bearer", "Bearer ", "Basic YTpi", "aks_x"] {
            assert_eq!(found(&[value]), Err(ErrorCode::TokenInvalid), "{value}");
        }
    }
}
