use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use agentkeys_broker::Config;
use agentkeys_types::SystemClock;
use clap::{Args, Subcommand};

use crate::{dev::told_to_stop, error::CliError};

/// The servers.
#[derive(Debug, Subcommand)]
pub(crate) enum ServeCommand {
    /// Sign people in and mint the tokens that clouds trust
    Broker(BrokerArgs),
}

/// The flags of `agentkeys serve broker`.
#[derive(Debug, Args)]
pub(crate) struct BrokerArgs {
    /// The settings, a TOML file; without one, everything is for development on loopback
    #[arg(long, env = "AGENTKEYS_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// The folder of the store and the signing keys
    #[arg(long, env = "AGENTKEYS_STATE", value_name = "FOLDER")]
    state: Option<PathBuf>,

    /// Where to listen
    #[arg(long, env = "AGENTKEYS_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Where Prometheus finds the metrics
    #[arg(long, env = "AGENTKEYS_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,
}

impl ServeCommand {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        let Self::Broker(args) = self;
        let running = agentkeys_broker::start(args.load()?, Arc::new(SystemClock)).await;
        let running = running.map_err(|error| CliError::Server(error.to_string()))?;
        tokio::select! {
            told = told_to_stop() => told?,
            failed = running.look_for_keys_at_every_hangup() => failed?,
        }
        tracing::info!("stopping: no new connections, the last answers leave");
        running.stop().await;
        Ok(())
    }
}

impl BrokerArgs {
    fn load(self) -> Result<Config, CliError> {
        let mut config = match &self.config {
            None => Config::default(),
            Some(path) => {
                let unreadable =
                    |source| CliError::File { context: format!("`{}` cannot be read", path.display()), source };
                let text = std::fs::read_to_string(path).map_err(unreadable)?;
                Config::parse(&text).map_err(|error| CliError::Usage(format!("`{}`: {error}", path.display())))?
            }
        };
        config.state = self.state.unwrap_or(config.state);
        config.listen = self.listen.unwrap_or(config.listen);
        config.metrics_listen = self.metrics_listen.unwrap_or(config.metrics_listen);
        Ok(config)
    }
}
