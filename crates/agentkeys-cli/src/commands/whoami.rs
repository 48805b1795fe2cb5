use std::time::Duration;

use agentkeys_api::{DaemonState, DeviceState, Devices, IdentityView, LinkStatus};
use agentkeys_client::{Attestation, ClientError, Session};
use agentkeys_types::{AgentName, EvmAddress, KeyThumbprint, OmniAccount, SessionId, Timestamp};
use clap::Args;
use serde::Serialize;

use super::{
    agent, attestation, daemon,
    devices::{self, Fingerprint},
};
use crate::{context::Context, duration, error::CliError, output::Output};

/// The flags of `agentkeys whoami`.
#[derive(Debug, Args)]
pub(crate) struct WhoamiArgs {
    /// Print nothing; exit with 0 while the session stands, and with 3 when a person must sign in
    #[arg(long)]
    check: bool,

    /// With `--check`: for at least this long, such as 1h
    #[arg(long, requires = "check", value_name = "DURATION", value_parser = duration::parse)]
    min_ttl: Option<Duration>,
}

/// Who is signed in, as a program reads it.
#[derive(Serialize)]
struct Whoami {
    account: OmniAccount,
    identities: Vec<IdentityView>,
    wallets: Vec<Wallet>,
    session: Held,
    /// The key of this device, which others compare before they let it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<OwnDevice>,
    broker_url: String,
    signer: Signer,
    /// How it is with the daemon, if one runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon: Option<DaemonState>,
    /// What the daemon has noticed: that a device was added, for example.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
    /// The agents that get something on this machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    agents: Vec<AgentName>,
}

#[derive(Serialize)]
struct Wallet {
    address: EvmAddress,
    /// The name that works on every chain (CAIP-10).
    caip10: String,
    status: LinkStatus,
}

#[derive(Serialize)]
struct Held {
    session_id: SessionId,
    expires_at: Timestamp,
}

#[derive(Serialize)]
struct OwnDevice {
    key: KeyThumbprint,
    /// What stands with it, where the signer pins devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<Devices>,
}

impl OwnDevice {
    async fn of(context: &Context, session: &Session, kind: SignerKind) -> Option<Self> {
        let key = session.device_key.as_ref()?.thumbprint();
        // A development signer pins none.
        let signer = context.signer().ok().filter(|_| matches!(kind, SignerKind::Attested | SignerKind::Unverified));
        let pinned = match signer {
            Some(signer) => signer.devices(session).await.ok(),
            None => None,
        };
        Some(Self { key, pinned })
    }

    fn print(&self, context: &Context, output: &Output) {
        let Some(Devices { devices, .. }) = &self.pinned else {
            output.line(format_args!("device      {}", Fingerprint(self.key)));
            return;
        };
        let own = devices.iter().find(|device| device.is_this);
        let state = own.map_or_else(|| "not pinned".to_owned(), devices::state);
        output.line(format_args!("device      {} ({state})", Fingerprint(self.key)));
        let waiting = devices.iter().filter(|device| device.state == DeviceState::Waiting && !device.is_this).count();
        if waiting > 0 {
            let command = context.command();
            output.line(format_args!("devices     {waiting} not approved yet: `{command} devices list`"));
        }
    }
}

#[derive(Serialize)]
struct Signer {
    url: String,
    kind: SignerKind,
    /// What was found, where a policy judges it.
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation: Option<String>,
}

impl Signer {
    async fn of(context: &Context) -> Self {
        let (kind, attestation) = SignerKind::of(context).await;
        Self { url: context.settings.signer_url.to_string(), kind, attestation }
    }

    fn in_words(&self) -> String {
        format!("{} ({})", self.url, self.attestation.as_deref().unwrap_or(self.kind.in_words()))
    }
}

/// What the signer shows of itself.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SignerKind {
    /// It says itself that it is for development.
    Development,
    /// It has shown where it runs, and the policy accepts that.
    Attested,
    /// The policy does not accept what it shows.
    Refused,
    /// It shows evidence, which nothing here has checked.
    Unverified,
    /// It did not answer, or may not be asked.
    Unknown,
}

impl SignerKind {
    /// What the signer is, and in words what was found where a policy judges it.
    pub(super) async fn of(context: &Context) -> (Self, Option<String>) {
        let mut nonce = [0; 32];
        let signer = match context.signer() {
            Ok(signer) => signer,
            Err(error) => return Self::of_error(&error),
        };
        match signer.examine().await {
            Ok(Some(examined)) => match examined.refusal() {
                None => return (Self::Attested, Some(attestation::release_in_words(&examined))),
                Some((check, detail)) => {
                    return (Self::Refused, Some(format!("REFUSED: {detail} ({check})")));
                }
            },
            Ok(None) => {}
            Err(error) => return Self::of_error(&error),
        }
        if getrandom::fill(&mut nonce).is_err() {
            return (Self::Unknown, None);
        }
        match signer.attestation(&nonce).await {
            Ok(Attestation::Development) => (Self::Development, None),
            Ok(Attestation::Unverified(_)) => (Self::Unverified, None),
            Err(_) => (Self::Unknown, None),
        }
    }

