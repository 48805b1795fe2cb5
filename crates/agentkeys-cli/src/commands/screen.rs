use agentkeys_client::{BrowserScreen, DevicePage, DeviceScreen};
use agentkeys_types::ProviderName;
use async_trait::async_trait;

use crate::{browser, duration, output::Output};

/// Leads a person to a page of the broker, from the terminal.
pub(super) struct Screen<'o> {
    output: &'o Output,
    /// Whether a browser may be opened for them.
    opens: bool,
    /// What they are to do there, in the infinitive.
    purpose: &'static str,
    /// With which provider, where they have said so already.
    provider: Option<ProviderName>,
}

impl<'o> Screen<'o> {
    pub(super) fn new(output: &'o Output, opens: bool, purpose: &'static str) -> Self {
        Self { output, opens, purpose, provider: None }
    }

    pub(super) fn with_provider(self, provider: Option<ProviderName>) -> Self {
        Self { provider, ..self }
    }
}

#[async_trait]
impl BrowserScreen for Screen<'_> {
    async fn show(&mut self, url: &str) {
        let Self { output, purpose, .. } = self;
        if self.opens && browser::open(url).await {
            output.instruct(format_args!("  {purpose} in the browser window that has just opened, or open  {url}"));
        } else {
            output.instruct(format_args!("  {purpose} in a browser: open  {url}"));
        }
    }
}

impl DeviceScreen for Screen<'_> {
    fn show(&mut self, page: &DevicePage) {
        self.output.instruct(format_args!("  Open     {}", page.url));
        self.output.instruct(format_args!("  Code     {}", page.user_code));
        if let Some(provider) = &self.provider {
            self.output.note(format_args!("  Choose   {provider}"));
        }
        let time = duration::in_words(page.expires_in);
        self.output.note(format_args!("  It works for {time}. Waiting for you there…"));
    }
}
