use std::io::Write;

use anyhow::Context;

/// A page of `docs/reference`, or what it is made from.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Page {
    Openapi,
    Settings,
}

impl Page {
    pub(crate) fn print(self) -> anyhow::Result<()> {
        let page = match self {
            Self::Openapi => serde_json::to_string_pretty(&agentkeys_tee_worker::openapi())?,
            Self::Settings => agentkeys_tee_worker::settings_page(),
        };
        std::io::stdout().write_all(page.as_bytes()).context("stdout")
    }
}
