use agentkeys_client::{BrowserScreen, DevicePage, DeviceScreen};
use agentkeys_types::ProviderName;
use async_trait::async_trait;

use crate::{browser, duration, output::Output};

/// Leads a person to a page of the broker, from the terminal.
pub(super) struct Screen<'o> {
    output: &'o Output,
    /// Whether a browser may be opened for them.
    opens: bool,
    purpose: Purpose,
    /// With which provider, where they have said so already.
    provider: Option<ProviderName>,
}

/// What a person is to do on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Link an identity, in whichever browser.
    Link,
    /// Sign in for this process.
    SignIn,
}

impl Purpose {
    fn in_words(self) -> &'static str {
        match self {
            Self::Link => "Link it",
            Self::SignIn => "Sign in",
        }
    }

    /// Which browsers will do.
    fn place(self) -> &'static str {
        match self {
            Self::Link => "a browser",
            Self::SignIn => "a browser on this machine",
        }
    }
}

impl<'o> Screen<'o> {
    pub(super) fn new(output: &'o Output, opens: bool, purpose: Purpose) -> Self {
        Self { output, opens, purpose, provider: None }
    }

    pub(super) fn with_provider(self, provider: Option<ProviderName>) -> Self {
        Self { provider, ..self }
    }
}

#[async_trait]
impl BrowserScreen for Screen<'_> {
    async fn show(&mut self, url: &str) {
        let purpose = self.purpose.in_words();
        if self.opens && browser::open(url).await {
            self.output
                .instruct(format_args!("  {purpose} in the browser window that has just opened, or open  {url}"));
        } else {
            self.output.instruct(format_args!("  {purpose} in {}: open  {url}", self.purpose.place()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::recorded;

    #[test]
    fn a_person_is_told_what_to_type_and_where() {
        let (output, results, notes) = recorded(false);
        let page = DevicePage {
            url: "https://broker.example.com/device".to_owned(),
            user_code: "K7Q4-MF2X".to_owned(),
            expires_in: 600,
        };

        DeviceScreen::show(&mut Screen::new(&output, false, Purpose::SignIn), &page);

        assert_eq!(
            notes.text(),
            "  Open     https://broker.example.com/device\n  Code     K7Q4-MF2X\n  It works for 10 minutes. Waiting for you \
             there…\n"
        );
        assert_eq!(results.text(), "");
    }

    #[tokio::test]
    async fn a_page_that_may_not_be_opened_is_shown_whatever_the_flags() {
        let (output, results, notes) = recorded(true);
        let url = "https://broker.example.com/oauth/authorize?a=1";

        BrowserScreen::show(&mut Screen::new(&output, false, Purpose::SignIn), url).await;

        assert_eq!(notes.text(), format!("  Sign in in a browser on this machine: open  {url}\n"));
        assert_eq!(results.text(), "");
    }
}
