use std::sync::Arc;

use agentkeys_api::{DaemonCredentials, DaemonStatus, ErrorCode, Health, daemon, paths};
use agentkeys_client::{AwsSettings, ProfileName};
use agentkeys_http::Refusal;
use axum::{
    Json, Router,
    extract::{
        ConnectInfo, Query, Request, State,
        connect_info::Connected,
        rejection::{ExtensionRejection, QueryRejection},
    },
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::get,
    serve::IncomingStream,
};
use serde::Deserialize;
use tokio::net::UnixListener;

use crate::{Cached, CredentialSource, problem, socket::own_uid};

/// What the routes answer from.
pub(crate) struct Desk {
    pub(crate) profile: ProfileName,
    pub(crate) aws: AwsSettings,
    pub(crate) cached: Arc<Cached<Arc<dyn CredentialSource>>>,
}

pub(crate) fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route(daemon::CREDENTIALS, get(credentials))
        .route(daemon::STATUS, get(status))
        .route(paths::HEALTHZ, get(health))
        .fallback(async || Refusal::new(ErrorCode::NotFound, "there is nothing here"))
        .method_not_allowed_fallback(async || Refusal::new(ErrorCode::MethodNotAllowed, "this path takes GET only"))
        .layer(middleware::from_fn(same_user_only))
        .with_state(desk)
}

/// The user at the other end of a connection, as the kernel knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|peer| peer.uid()))
    }
}

/// The modes of folder and socket keep others out already; this holds where somebody loosened them.
async fn same_user_only(
    peer: Result<ConnectInfo<Peer>, ExtensionRejection>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    match peer {
        Ok(ConnectInfo(Peer(Some(uid)))) if uid == own_uid() => {
            let mut response = next.run(request).await;
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(response)
        }
        _ => Err(Refusal::new(ErrorCode::PeerNotAllowed, "this daemon answers only the user whose it is")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    profile: String,
}

/// `GET /v1/credentials?profile=`
async fn credentials(
    State(desk): State<Arc<Desk>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<DaemonCredentials>, Refusal> {
    let Ok(Query(asked)) = asked else {
        return Err(Refusal::new(ErrorCode::InvalidField, "the query is ?profile= with the name of a profile"));
    };
    if asked.profile != desk.profile.as_str() {
        return Err(Refusal::new(ErrorCode::NotFound, "this daemon serves another profile"));
    }
    let issued = desk.cached.fetch().await.map_err(|error| problem::of(&error))?;
    let role =
        agentkeys_client::Role::of(&desk.aws).ok_or_else(|| Refusal::new(ErrorCode::NotFound, "there is no role"))?;
    Ok(Json(role.hand_out(issued.credentials, issued.wallet, issued.account, None)))
}

/// `GET /v1/status`
async fn status(State(desk): State<Arc<Desk>>) -> Json<DaemonStatus> {
    Json(desk.cached.status(desk.profile.as_str()))
}

/// `GET /healthz`
async fn health() -> Json<Health> {
    Json(Health::ok())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use agentkeys_api::Problem;
    use agentkeys_client::ClientError;
    use agentkeys_types::SystemClock;
    use async_trait::async_trait;
    use axum::{body::Body, http::StatusCode};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::Issued;

    struct Nothing;

    #[async_trait]
    impl CredentialSource for Nothing {
        async fn fetch(&self) -> Result<Issued, ClientError> {
            Err(ClientError::NotSignedIn)
        }
    }

    async fn ask(peer: Option<u32>, method: &str, target: &str) -> (StatusCode, Option<ErrorCode>) {
        let cached = Arc::new(Cached::new(Arc::new(Nothing) as Arc<dyn CredentialSource>, Arc::new(SystemClock)));
        let (profile, aws) = (ProfileName::default(), AwsSettings::default());
        let router = router(Arc::new(Desk { profile, aws, cached }));
        let mut request = Request::builder().method(method).uri(target).body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(Peer(peer)));

        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice::<Problem>(&body).ok().map(|problem| problem.error))
    }

    #[tokio::test]
    async fn another_user_is_refused_everywhere() {
        for target in ["/v1/credentials?profile=default", "/v1/status", "/healthz", "/nothing"] {
            for peer in [Some(own_uid() + 1), None] {
                let answer = ask(peer, "GET", target).await;

                assert_eq!(answer, (StatusCode::FORBIDDEN, Some(ErrorCode::PeerNotAllowed)), "{target}");
            }
        }
    }

    #[tokio::test]
    async fn each_mistake_has_its_answer() {
        for (method, target, status, code) in [
            ("GET", "/v1/credentials", StatusCode::BAD_REQUEST, ErrorCode::InvalidField),
            ("GET", "/v1/credentials?profile=default&token=a", StatusCode::BAD_REQUEST, ErrorCode::InvalidField),
            ("GET", "/v1/credentials?profile=other", StatusCode::NOT_FOUND, ErrorCode::NotFound),
            ("GET", "/v1/credentials?profile=default", StatusCode::UNAUTHORIZED, ErrorCode::TokenExpired),
            ("POST", "/v1/credentials?profile=default", StatusCode::METHOD_NOT_ALLOWED, ErrorCode::MethodNotAllowed),
            ("GET", "/v1/nothing", StatusCode::NOT_FOUND, ErrorCode::NotFound),
        ] {
            let answer = ask(Some(own_uid()), method, target).await;

            assert_eq!(answer, (status, Some(code)), "{method} {target}");
        }
    }
}
