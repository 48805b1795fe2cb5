use std::{net::SocketAddr, sync::Arc};

use agentkeys_broker::{Config, Limits};
use agentkeys_client::{AwsSettings, ServerUrl};
use agentkeys_http::Server;
use agentkeys_mock_server::{AwsConfig, AwsStandIn, Mailbox, SmtpListener, Trust, dev_key_service::DevKeyService};
use agentkeys_signer::{BrokerStanding, NotAttested, Signer, SignerConfig, SignerParts, SigningLog};
use agentkeys_types::Clock;

use super::{DevError, ports::Addresses, state::State};
use crate::error::CliError;

/// Every server there is, in this process.
pub(super) struct System {
    broker: agentkeys_broker::Running,
    signer: agentkeys_http::Running,
    aws: agentkeys_http::Running,
    smtp: SmtpListener,
    mailbox: Mailbox,
}

impl System {
    /// With `keys`, or else those that the state keeps.
    pub(super) async fn start(
        state: &State,
        at: Addresses,
        keys: Option<Arc<DevKeyService>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DevError> {
        let mailbox = Mailbox::new(Arc::clone(&clock));
        let smtp = SmtpListener::start(mailbox.clone(), at.smtp).await;
        let smtp = smtp.map_err(|error| DevError::part("mailbox")(error.into()))?;

        let config = broker_config(state, &at, smtp.address());
        let broker = agentkeys_broker::start(config?, Arc::clone(&clock)).await;
        let broker = broker.map_err(|error| DevError::part("broker")(error.into()))?;
        let issuer = url(broker.address());

        let signer = start_signer(state, keys, at.signer, &issuer, &mailbox, Arc::clone(&clock)).await;
        let signer = signer.map_err(DevError::part("signer"))?;

        let aws = AwsConfig {
            listen: at.aws,
            data: state.buckets(),
            role_arn: AwsConfig::DEFAULT_ROLE_ARN.to_owned(),
            bucket: AwsConfig::DEFAULT_BUCKET.to_owned(),
            trusted: vec![Trust { issuer, audiences: vec!["sts.amazonaws.com".to_owned()] }],
            shortest_session: AwsConfig::SHORTEST_SESSION,
            default_session: AwsConfig::DEFAULT_SESSION,
        };
        let aws = AwsStandIn::start(aws, clock).await;
        let aws = aws.map_err(|error| DevError::part("AWS stand-in")(error.into()))?;
        Ok(Self { broker, signer, aws, smtp, mailbox })
    }

    /// Stops all of it, in the order in which the parts depend on each other.
    pub(super) async fn stop(self) {
        self.aws.stop().await;
        self.signer.stop().await;
        self.broker.stop().await;
        self.smtp.stop().await;
    }

    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// The broker's URL as text.
    pub(super) fn broker_at(&self) -> String {
        url(self.broker.address())
    }

    /// The signer's URL as text.
    pub(super) fn signer_at(&self) -> String {
        url(self.signer.address())
    }

    /// The AWS stand-in's URL as text.
    pub(super) fn aws_at(&self) -> String {
        url(self.aws.address())
    }

    pub(super) fn broker_url(&self) -> Result<ServerUrl, CliError> {
        Ok(self.broker_at().parse()?)
    }

    pub(super) fn signer_url(&self) -> Result<ServerUrl, CliError> {
        Ok(self.signer_at().parse()?)
    }

    /// What the settings would say of this AWS.
    pub(super) fn aws_settings(&self) -> Result<AwsSettings, CliError> {
        let role_arn = AwsConfig::DEFAULT_ROLE_ARN.parse();
        let role_arn = role_arn.map_err(|error: agentkeys_types::Invalid| CliError::Usage(error.to_string()))?;
        Ok(AwsSettings {
            role_arn: Some(role_arn),
            endpoint_url: Some(self.aws_at().parse()?),
            ..AwsSettings::default()
        })
    }
}

fn broker_config(state: &State, at: &Addresses, smtp: SocketAddr) -> Result<Config, DevError> {
    let mut config = Config {
        listen: at.broker,
        metrics_listen: at.metrics,
        state: state.folder().to_owned(),
        // The mailbox here bothers nobody, however often a developer starts anew.
        limits: Limits {
            mails_per_address_and_hour: 10_000,
            mails_per_source_and_hour: 10_000,
            mails_per_hour: 10_000,
            codes_per_source_and_hour: 10_000,
            ..Limits::default()
        },
        ..Config::default()
    };
    let smtp: reqwest::Url =
        format!("smtp://{smtp}").parse().map_err(|error| DevError::part("broker")(Box::new(error)))?;
    config.mail.smtp = smtp;
    Ok(config)
}

async fn start_signer(
    state: &State,
    keys: Option<Arc<DevKeyService>>,
    listen: SocketAddr,
    issuer: &str,
    mailbox: &Mailbox,
    clock: Arc<dyn Clock>,
) -> Result<agentkeys_http::Running, Box<dyn std::error::Error + Send + Sync>> {
    let keys = match keys {
        Some(keys) => keys,
        None => Arc::new(DevKeyService::from_file(&state.master_secret())?),
    };
    let standing = Arc::new(BrokerStanding::new(&issuer.parse()?)?);
    let record = Arc::new(SigningLog::open_apart(state.signing_log()).await?);
    let parts = SignerParts { keys, record, attester: Arc::new(NotAttested), standing, clock };
    let signer = Signer::open(SignerConfig::for_development(issuer.to_owned()), parts);
    let mut server = Server::bind("signer", listen).await?;
    let routes = mailbox.router().merge(agentkeys_signer::router(signer, &mut server));
    Ok(server.serve(routes))
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}
