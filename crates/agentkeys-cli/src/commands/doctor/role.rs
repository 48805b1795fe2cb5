use super::finding::Finding;
use crate::{context::Context, error::CliError};

const NAME: &str = "role";

/// Whether the settings name the role that the wallet assumes.
pub(super) fn check(context: &Context) -> Finding {
    let aws = &context.settings.aws;
    match &aws.role_arn {
        Some(role) => Finding::ok(NAME, format!("{role}, in {}", aws.region)),
        None if context.is_dev() => Finding::skipped(NAME, "`agentkeys dev` has one of its own"),
        None => Finding::of_error(NAME, CliError::NoRole { config: context.places.config_file() }, context),
    }
}
