use std::time::Duration;

use serde_json::{Value, json};
use thirtyfour::{Capabilities, WebDriver};

use super::{driver::Driver, window::Browser};

/// As root it runs without a sandbox only; it calls nobody; its end of the pipe closing is its end.
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
    "--remote-debugging-pipe",
];
const DARK: &str = "--blink-settings=preferredColorScheme=0";
/// How long the driver may take for one command.
const PATIENCE: Duration = Duration::from_mins(1);
const BLOCKED: u8 = 2;

/// The browser that a person has.
pub(crate) struct Setup {
    screen: Value,
    has_javascript: bool,
    is_dark: bool,
}

impl Setup {
    pub(super) fn on_a_desk() -> Self {
        Self::on(json!({"width": 1280, "height": 900, "pixelRatio": 1, "mobile": false, "touch": false}))
    }

    pub(super) fn on_a_phone() -> Self {
        Self::on(json!({"width": 390, "height": 844, "pixelRatio": 3, "mobile": true, "touch": true}))
    }

    fn on(screen: Value) -> Self {
        Self { screen, has_javascript: true, is_dark: false }
    }

    /// The same with a person who has switched JavaScript off.
    pub(crate) fn without_javascript(mut self) -> Self {
        self.has_javascript = false;
        self
    }

    /// The same with a person who likes it dark.
    pub(crate) fn in_the_dark(mut self) -> Self {
        self.is_dark = true;
        self
    }

    /// Starts it, with a profile in which nothing has happened yet.
    pub(crate) async fn start(self) -> Browser {
        let driver = Driver::start().await;
        // Dropping the window closes it from another thread, where a connection of this runtime would be stuck.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE).build().unwrap();
        let window = WebDriver::builder(driver.url(), self.capabilities(&driver)).client(http).await.unwrap();
        Browser::new(window, driver, self.has_javascript)
    }

    fn capabilities(&self, driver: &Driver) -> Capabilities {
        let mut flags: Vec<_> = FLAGS.iter().map(ToString::to_string).collect();
        flags.push(format!("--user-data-dir={}", driver.profile().display()));
        flags.extend(self.is_dark.then(|| DARK.to_owned()));
        let mut options = json!({"args": flags, "mobileEmulation": {"deviceMetrics": self.screen}});
        if !self.has_javascript {
            options["prefs"] = json!({"profile.managed_default_content_settings.javascript": BLOCKED});
        }
        let mut capabilities = Capabilities::new();
        capabilities.set("browserName", "chrome").unwrap();
        capabilities.set("goog:chromeOptions", options).unwrap();
        capabilities.set("goog:loggingPrefs", json!({"browser": "ALL"})).unwrap();
        capabilities
    }
}
