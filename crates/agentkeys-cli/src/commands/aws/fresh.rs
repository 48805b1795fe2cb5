use agentkeys_api::DaemonCredentials;
use agentkeys_client::{ClientError, Dispenser, Role, Session};
use agentkeys_types::RoleName;

use crate::{context::Context, error::CliError};

/// Fresh credentials: from the daemon if one runs, otherwise by walking the steps with the session that is kept.
///
/// Nothing is kept on disk on the way.
pub(super) async fn credentials(context: &Context) -> Result<DaemonCredentials, CliError> {
    match context.daemon().credentials(&RoleName::default(), None).await {
        // `agentkeys dev` keeps its session nowhere: without it there is nothing to walk with.
        Err(ClientError::NoDaemon { .. }) if !context.is_dev() => walk(context).await,
        answer => Ok(answer?),
    }
}

async fn walk(context: &Context) -> Result<DaemonCredentials, CliError> {
    let session = session(context).await?;
    let aws = &context.settings.aws;
    let role = Role::of(aws).ok_or_else(|| CliError::NoRole { config: context.places.config_file() })?;
    let flow = context.flow()?;
    let wallet = flow.connect_wallet(&session, &mut ()).await?;
    let credentials = flow.fetch_credentials(&session, wallet, &role, &mut ()).await?;
    Ok(role.hand_out(credentials, wallet, session.omni_account, None))
}

/// The session, or what has to be mended first: where no broker answers, signing in would not help either.
async fn session(context: &Context) -> Result<Session, ClientError> {
    match context.session().await {
        Err(error) => {
            context.broker().health().await?;
            Err(error)
        }
        found => found,
    }
}
