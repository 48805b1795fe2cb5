use agentkeys_api::{EmailStarted, ErrorCode};
use agentkeys_client::{BrowserScreen, ClientError, CodePrompt, Linked, link_email, link_oauth};
use async_trait::async_trait;
use axum::http::StatusCode;
use serde_json::json;

use crate::stand_in::{StandIn, json_answer, problem};

#[tokio::test]
async fn an_identity_is_linked_once_it_is_proved_on_the_page() {
    let pending = || json_answer(StatusCode::ACCEPTED, &json!({"status": "pending", "interval": 0}));
    let identity = json!({
        "type": "oauth2_acme", "value": "g-1001", "email": "ada@example.com", "linked_at": "2026-12-22T10:00:00Z",
    });
    let stand_in = StandIn::start(vec![pending(), pending(), json_answer(StatusCode::CREATED, &identity)]).await;
    let again = StandIn::start(vec![json_answer(StatusCode::OK, &identity)]).await;

    let linked = link(&stand_in).await.0.unwrap();
    let (relinked, shown) = link(&again).await;

    assert_eq!((linked.is_new, &*linked.identity.identity.value), (true, "g-1001"));
    assert!(!relinked.unwrap().is_new);
    assert_eq!(shown, [format!("{}/oauth/link?request=1", again.url())]);
}

#[tokio::test]
async fn a_link_that_is_refused_or_over_is_not_waited_for() {
    for error in [ErrorCode::AccessDenied, ErrorCode::IdentityTaken, ErrorCode::LinkExpired, ErrorCode::ReauthRequired]
    {
        let stand_in = StandIn::start(vec![problem(error)]).await;

        let (outcome, _) = link(&stand_in).await;

        assert!(matches!(outcome, Err(ClientError::Problem { problem, .. }) if problem.error == error), "{error}");
    }
}

/// Remembers what it was shown.
#[derive(Default)]
struct Window(Vec<String>);

#[async_trait]
impl BrowserScreen for Window {
    async fn show(&mut self, url: &str) {
        self.0.push(url.to_owned());
    }
}

async fn link(stand_in: &StandIn) -> (Result<Linked, ClientError>, Vec<String>) {
    let mut window = Window::default();
    let provider = "acme".parse().unwrap();
    let outcome = link_oauth(&stand_in.broker(), &stand_in.session(), provider, &mut window).await;
    (outcome, window.0)
}

#[tokio::test]
async fn an_identity_is_removed_whatever_its_subject_is_made_of() {
    let stand_in = StandIn::start(vec![]).await;
    let identity = serde_json::from_value(json!({"type": "oauth2_acme", "value": "auth0|a/b?c#d%2Fe f"})).unwrap();

    stand_in.broker().unlink_identity(&stand_in.session(), &identity).await.unwrap();

    assert_eq!(*stand_in.0.unlinked.lock().unwrap(), ["oauth2_acme auth0|a/b?c#d%2Fe f"]);
}

/// Types these codes, one after another.
struct Typist(Vec<&'static str>);

#[async_trait]
impl CodePrompt for Typist {
    async fn code(&mut self, _: &EmailStarted, attempt: u32) -> Result<String, ClientError> {
        let code = self.0.get(attempt as usize - 1).ok_or(ClientError::NoCode)?;
        Ok((*code).to_owned())
    }
}

#[tokio::test]
async fn an_address_is_linked_once_the_right_code_is_typed() {
    let identity = json!({"type": "email", "value": "ada@example.org", "linked_at": "2026-12-22T10:00:00Z"});
    let answers = || vec![problem(ErrorCode::InvalidCode), json_answer(StatusCode::CREATED, &identity)];
    let (stand_in, over) =
        (StandIn::start(answers()).await, StandIn::start(vec![problem(ErrorCode::CodeExpired)]).await);
    let link = async |stand_in: &StandIn| {
        let address = "ada@example.org".parse().unwrap();
        link_email(&stand_in.broker(), &stand_in.session(), address, &mut Typist(vec!["AAAA", "BBBB"])).await
    };

    let linked = link(&stand_in).await.unwrap();
    let expired = link(&over).await;

    assert_eq!((linked.is_new, &*linked.identity.identity.value), (true, "ada@example.org"));
    assert!(matches!(expired, Err(ClientError::Problem { problem, .. }) if problem.error == ErrorCode::CodeExpired));
}