    fn of_error(error: &ClientError) -> (Self, Option<String>) {
        match error {
            ClientError::AttestationInvalid { check, detail, .. } => {
                (Self::Refused, Some(format!("REFUSED: {detail} ({check})")))
            }
            _ => (Self::Unknown, None),
        }
    }

    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Development => "DEV, keep no funds on it",
            Self::Attested => "attested",
            Self::Refused => "REFUSED",
            Self::Unverified => "shows evidence, which was not verified",
            Self::Unknown => "did not answer",
        }
    }
}

impl WhoamiArgs {
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        let session = match context.session().await {
            Ok(session) => session,
            // Where nothing is kept, as under the profile `dev`, a daemon may still act for somebody.
            Err(error) if context.is_dev() || context.is_in_memory() || matches!(error, ClientError::Storage(_)) => {
                return self.ask_daemon(context, output, error).await;
            }
            Err(error) => return Err(error.into()),
        };
        if self.check {
            // The broker knows what the session itself cannot say: whether it was revoked.
            let view = context.broker().session(&session).await?;
            return self.check_life(context, view.expires_at);
        }
        let whoami = Whoami::ask(context, &session).await?;
        output.result(&whoami, |output| whoami.print(context, output));
        Ok(())
    }

    async fn ask_daemon(&self, context: &Context, output: &Output, error: ClientError) -> Result<(), CliError> {
        let status = match context.daemon().status().await {
            Ok(status) => status,
            Err(no_daemon) if context.is_dev() => return Err(no_daemon.into()),
            Err(_) => return Err(error.into()),
        };
        if status.state == DaemonState::SignInNeeded {
            return Err(ClientError::NotSignedIn.into());
        }
        if self.check {
            return Ok(());
        }
        output.result(&status, |output| {
            let known = |value: Option<String>| value.unwrap_or_else(|| "not known yet".to_owned());
            output.line(format_args!("account     {}", known(status.account.map(|account| account.to_string()))));
            output.line(format_args!("wallet      {}", known(status.wallet.map(|wallet| caip10(&wallet)))));
            output.line(format_args!("session     held by the daemon of the profile {}", status.profile));
        });
        if !output.is_json() {
            output.line(format_args!("signer      {}", Signer::of(context).await.in_words()));
        }
        Ok(())
    }

    fn check_life(&self, context: &Context, expires_at: Timestamp) -> Result<(), CliError> {
        let left = expires_at.since(context.clock.now());
        if left < self.min_ttl.unwrap_or_default() {
            return Err(CliError::EndsSoon(duration::display(left)));
        }
        Ok(())
    }
}

impl Whoami {
    async fn ask(context: &Context, session: &Session) -> Result<Self, ClientError> {
        let broker = context.broker();
        let daemon = context.daemon();
        let (view, identities, links, signer, status) = tokio::join!(
            broker.session(session),
            broker.identities(session),
            broker.wallets(session),
            Signer::of(context),
            daemon.status()
        );
        let (view, identities, links) = (view?, identities?, links?);
        let device = OwnDevice::of(context, session, signer.kind).await;
        let wallet = |link: agentkeys_api::WalletLinkView| Wallet {
            address: link.address,
            caip10: caip10(&link.address),
            status: link.status,
        };
        Ok(Self {
            account: view.account,
            identities: identities.identities.into_iter().map(|linked| linked.identity).collect(),
            wallets: links.links.into_iter().map(wallet).collect(),
            session: Held { session_id: view.session_id, expires_at: view.expires_at },
            device,
            broker_url: context.settings.broker_url.to_string(),
            signer,
            daemon: status.as_ref().ok().map(|status| status.state),
            notice: status.ok().and_then(|status| status.notice),
            agents: agent::read(context).map(|pages| pages.agents.into_keys().collect()).unwrap_or_default(),
        })
    }

    fn print(&self, context: &Context, output: &Output) {
        output.line(format_args!("account     {}", self.account));
        for identity in &self.identities {
            output.line(format_args!("identity    {} ({})", identity.value, identity.identity_type));
        }
        for wallet in &self.wallets {
            let status = match wallet.status {
                LinkStatus::Proved => "proved",
                LinkStatus::Pending => "not proved yet",
            };
            output.line(format_args!("wallet      {} ({status})", wallet.caip10));
        }
        let left = duration::display(self.session.expires_at.since(context.clock.now()));
        output.line(format_args!("session     until {} ({left} left)", self.session.expires_at));
        if let Some(device) = &self.device {
            device.print(context, output);
        }
        output.line(format_args!("broker      {}", self.broker_url));
        output.line(format_args!("signer      {}", self.signer.in_words()));
        if let Some(state) = self.daemon {
            output.line(format_args!("daemon      {}", daemon::in_words(state)));
        }
        if let Some(notice) = &self.notice {
            output.line(format_args!("notice      {notice}"));
        }
        if !self.agents.is_empty() {
            let names: Vec<&str> = self.agents.iter().map(AgentName::as_str).collect();
            output.line(format_args!("agents      {}", names.join(", ")));
        }
    }
}

/// The address on Ethereum's main chain; it is the same on every other one.
fn caip10(address: &EvmAddress) -> String {
    format!("eip155:1:{address}")
}
