use std::net::SocketAddr;

use agentkeys_api::{ErrorCode, Problem, daemon, paths};
use agentkeys_types::RoleName;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts};

use crate::ConsumerToken;

/// How a browser says where a request comes from, which no page can change.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What may be asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked<'r> {
    /// Credentials of a role.
    Credentials { unverified_token: &'r str, role: RoleName },
    /// Whether anybody is here.
    Health,
}

/// The names under which an endpoint answers.
#[derive(Debug)]
pub(super) struct Names([String; 2]);

impl Names {
    pub(super) fn of(address: SocketAddr) -> Self {
        let port = address.port();
        Self([format!("127.0.0.1:{port}"), format!("localhost:{port}")])
    }

    /// What `request` asks for, unless it must not be answered.
    ///
    /// What could come from a page in a browser is refused before anything else is looked at.
    pub(super) fn admit<'r>(&self, request: &'r Parts) -> Result<Asked<'r>, Problem> {
        self.check_host(request)?;
        check_origin(&request.headers)?;
        check_url(&request.uri)?;
        if request.method != Method::GET {
            return Err(Problem::new(ErrorCode::MethodNotAllowed, "this endpoint takes GET only"));
        }
        let path = request.uri.path();
        if path == paths::HEALTHZ {
            return Ok(Asked::Health);
        }
        let role = role(path).ok_or_else(|| Problem::new(ErrorCode::NotFound, "there is nothing here"))?;
        let unverified_token = token(&request.headers)?;
        Ok(Asked::Credentials { unverified_token, role })
    }

    /// A name that somebody else's server of names turns to this machine is not one of ours (DNS rebinding).
    fn check_host(&self, request: &Parts) -> Result<(), Problem> {
        let host = only(&request.headers, &header::HOST).and_then(|host| host.to_str().ok());
        let is_ours = host.is_some_and(|host| {
            self.0.iter().any(|name| name == host)
                && request.uri.authority().is_none_or(|authority| authority.as_str() == host)
        });
        if is_ours { Ok(()) } else { Err(forbidden(ErrorCode::HostNotAllowed, "this endpoint has another name")) }
    }
}

/// Browsers name the page that a request comes from; SDKs send neither header.
fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let from_page = headers.get_all(SEC_FETCH_SITE).iter().any(|site| site != "none");
    if from_page || headers.contains_key(header::ORIGIN) {
        return Err(forbidden(ErrorCode::OriginNotAllowed, "this endpoint does not answer pages"));
    }
    Ok(())
}

/// URLs end up in logs and lists of processes, so there is no token in one, and nothing else that could be.
fn check_url(uri: &Uri) -> Result<(), Problem> {
    let is_token = |text: &str| {
        let in_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        text.len() == ConsumerToken::LENGTH && text.bytes().all(in_alphabet)
    };
    let is_named_so = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.contains("token") || name.contains("auth")
    };
    let query = uri.query().unwrap_or_default();
    let has_token = query.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        is_named_so(name) || is_token(name) || is_token(value)
    });
    if has_token || uri.path().split('/').any(is_token) {
        return Err(Problem::new(ErrorCode::TokenInUrl, "a token belongs into the Authorization header"));
    }
    if uri.query().is_some() {
        return Err(Problem::new(ErrorCode::InvalidField, "this endpoint takes no query"));
    }
    Ok(())
}

/// The role in `/v1/container/{role}`.
fn role(path: &str) -> Option<RoleName> {
    let (before, _) = daemon::CONTAINER.split_once("{role}")?;
    path.strip_prefix(before)?.parse().ok()
}

/// The token, which SDKs send as it stands in their file, without a scheme.
fn token(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values
        .next()
        .ok_or_else(|| Problem::new(ErrorCode::TokenMissing, "this needs the consumer's token in `Authorization`"))?;
    if values.next().is_some() {
        return Err(Problem::new(ErrorCode::AmbiguousAuth, "there must be one `Authorization`, with one token"));
    }
    value.to_str().map_err(|_| Problem::new(ErrorCode::TokenInvalid, "the token is not valid"))
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// 403, also where servers answer 421: SDKs try that one again.
fn forbidden(error: ErrorCode, detail: &'static str) -> Problem {
    let status = StatusCode::FORBIDDEN;
    let title = status.canonical_reason().unwrap_or_default();
    Problem { status: status.as_u16(), title: title.into(), ..Problem::new(error, detail) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_but_our_own_names_gets_in(host in any::<Vec<u8>>(), path in "[!-~]{0,80}") {
            let names = Names::of(SocketAddr::from(([127, 0, 0, 1], 8474)));
            let Ok(uri) = format!("/{path}").parse::<Uri>() else { return Ok(()) };
            let Ok(value) = HeaderValue::from_bytes(&host) else { return Ok(()) };
            let (mut parts, ()) = http::Request::new(()).into_parts();
            parts.uri = uri;
            parts.headers.insert(header::HOST, value);

            let refused = names.admit(&parts).unwrap_err();

            prop_assert_eq!((refused.status, refused.error), (403, ErrorCode::HostNotAllowed));
        }
    }
}
