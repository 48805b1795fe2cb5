use std::{
    collections::HashMap,
    convert::Infallible,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agentkeys_api::{OauthError, OauthProblem, paths};
use agentkeys_types::{RequestId, RequestIdDigest};
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Bytes,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, LOCATION, REFERRER_POLICY},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::{ClientError, ServerUrl};

const PATH: &str = "/callback";
/// How long one connection may take: a browser on the same machine needs milliseconds.
const LONGEST_EXCHANGE: Duration = Duration::from_secs(10);
const LARGEST_REQUEST: usize = 16 * 1024;
const MOST_CONNECTIONS: usize = 16;
const PARAMETERS: [&str; 5] = ["code", "error", "error_description", "iss", "state"];

/// What the browser brought back: an authorization code, or why there is none.
type Answer = Result<Zeroizing<String>, OauthProblem>;

/// A port of 127.0.0.1 to which the browser comes back, once.
///
/// Whatever else comes there is answered with an error, and changes nothing.
pub(super) struct Loopback {
    listener: TcpListener,
    redirect_uri: String,
    expected: Arc<Expected>,
}

/// What the browser must bring, and what has come.
struct Expected {
    host: String,
    state: RequestIdDigest,
    issuer: String,
    /// The broker's page that it is sent to, which takes the code out of sight.
    done: String,
    answer: Mutex<Option<Answer>>,
}

impl Loopback {
    /// Listens for the answer of the authorization server `issuer` to the request with this `state`.
    pub(super) async fn bind(issuer: &ServerUrl, state: &RequestId) -> Result<Self, ClientError> {
        let unusable = |error| ClientError::Loopback(Arc::new(error));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(unusable)?;
        let host = listener.local_addr().map_err(unusable)?.to_string();
        let redirect_uri = format!("http://{host}{PATH}");
        let (state, done) = (state.digest(), issuer.join(paths::OAUTH_DONE).into());
        let expected = Expected { host, state, issuer: issuer.to_string(), done, answer: Mutex::default() };
        Ok(Self { listener, redirect_uri, expected: Arc::new(expected) })
    }

    /// Where the browser is to come back to.
    pub(super) fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// The code that the browser brings, once it has been answered itself.
    pub(super) async fn answer(&self) -> Result<Zeroizing<String>, ClientError> {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if connections.len() < MOST_CONNECTIONS => {
                    // A connection that is gone before it is accepted is nobody's loss.
                    if let Ok((stream, _)) = accepted {
                        connections.spawn(serve(stream, Arc::clone(&self.expected)));
                    }
                }
                Some(_) = connections.join_next() => {
                    if let Some(answer) = self.expected.take_answer() {
                        return answer.map_err(|problem| ClientError::Oauth { problem, retry_after: None });
                    }
                }
            }
        }
    }
}

async fn serve(stream: TcpStream, expected: Arc<Expected>) {
    let service = service_fn(|request| {
        let response = expected.respond(&request);
        async { Ok::<_, Infallible>(response) }
    });
    let mut server = http1::Builder::new();
    server.keep_alive(false).max_buf_size(LARGEST_REQUEST).timer(TokioTimer::new());
    server.header_read_timeout(LONGEST_EXCHANGE);
    // Whatever happens to a connection, the browser can come again.
    let _ = timeout(LONGEST_EXCHANGE, server.serve_connection(TokioIo::new(stream), service)).await;
}

impl Expected {
    fn respond<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        // Another name for this machine is a page elsewhere that has its own name point here.
        if request.headers().get(HOST).is_none_or(|host| host.as_bytes() != self.host.as_bytes()) {
            return page(StatusCode::BAD_REQUEST, "This address is not the one that was expected.");
        }
        if request.uri().path() != PATH {
            return page(StatusCode::NOT_FOUND, "There is nothing here.");
        }
        if request.method() != Method::GET {
            return page(StatusCode::METHOD_NOT_ALLOWED, "There is nothing here but for a browser that comes back.");
        }
        let Some(answer) = request.uri().query().and_then(|query| self.read(query)) else {
            return page(StatusCode::BAD_REQUEST, "This is not the answer that the command in the terminal waits for.");
        };
        let location = if answer.is_ok() { self.done.clone() } else { format!("{}?outcome=refused", self.done) };
        let mut kept = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_some() {
            return page(StatusCode::BAD_REQUEST, "The command in the terminal has its answer already.");
        }
        *kept = Some(answer);
        redirect(&location)
    }

    /// The answer in a query (RFC 6749 sections 4.1.2 and 4.1.2.1), if it is one to our request, by our issuer.
    fn read(&self, query: &str) -> Option<Answer> {
        let mut found: HashMap<&str, Zeroizing<String>> = HashMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let Some(name) = PARAMETERS.into_iter().find(|known| *known == name) else { continue };
            if found.insert(name, Zeroizing::new(value.into_owned())).is_some() {
                return None;
            }
        }
        // By its digest: how long that takes tells nothing of the state itself.
        let state: RequestId = found.get("state")?.parse().ok()?;
        if state.digest() != self.state || **found.get("iss")? != self.issuer {
            return None;
        }
        match (found.remove("code"), found.remove("error")) {
            (Some(code), None) if !code.is_empty() => Some(Ok(code)),
            (None, Some(error)) => {
                let error = serde_json::from_value(error.as_str().into()).unwrap_or(OauthError::Unknown);
                let description = found.remove("error_description").unwrap_or_default().to_string();
                Some(Err(OauthProblem { error, error_description: description.into() }))
            }
            _ => None,
        }
    }

    fn take_answer(&self) -> Option<Answer> {
        let mut kept = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take()
    }
}

