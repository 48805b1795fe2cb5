use std::sync::LazyLock;

use agentkeys_crypto::keccak256;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

pub(super) const STYLE: &str = include_str!("../../templates/pages/style.css");

static ETAG: LazyLock<HeaderValue> = LazyLock::new(|| {
    let tag = format!("\"{}\"", hex::encode(&keccak256(STYLE.as_bytes())[..16]));
    HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\""))
});

/// The stylesheet of all pages, or 304 for a browser that has it.
///
/// Browsers ask each time, because two brokers of one deployment may be of different versions for a while, and a
/// page must not meet the stylesheet of another.
pub fn style(request: &HeaderMap) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, ETAG.clone()),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (http::HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    ];
    if request.get(header::IF_NONE_MATCH) == Some(&*ETAG) {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    } else {
        (headers, STYLE).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_that_has_the_stylesheet_is_told_so() {
        let first = style(&HeaderMap::new());
        let mut request = HeaderMap::new();
        request.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());

        let second = style(&request);

        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
        assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
        request.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"other\""));
        assert_eq!(style(&request).status(), StatusCode::OK);
    }
}
