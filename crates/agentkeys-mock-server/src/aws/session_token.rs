use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Uri},
};
use url::form_urlencoded;

const HEADER: &str = "x-amz-security-token";
const PARAMETER: &str = "X-Amz-Security-Token";
const SIGNATURE_PARAMETER: &str = "X-Amz-Signature";
const VERSION_2_SIGNATURE_PARAMETER: &str = "Signature";

/// The session token that a request carries where its signature stands: in its headers or in a presigned URL.
///
/// Two of them are none.
pub(super) fn of(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let query = || form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    if query().any(|(name, _)| name == SIGNATURE_PARAMETER) {
        return only(query().filter(|(name, _)| name == PARAMETER).map(|(_, value)| value.into_owned()));
    }
    only(headers.get_all(HEADER).iter()).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Puts the session token of a URL that was presigned in version 2 where its signature has it: in the headers.
///
/// The AWS CLI and boto3 still presign in version 2 for `us-east-1`.
pub(super) fn into_header(request: &mut Request) {
    let query = || form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    if !query().any(|(name, _)| name == VERSION_2_SIGNATURE_PARAMETER) {
        return;
    }
    let token = only(query().filter(|(name, _)| name == HEADER).map(|(_, value)| value.into_owned()));
    if let Some(value) = token.and_then(|token| HeaderValue::try_from(token).ok()) {
        request.headers_mut().append(HEADER, value);
    }
}

fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    items.next().filter(|_| items.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_from_where_the_signature_is() {
        let headers = HeaderMap::from_iter([(HEADER.parse().unwrap(), "from-header".parse().unwrap())]);
        let presigned: Uri = "/b/k?X-Amz-Security-Token=a%2Bb%3D&X-Amz-Signature=00".parse().unwrap();

        assert_eq!(of(&"/b/k".parse().unwrap(), &headers).as_deref(), Some("from-header"));
        assert_eq!(of(&presigned, &headers).as_deref(), Some("a+b="));
    }

    #[test]
    fn two_tokens_are_none() {
        let twice: Uri = "/b/k?X-Amz-Security-Token=a&X-Amz-Security-Token=b&X-Amz-Signature=00".parse().unwrap();

        assert_eq!(of(&twice, &HeaderMap::new()), None);
    }
}
