use super::finding::Finding;
use crate::{commands::daemon::Service, context::Context};

const NAME: &str = "service";

/// Whether the service manager starts the daemon, where it was told to.
pub(super) async fn check(context: &Context) -> Finding {
    let service = Service::of(context);
    if !service.is_written() {
        return Finding::skipped(NAME, format!("the daemon is no service: `{} daemon install`", context.command()));
    }
    judge(service.is_enabled().await, &context.command())
}

fn judge(is_enabled: Option<bool>, command: &str) -> Finding {
    match is_enabled {
        Some(true) => Finding::ok(NAME, "the daemon is started when somebody asks it"),
        Some(false) => {
            let message = "the daemon is installed as a service, and nothing starts it";
            Finding::warning(NAME, message, format!("{command} daemon install"))
        }
        None => Finding::skipped(NAME, "no service manager answers here"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Status, *};

    #[test]
    fn a_service_that_nothing_starts_is_worth_a_word() {
        assert_eq!(judge(Some(true), "agentkeys").status(), Status::Ok);
        assert_eq!(judge(None, "agentkeys").status(), Status::Skipped);
        let finding = judge(Some(false), "agentkeys");
        assert_eq!(finding.status(), Status::Warning);
        assert!(finding.text().ends_with("agentkeys daemon install"));
    }
}
