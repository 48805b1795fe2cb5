use agentkeys_api::{ErrorCode, Problem};
use agentkeys_crypto::{HolderError, Presentation};
use http::{HeaderMap, HeaderName, header, request::Parts};

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The token of a request to `url`, with what came along to prove it.
///
/// # Errors
///
/// `token_missing` without the header `Authorization`, `ambiguous_auth` with two of them or with a second way of
/// authenticating beside it, `token_invalid` when it holds something else, `dpop_invalid` with two proofs.
pub fn presentation<'r>(parts: &'r Parts, url: &'r str) -> Result<Presentation<'r>, Problem> {
    let Authorization { unverified_token, is_bound } = authorization(&parts.headers)?;
    let unverified_proof = dpop_proof(&parts.headers)?;
    Ok(Presentation { unverified_token, is_bound, unverified_proof, method: parts.method.as_str(), url })
}

/// A token as it came in, and whether as `DPoP`, not as `Bearer`.
struct Authorization<'h> {
    unverified_token: &'h str,
    is_bound: bool,
}

/// The token in `Authorization: Bearer …` or `Authorization: DPoP …` (RFC 6750, RFC 9449 section 7.1).
fn authorization(headers: &HeaderMap) -> Result<Authorization<'_>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let missing = || Problem::new(ErrorCode::TokenMissing, "this needs a session token in `Authorization`");
    let invalid = || Problem::new(ErrorCode::TokenInvalid, "the session token is not valid");
    let value = values.next().ok_or_else(missing)?;
    let text = value.to_str().map_err(|_| invalid())?;
    if values.next().is_some() || text.contains(',') {
        return Err(Problem::new(ErrorCode::AmbiguousAuth, "there must be one `Authorization`, with one token"));
    }
    let (scheme, unverified_token) = text.split_once(' ').unwrap_or((text, ""));
    let is_bound = scheme.eq_ignore_ascii_case("dpop");
    if !(is_bound || scheme.eq_ignore_ascii_case("bearer")) || unverified_token.is_empty() {
        return Err(invalid());
    }
    Ok(Authorization { unverified_token, is_bound })
}

/// The proof in the header `DPoP`, if there is one.
///
/// # Errors
///
/// `dpop_invalid` when there are two, or one that is no text (RFC 9449 section 4.3).
pub fn dpop_proof(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(DPOP).iter();
    let invalid = || Problem::new(ErrorCode::DpopInvalid, "there must be one header `DPoP`, with one proof");
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid());
    }
    value.to_str().map(Some).map_err(|_| invalid())
}

/// The code that goes with a token that is not presented by its holder: the same at every server.
pub fn holder_code(error: HolderError) -> ErrorCode {
    match error {
        HolderError::Invalid => ErrorCode::DpopInvalid,
        HolderError::NotBound => ErrorCode::TokenInvalid,
        HolderError::Replayed => ErrorCode::DpopReplayed,
        HolderError::Required => ErrorCode::DpopRequired,
        HolderError::UseNonce => ErrorCode::UseDpopNonce,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(values: &[&'static str]) -> Result<(String, bool), ErrorCode> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        let found = authorization(&headers).map_err(|problem| problem.error)?;
        Ok((found.unverified_token.to_owned(), found.is_bound))
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(value in any::<Vec<u8>>()) {
            if let Ok(value) = http::HeaderValue::from_bytes(&value) {
                let mut headers = HeaderMap::new();
                headers.append(header::AUTHORIZATION, value.clone());
                headers.append(DPOP, value);
                let _ = (authorization(&headers), dpop_proof(&headers));
            }
        }
    }

    #[test]
    fn one_token_is_found_and_nothing_else() {
        assert_eq!(found(&["Bearer aks_x"]), Ok(("aks_x".to_owned(), false)));
        assert_eq!(found(&["bearer aks_x"]), Ok(("aks_x".to_owned(), false)));
        assert_eq!(found(&["DPoP aks_x"]), Ok(("aks_x".to_owned(), true)));
        assert_eq!(found(&[]), Err(ErrorCode::TokenMissing));
        assert_eq!(found(&["Bearer a", "Bearer b"]), Err(ErrorCode::AmbiguousAuth));
        assert_eq!(found(&["Bearer a", "DPoP b"]), Err(ErrorCode::AmbiguousAuth));
        assert_eq!(found(&["Bearer a, DPoP b"]), Err(ErrorCode::AmbiguousAuth));
        for value in ["Bearer", "Bearer ", "DPoP", "DPoP ", "Basic YTpi", "aks_x"] {
            assert_eq!(found(&[value]), Err(ErrorCode::TokenInvalid), "{value}");
        }
    }

    #[test]
    fn one_proof_is_found_and_not_two() {
        let mut headers = HeaderMap::new();
        assert_eq!(dpop_proof(&headers), Ok(None));
        headers.append(DPOP, "a.b.c".parse().unwrap());
        assert_eq!(dpop_proof(&headers), Ok(Some("a.b.c")));
        headers.append(DPOP, "a.b.c".parse().unwrap());
        assert_eq!(dpop_proof(&headers).unwrap_err().error, ErrorCode::DpopInvalid);
    }
}
