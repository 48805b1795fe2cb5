use super::finding::Finding;
use crate::context::Context;

const NAME: &str = "store";

/// Whether a session can be kept on this machine.
pub(super) async fn check(context: &Context) -> Finding {
    if context.is_dev() {
        return Finding::skipped(NAME, "`agentkeys dev` keeps its session in memory only");
    }
    match context.store.check().await {
        Ok(()) => Finding::ok(NAME, format!("{} (tested: write, read, delete)", context.store.name())),
        Err(error) => Finding::of_error(NAME, error, context),
    }
}
