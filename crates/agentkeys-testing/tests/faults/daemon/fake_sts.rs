use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use agentkeys_types::{Clock, SystemClock, Timestamp};
use axum::{
    Router,
    body::{Body, Bytes},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tokio::sync::{Semaphore, watch};

/// An STS that answers as it is told, and counts how often it was asked.
pub(super) struct FakeSts {
    pub(super) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    manner: Mutex<Manner>,
    gate: Semaphore,
    asked: AtomicUsize,
    news: watch::Sender<usize>,
}

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Manner {
    /// Bytes that never end.
    Endless,
    /// What is none of its answers.
    Garbage,
    /// Credentials that end so many seconds from now, or ended before.
    Gives(i64),
    /// That somebody else is to be asked.
    Redirects,
    /// That the role `default` is not given.
    Refuses,
}

impl FakeSts {
    /// Starts it on a free port; its credentials are named by how many they are.
    pub(super) async fn start(manner: Manner) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (news, _) = watch::channel(0);
        let shared =
            Shared { manner: Mutex::new(manner), gate: Semaphore::new(1), asked: AtomicUsize::default(), news };
        let shared = Arc::new(shared);
        let answering = Arc::clone(&shared);
        let router = Router::new().fallback(async move |body: String| answering.answer(&body).await);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    pub(super) fn tell(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// Holds all answers back until what it gives is dropped.
    pub(super) async fn hold(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.shared.gate.acquire().await.unwrap()
    }

    /// Returns when it was asked so often.
    pub(super) async fn is_asked(&self, times: usize) {
        let mut news = self.shared.news.subscribe();
        let asked = tokio::time::timeout(Duration::from_secs(20), news.wait_for(|asked| *asked >= times)).await;
        assert!(asked.is_ok(), "asked {} times, not {times}", self.asked());
    }
}

impl Shared {
    async fn answer(&self, body: &str) -> Response {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.news.send_replace(number);
        drop(self.gate.acquire().await);
        let manner = *self.manner.lock().unwrap();
        match manner {
            Manner::Endless => {
                let chunk = Ok::<_, Infallible>(Bytes::from_static(&[b'a'; 16 * 1024]));
                Body::from_stream(stream::repeat(chunk)).into_response()
            }
            Manner::Garbage => "<html>Sign in to the network</html>".into_response(),
            Manner::Redirects => (StatusCode::FOUND, [("location", "http://127.0.0.1:1/")]).into_response(),
            Manner::Refuses if body.contains("agentkeys-dev") => {
                let refusal = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized to perform \
                               sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>";
                (StatusCode::FORBIDDEN, refusal).into_response()
            }
            Manner::Gives(seconds) => gives(number, seconds),
            Manner::Refuses => gives(number, 900),
        }
    }
}

fn gives(number: usize, seconds: i64) -> Response {
    let expires_at = Timestamp::from_unix(SystemClock.now().as_unix() + seconds);
    let document = format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
         <SessionToken>session</SessionToken><SecretAccessKey>secret</SecretAccessKey>\
         <Expiration>{expires_at}</Expiration><AccessKeyId>ASIA{number}</AccessKeyId>\
         </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    );
    // Whoever believed this would be far off.
    ([("date", "Thu, 01 Jan 1970 00:00:00 GMT")], document).into_response()
}
