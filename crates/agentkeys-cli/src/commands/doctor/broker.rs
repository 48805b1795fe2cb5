use agentkeys_api::paths;
use agentkeys_client::{Exit, PlainAnswer};
use serde_json::Value;

use super::finding::Finding;
use crate::context::Context;

/// Whether the broker answers, and how safely.
pub(super) async fn check_reachable(context: &Context) -> Finding {
    let broker = context.broker();
    match broker.health().await {
        Ok(_) if broker.url().is_loopback() => {
            Finding::ok("broker", format!("{} answers, on this machine", broker.url()))
        }
        Ok(_) => Finding::ok("broker", format!("{} answers, over TLS", broker.url())),
        Err(error) => Finding::of_error("broker", error, context),
    }
}

/// Whether the broker can do its work.
pub(super) async fn check_ready(context: &Context) -> Finding {
    match context.broker().look(paths::READYZ).await {
        Ok(answer) => judge(&answer),
        Err(error) => Finding::of_server_error("ready", error, context),
    }
}

fn judge(answer: &PlainAnswer) -> Finding {
    if answer.status == 200 {
        return Finding::ok("ready", "the broker can store and send mail");
    }
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let reasons: Vec<&str> = said["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if answer.status != 503 || reasons.is_empty() {
        let message = format!("the answer about it was not expected: HTTP status {}", answer.status);
        return Finding::failure("ready", Exit::Other, message, "see that `--broker-url` names a broker");
    }
    let message = format!("the broker is not ready: {}", reasons.join(", "));
    Finding::failure("ready", Exit::Unreachable, message, "tell the broker's operator, and try again later")
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Status, *};

    fn answer(status: u16, body: &str) -> PlainAnswer {
        PlainAnswer { status, date: None, cache_control: None, body: body.as_bytes().to_vec().into() }
    }

    #[test]
    fn a_broker_that_is_not_ready_says_why() {
        let finding = judge(&answer(503, r#"{"ready":false,"reasons":["mail cannot leave"]}"#));

        assert_eq!((finding.status(), finding.exit()), (Status::Failure, Exit::Unreachable.code()));
        assert!(finding.text().contains("mail cannot leave"));
    }

    #[test]
    fn something_else_at_the_url_is_no_broker() {
        for (status, body) in [(404, ""), (503, "<html>"), (302, "{}")] {
            let finding = judge(&answer(status, body));

            assert_eq!((finding.status(), finding.exit()), (Status::Failure, Exit::Other.code()));
        }
        assert_eq!(judge(&answer(200, "{}")).status(), Status::Ok);
    }
}
