use std::{convert::Infallible, net::SocketAddr};

use agentkeys_api::Audience;
use agentkeys_daemon::{ConsumerToken, Endpoint, RunningEndpoint};

use super::{endpoint::ProgramDesk, private_folder::PrivateFolder};
use crate::{
    commands::aws,
    context::Context,
    dispensary::RoleArgs,
    error::CliError,
    kept_token::{KeptToken, socket_folder},
};

/// What AWS programs would ask before the doors that stand last in their order: their files, and the machine itself.
const NOTHING_BEFORE_IT: [(&str, &str); 3] = [
    ("AWS_CONFIG_FILE", "/dev/null"),
    ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

/// Where a program finds its credentials. Closed, with all that lies on the disk for it, when dropped.
#[derive(Debug)]
pub(super) struct OpenDoor {
    variables: Vec<(&'static str, String)>,
    kept: Option<KeptToken>,
    _endpoint: Option<RunningEndpoint>,
    _folder: Option<PrivateFolder>,
}

impl OpenDoor {
    /// A server of this process at an address of 127.0.0.1 that answers whoever has the token of a file.
    pub(super) async fn endpoint(role: &RoleArgs, context: &Context) -> Result<Self, CliError> {
        let dispenser = context.dispenser();
        // What cannot be had is told before the program starts.
        let first = role.credentials_of(dispenser.as_ref(), context).await?;
        let folder = PrivateFolder::create_in(&socket_folder(context)?)?;
        let (token, path) = (ConsumerToken::generate(), folder.path().join("token"));
        token.write(&path)?;
        let desk = ProgramDesk::new(token, role.clone(), dispenser);
        let endpoint = Endpoint::open(SocketAddr::from(([127, 0, 0, 1], 0)), desk).await?;
        let url = format!("http://{}{}", endpoint.address(), container_path(role));
        let mut variables = vec![
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path.display().to_string()),
        ];
        variables.extend(aws::region_and_endpoint(&first.region, first.endpoint_url.as_deref()));
        Ok(Self { _endpoint: Some(endpoint), _folder: Some(folder), ..Self::of(variables).with_nothing_before_it() })
    }

    /// Credentials in variables.
    pub(super) async fn environment(role: &RoleArgs, context: &Context) -> Result<Self, CliError> {
        Ok(Self::of(aws::variables(&role.credentials(context).await?)))
    }

    /// A file with a JWT, for which AWS programs get credentials themselves.
    pub(super) async fn web_identity(role: &RoleArgs, context: &Context) -> Result<Self, CliError> {
        let details = role.details(context).await?;
        let folder = PrivateFolder::create_in(&socket_folder(context)?)?;
        let path = folder.path().join("jwt");
        let (kept, jwt) = KeptToken::write(&path, Audience::aws_sts(), role.agent.clone(), context).await?;
        let variables = aws::web_identity_variables(&details, &path, &jwt);
        Ok(Self { kept: Some(kept), _folder: Some(folder), ..Self::of(variables).with_nothing_before_it() })
    }

    /// What goes into the program's environment.
    pub(super) fn take_variables(&mut self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.variables)
    }

    /// Does what has to be done for the door while the program runs.
    pub(super) async fn keep_open(&mut self) -> Infallible {
        match &mut self.kept {
            Some(kept) => kept.keep_fresh().await,
            None => std::future::pending().await,
        }
    }

    fn of(variables: Vec<(&'static str, String)>) -> Self {
        Self { variables, kept: None, _endpoint: None, _folder: None }
    }

    fn with_nothing_before_it(mut self) -> Self {
        self.variables.extend(NOTHING_BEFORE_IT.map(|(name, value)| (name, value.to_owned())));
        self
    }
}

fn container_path(role: &RoleArgs) -> String {
    agentkeys_api::daemon::CONTAINER.replace("{role}", role.role.as_str())
}