fn redirect(location: &str) -> Response<Full<Bytes>> {
    let mut response = page(StatusCode::SEE_OTHER, "Go back to the terminal.");
    if let Ok(location) = location.parse() {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn page(status: StatusCode, sentence: &'static str) -> Response<Full<Bytes>> {
    let html = format!("<!doctype html><html lang=\"en\"><title>AgentKeys</title><p>{sentence}</p></html>\n");
    let mut response = Response::new(Full::from(html));
    *response.status_mut() = status;
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        response.headers_mut().insert(name, hyper::header::HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const ISSUER: &str = "https://broker.example.com";
    const DONE: &str = "location: https://broker.example.com/oauth/done\r\n";
    const REFUSED: &str = "location: https://broker.example.com/oauth/done?outcome=refused\r\n";

    /// A listener that waits, and the state that it waits for.
    struct Waiting {
        loopback: Loopback,
        state: String,
    }

    impl Waiting {
        async fn new() -> Self {
            let state = RequestId::from_bytes([7; 32]);
            let loopback = Loopback::bind(&ISSUER.parse().unwrap(), &state).await.unwrap();
            Self { loopback, state: state.expose() }
        }

        fn right(&self, parameters: &str) -> String {
            format!("{PATH}?{parameters}&state={}&iss=https%3A%2F%2Fbroker.example.com", self.state)
        }

        /// What the listener says to a request for `target`.
        async fn get(&self, target: &str) -> String {
            self.ask(&format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.loopback.expected.host)).await
        }

        async fn ask(&self, request: &str) -> String {
            let mut stream = TcpStream::connect(&self.loopback.expected.host).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut response = String::new();
            stream.read_to_string(&mut response).await.unwrap();
            response
        }

        /// The outcome of a listener that is asked for each of `targets`, one after another, and what it said.
        async fn hear(&self, targets: &[String]) -> (Result<Zeroizing<String>, ClientError>, Vec<String>) {
            let browser = async {
                let mut heard = Vec::new();
                for target in targets {
                    heard.push(self.get(target).await);
                }
                heard
            };
            tokio::join!(self.loopback.answer(), browser)
        }
    }

    #[tokio::test]
    async fn the_right_answer_brings_the_code_and_takes_it_out_of_sight() {
        let waiting = Waiting::new().await;

        let (outcome, heard) = waiting.hear(&[waiting.right("code=abc%2Bdef")]).await;

        assert_eq!(*outcome.unwrap(), "abc+def");
        assert!(heard[0].starts_with("HTTP/1.1 303 ") && heard[0].contains(DONE), "{}", heard[0]);
        assert!(heard[0].contains("cache-control: no-store") && !heard[0].contains("abc"), "{}", heard[0]);
    }

    #[tokio::test]
    async fn an_error_ends_it_and_leads_to_the_page_that_says_so() {
        let waiting = Waiting::new().await;

        let (outcome, heard) =
            waiting.hear(&[waiting.right("error=access_denied&error_description=Ada+said+no.")]).await;

        let Err(ClientError::Oauth { problem, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!((problem.error, &*problem.error_description), (OauthError::AccessDenied, "Ada said no."));
        assert!(heard[0].starts_with("HTTP/1.1 303 ") && heard[0].contains(REFUSED), "{}", heard[0]);
    }

    #[tokio::test]
    async fn whatever_else_comes_does_not_end_the_waiting() {
        let waiting = Waiting::new().await;
        let (state, iss) = (waiting.state.clone(), "iss=https%3A%2F%2Fbroker.example.com");
        let other = "0".repeat(64);
        let strays = [
            ("/", "404"),
            ("/favicon.ico", "404"),
            ("/callback/", "404"),
            ("/callback", "400"),
            ("/callback?", "400"),
            (&format!("/callback?code=a&state={other}&{iss}"), "400"),
            (&format!("/callback?code=a&state=&{iss}"), "400"),
            (&format!("/callback?code=a&{iss}"), "400"),
            (&format!("/callback?code=a&state={state}"), "400"),
            (&format!("/callback?code=a&state={state}&iss=https%3A%2F%2Fbroker.example.com%2F"), "400"),
            (&format!("/callback?code=a&state={state}&iss=https%3A%2F%2Fevil.example"), "400"),
            (&format!("/callback?code=a&code=b&state={state}&{iss}"), "400"),
            (&format!("/callback?code=a&state={other}&state={state}&{iss}"), "400"),
            (&format!("/callback?code=a&error=access_denied&state={state}&{iss}"), "400"),
            (&format!("/callback?code=&state={state}&{iss}"), "400"),
            (&format!("/callback?error=access_denied&state={other}&{iss}"), "400"),
            (&format!("/callback?state={state}&{iss}"), "400"),
        ];
        let mut targets: Vec<_> = strays.iter().map(|(target, _)| (*target).to_owned()).collect();
        targets.push(waiting.right("code=right"));

        let (outcome, heard) = waiting.hear(&targets).await;

        assert_eq!(*outcome.unwrap(), "right");
        for ((target, status), heard) in strays.iter().zip(&heard) {
            assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {heard}");
            assert!(!heard.contains("location:"), "{target}: {heard}");
        }
    }

    #[tokio::test]
    async fn a_page_under_another_name_brings_nothing() {
        let waiting = Waiting::new().await;
        let target = waiting.right("code=hostile");
        let port = waiting.loopback.expected.host.rsplit_once(':').unwrap().1;
        let hosts = [
            format!("Host: evil.example:{port}"),
            format!("Host: localhost:{port}"),
            "Host: 127.0.0.1".to_owned(),
            "Accept: */*".to_owned(),
        ];
        let browser = async {
            for host in hosts {
                let heard = waiting.ask(&format!("GET {target} HTTP/1.1\r\n{host}\r\n\r\n")).await;
                assert!(heard.starts_with("HTTP/1.1 400 "), "{host}: {heard}");
            }
            let form = format!("POST {target} HTTP/1.1\r\nHost: {}\r\n\r\n", waiting.loopback.expected.host);
            assert!(waiting.ask(&form).await.starts_with("HTTP/1.1 405 "));
            waiting.get(&waiting.right("code=right")).await
        };

        let (outcome, _) = tokio::join!(waiting.loopback.answer(), browser);

        assert_eq!(*outcome.unwrap(), "right");
    }

    #[tokio::test]
    async fn a_second_answer_changes_nothing() {
        let waiting = Waiting::new().await;
        let query = |parameters: &str| waiting.right(parameters);
        let request =
            |target: String| Request::get(target).header(HOST, &waiting.loopback.expected.host).body(()).unwrap();

        let first = waiting.loopback.expected.respond(&request(query("code=first")));
        let second = waiting.loopback.expected.respond(&request(query("code=second")));

        assert_eq!((first.status(), second.status()), (StatusCode::SEE_OTHER, StatusCode::BAD_REQUEST));
        assert_eq!(*waiting.loopback.expected.take_answer().unwrap().unwrap(), "first");
    }

    #[tokio::test]
    async fn a_request_without_end_is_cut_off_and_harms_nobody_else() {
        let waiting = Waiting::new().await;
        let endless = format!("GET {PATH}?{} HTTP/1.1\r\n", "a".repeat(2 * LARGEST_REQUEST));
        let browser = async {
            let silent = TcpStream::connect(&waiting.loopback.expected.host).await.unwrap();
            let mut stream = TcpStream::connect(&waiting.loopback.expected.host).await.unwrap();
            let _ = stream.write_all(endless.as_bytes()).await;
            let mut heard = Vec::new();
            let _ = stream.read_to_end(&mut heard).await;
            waiting.get(&waiting.right("code=right")).await;
            drop(silent);
        };

        let (outcome, ()) = tokio::join!(waiting.loopback.answer(), browser);

        assert_eq!(*outcome.unwrap(), "right");
    }
}
