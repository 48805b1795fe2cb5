use agentkeys_api::paths;
use http_body_util::Full;
use hyper::{
    Method, Request,
    body::Bytes,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue},
};
use serde_json::Value;

/// A request that may be wrong in any way.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    /// The path, with its query.
    pub(super) path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    is_empty: bool,
}

impl Call {
    pub(super) fn get(path: &str) -> Self {
        let (method, path) = (Method::GET, path.to_owned());
        Self { method, path, headers: Vec::new(), body: Bytes::new(), is_empty: true }
    }

    /// A request with a body that says that it is JSON.
    pub(super) fn post(path: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        Self { method: Method::POST, path: path.to_owned(), headers, body: body.into(), is_empty: false }
    }

    /// Asks for an address with `body`.
    pub(super) fn derive(body: &Value) -> Self {
        Self::post(paths::DERIVE_ADDRESS, body.to_string())
    }

    /// Asks for a signature with `body`.
    pub(super) fn sign(body: &Value) -> Self {
        Self::post(paths::SIGN_MESSAGE, body.to_string())
    }

    /// One more header.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(name == AUTHORIZATION);
            self.headers.push((name, value));
        }
        self
    }

    /// Without the header `name`.
    pub(super) fn without(mut self, name: &HeaderName) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    pub(super) fn with_method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(super) fn with_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// The path without its query.
    pub(super) fn plain_path(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// The request, for the server that clients call `authority`, unless it names another.
    pub(super) fn request(self, authority: &str) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let mut request = Request::builder().method(self.method).uri(self.path);
        if self.headers.iter().all(|(name, _)| name != HOST) {
            request = request.header(HOST, authority);
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(if self.is_empty { Bytes::new() } else { self.body }))
    }
}
