use std::{fmt, net::IpAddr, time::Duration};

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use url::{Host, Origin};

/// All but the last words, which differ: where forms may lead.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// Everything of a browser that these pages do without.
const PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), clipboard-read=(), \
                           clipboard-write=(), display-capture=(), encrypted-media=(), fullscreen=(), \
                           geolocation=(), gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), \
                           picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), \
                           usb=(), xr-spatial-tracking=()";

/// The last resort, for a template that could not be rendered.
const BLANK: &str = "<!doctype html>\n<html lang=\"en\"><head><title>Error: AgentKeys</title></head>\
                     <body><main><h1>Something broke on our side</h1><p>Try again in a minute.</p></main></body></html>\n";

/// An HTML page on its way out, with the status and the headers that keep it to itself.
pub struct Page {
    status: StatusCode,
    html: String,
    form_action: String,
    retry_after: Option<Duration>,
}

impl Page {
    /// A page whose forms may lead to this server only.
    pub fn new(status: StatusCode, html: String) -> Self {
        Self { status, html, form_action: String::new(), retry_after: None }
    }

    pub(super) fn rendered(status: StatusCode, template: &impl Template) -> Self {
        match template.render() {
            Ok(html) => Self::new(status, html),
            Err(error) => {
                tracing::error!(%error, "a page could not be rendered");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, BLANK.to_owned())
            }
        }
    }

    /// Lets the page's forms lead to these origins too: browsers hold also the redirects after a post to the policy.
    ///
    /// An origin that a policy cannot name, or that would send what it carries in the clear off this machine, is
    /// left out: then the browser stops there.
    #[must_use]
    pub fn form_action(mut self, origins: &[Origin]) -> Self {
        for source in origins.iter().filter_map(source) {
            self.form_action.push(' ');
            self.form_action.push_str(&source);
        }
        self
    }

    /// Lets the page's forms lead to any `https:` address: a provider may redirect on to others.
    #[must_use]
    pub fn form_action_https(mut self) -> Self {
        self.form_action.push_str(" https:");
        self
    }

    /// Says when it is worth trying again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same page with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The page itself. It may carry secrets in its hidden fields.
    pub fn html(&self) -> &str {
        &self.html
    }

    fn headers(&self) -> HeaderMap {
        let fixed: [(HeaderName, &'static str); 8] = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            // Not `no-referrer`: under that browsers post forms with `Origin: null`, and the check of the origin
            // would have nothing to compare. No other site sees a referrer under this one either.
            (header::REFERRER_POLICY, "same-origin"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            (HeaderName::from_static("permissions-policy"), PERMISSIONS),
        ];
        let mut headers: HeaderMap =
            fixed.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
        let policy = HeaderValue::from_str(&format!("{POLICY}{}", self.form_action));
        headers.insert(header::CONTENT_SECURITY_POLICY, policy.unwrap_or_else(|_| HeaderValue::from_static(POLICY)));
        // Every 429 and 503 says when to come back; where nothing better is known, soon.
        let soon = matches!(self.status.as_u16(), 429 | 503).then_some(Duration::from_secs(1));
        if let Some(wait) = self.retry_after.or(soon) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        headers
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Page").field("status", &self.status).finish_non_exhaustive()
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        (self.status, self.headers(), self.html).into_response()
    }
}

/// The source expression (CSP level 3, section 2.3.1) of an origin.
fn source(origin: &Origin) -> Option<String> {
    let Origin::Tuple(scheme, host, _) = origin else { return None };
    let loopback = match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => IpAddr::from(*address).is_loopback(),
        // A policy has no form for it.
        Host::Ipv6(_) => return None,
    };
    if scheme != "https" && !(scheme == "http" && loopback) {
        return None;
    }
    let source = origin.ascii_serialization();
    // A host of a URL may contain `;`, `,` and `*`, which mean something in a policy.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:/".contains(&byte);
    source.bytes().all(plain).then_some(source)
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn policy(page: &Page) -> String {
        page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned()
    }

    fn page() -> Page {
        Page::new(StatusCode::OK, String::new())
    }

    fn origin(url: &str) -> Origin {
        Url::parse(url).unwrap().origin()
    }

    #[test]
    fn a_page_is_kept_to_itself() {
        let response = page().into_response();

        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "text/html; charset=utf-8");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "same-origin");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
        assert!(header("permissions-policy").split(", ").all(|feature| feature.ends_with("=()")));
        assert_eq!(
            header("content-security-policy"),
            "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
        );
    }

    #[test]
    fn forms_lead_to_the_origins_that_were_named() {
        let loopback = origin("http://127.0.0.1:49152/callback?code=1");

        let page = page().form_action_https().form_action(&[loopback, origin("https://id.example.com/")]);

        assert!(policy(&page).ends_with("; form-action 'self' https: http://127.0.0.1:49152 https://id.example.com"));
    }

    #[test]
    fn an_origin_that_would_change_the_policy_is_left_out() {
        let hostile = [
            "https://a;script-src/",
            "https://a,b/",
            "https://*.example.com/",
            "https://'unsafe-inline'/",
            "http://[::1]:8080/",
            "http://example.com/",
            "ftp://127.0.0.1/",
            "data:text/html,x",
            "javascript:alert(1)",
        ];

        for url in hostile {
            let page = page().form_action(&[origin(url)]);

            assert!(policy(&page).ends_with("form-action 'self'"), "{url}: {}", policy(&page));
        }
    }

    #[test]
    fn a_page_that_asks_for_patience_says_for_how_long() {
        let retry_after = |page: Page| page.headers().get(header::RETRY_AFTER).cloned();
        let too_often = || page().with_status(StatusCode::TOO_MANY_REQUESTS);

        assert_eq!(retry_after(page()), None);
        assert_eq!(retry_after(too_often()).unwrap(), "1");
        assert_eq!(retry_after(too_often().retry_after(Duration::from_secs(90))).unwrap(), "90");
    }

    #[test]
    fn what_is_logged_of_a_page_does_not_carry_its_hidden_fields() {
        let page = Page::new(StatusCode::OK, "secret".to_owned());

        assert!(!format!("{page:?}").contains("secret"));
    }
}
