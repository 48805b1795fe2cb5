use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use agentkeys_client::{Dispenser, Walked};
use agentkeys_daemon::read_last;
use agentkeys_testing::{Process, System};
use agentkeys_types::RoleName;
use futures_util::future::join_all;
use tokio::sync::Mutex;

use super::{door::Door, machine::Machine};
use crate::{
    parts::AwsClient,
    sdks::sdk::{Place, Sdk, Used},
};

/// How long credentials live: long enough for a client on a busy machine to use what it has just got.
pub(crate) const LIFE: Duration = Duration::from_secs(20);
/// The one agent.
pub(crate) const CLAUDE: &str = "claude";
/// Whom JWTs for an STS are for.
pub(crate) const AUDIENCE: &str = "sts.amazonaws.com";
const MOST_HAND_OUTS: usize = 100_000;

/// An STS, one role of it, and what may be touched with that.
pub(crate) struct Site {
    pub(crate) sts: String,
    pub(crate) role_arn: String,
    pub(crate) place: Place,
}

impl Site {
    pub(crate) fn at_the_stand_in(system: &System, ada: &Walked) -> Self {
        let (url, bucket) = (system.aws_url(), System::BUCKET.to_owned());
        let place = Place { url: url.clone(), bucket, prefix: format!("bots/{}/", ada.wallet.to_lowercase()) };
        Self { sts: url, role_arn: System::ROLE_ARN.to_owned(), place }
    }
}

/// One daemon with every door open, and the servers behind it.
pub(crate) struct Bench {
    pub(crate) system: System,
    pub(crate) site: Site,
    machine: Machine,
    daemon: Mutex<Process>,
    /// Where the daemon's endpoint is.
    endpoint: String,
}

impl Bench {
    /// With a role of short sessions, which are called `daemon-person` and `daemon-claude`.
    pub(crate) async fn start(system: System, ada: &Walked, site: Site) -> Self {
        let settings = |home: &Path| {
            format!(
                "[aws]\nrole_arn = \"{}\"\nendpoint_url = \"{}\"\nduration_seconds = {}\n\
                 session_name = \"daemon-{{agent}}\"\n[daemon.token_files.aws]\npath = \"{}\"\n",
                site.role_arn,
                site.sts,
                LIFE.as_secs(),
                jwt_file(home).display()
            )
        };
        let machine = Machine::with(&ada.session, &system, settings).await;
        machine.name_agent(CLAUDE, &["default"], &[AUDIENCE], &system, &ada.session).await;
        let daemon = Mutex::new(machine.start_daemon().await);
        let endpoint = machine.daemon_client().status().await.unwrap().endpoint.unwrap();
        machine.wait_for(&jwt_file(machine.path())).await;
        let bench = Self { system, site, machine, daemon, endpoint };
        bench.write_aws_profile().await;
        bench
    }

    /// Has every SDK use credentials from behind each of these doors, all at once, until it has had as many sets of
    /// them as `sets` says.
    pub(crate) async fn keep_using(&self, doors: &[Door], sets: impl Fn(Door) -> usize) -> Vec<(Door, Sdk, Vec<Used>)> {
        let everybody = doors.iter().flat_map(|door| Sdk::ALL.map(|sdk| (*door, sdk)));
        join_all(everybody.map(|(door, sdk)| {
            let count = sets(door);
            async move {
                let used = sdk.keep_using(&self.site.place, count, |client| self.through(door, client));
                (door, sdk, used.await)
            }
        }))
        .await
    }

    /// The same client, which finds its credentials behind this door.
    pub(crate) fn through(&self, door: Door, client: AwsClient) -> AwsClient {
        let agents_token = format!("agents/{CLAUDE}/authorization-token");
        match door {
            Door::AgentsEndpoint => self.with_endpoint(client, &agents_token),
            Door::Command => self
                .at_home(client)
                .with("AWS_CONFIG_FILE", &self.aws_config().display().to_string())
                .with("AWS_PROFILE", "agentkeys"),
            Door::Endpoint => self.with_endpoint(client, "authorization-token"),
            Door::Environment => self.run(client, &["--door", "environment"]),
            Door::Run => self.run(client, &[]),
            Door::WebIdentity => client.with_web_identity(&jwt_file(self.machine.path()), &self.site.role_arn),
        }
    }

    fn with_endpoint(&self, client: AwsClient, token: &str) -> AwsClient {
        let token = self.machine.beside_socket(token).display().to_string();
        client
            .with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/v1/container/default", self.endpoint))
            .with("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token)
    }

    fn run(&self, client: AwsClient, flags: &[&str]) -> AwsClient {
        let agentkeys = Process::binary("agentkeys").display().to_string();
        let words = [&[agentkeys.as_str(), "run"], flags, &["--"]].concat();
        self.at_home(client).behind(&words)
    }

    fn at_home(&self, client: AwsClient) -> AwsClient {
        self.machine.environment().fold(client, |client, (name, value)| client.with(name, &value))
    }

    async fn write_aws_profile(&self) {
        let file = self.aws_config().display().to_string();
        let mut configure = self.machine.agentkeys(&["aws", "configure", "--yes", "--aws-config-file", &file]);
        let written = configure.output().await.unwrap();
        assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    }

    fn aws_config(&self) -> PathBuf {
        self.machine.path().join("aws-config")
    }

    /// Returns when the daemon has credentials.
    pub(crate) async fn wait_for_credentials(&self) {
        self.machine.daemon_client().credentials(&RoleName::default(), None).await.unwrap();
    }

    /// Returns when the daemon has logged that.
    pub(crate) async fn wait_for_line(&self, part: &str) {
        self.daemon.lock().await.line_with(part).await;
    }

    /// How many sets of credentials went to the person, or to an agent.
    pub(crate) fn handed_out_to(&self, whose: &str) -> usize {
        let hand_outs = read_last(&self.machine.hand_outs(), MOST_HAND_OUTS).unwrap();
        let name = |agent: Option<&str>| agent.unwrap_or("person") == whose;
        let theirs =
            hand_outs.iter().filter(|entry| name(entry.agent.as_ref().map(agentkeys_types::AgentName::as_str)));
        theirs.filter_map(|entry| entry.access_key_id.as_ref()).collect::<BTreeSet<_>>().len()
    }
}

fn jwt_file(home: &Path) -> PathBuf {
    home.join("jwt")
}
