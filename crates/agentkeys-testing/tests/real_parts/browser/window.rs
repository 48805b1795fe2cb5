use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use thirtyfour::{By, Key, WebDriver, WebElement, extensions::query::ElementQueryable};

use super::{driver::Driver, setup::Setup};
use crate::parts;

/// How long a page may take to become what a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Of the screen, and further down where there is more, without the density of the screen and 960 dots wide at most.
const WHOLE_PAGE: &str = "
    const {clientWidth: width, clientHeight, scrollHeight} = document.documentElement;
    return {x: 0, y: 0, width, height: Math.max(clientHeight, scrollHeight), scale: Math.min(1, 960 / width) / devicePixelRatio};";
/// Where an element is on the screen, once it is there.
const MIDDLE: &str = "
    arguments[0].scrollIntoView({block: 'center', behavior: 'instant'});
    const {x, y, width, height} = arguments[0].getBoundingClientRect();
    return {x: x + width / 2, y: y + height / 2};";
const SHOWN_FOCUS: &str = "
    const focused = document.activeElement;
    const {outlineStyle, outlineWidth} = getComputedStyle(focused);
    return focused.matches(':focus-visible') && outlineStyle === 'solid' && parseFloat(outlineWidth) >= 2;";
const PAUSE: Duration = Duration::from_millis(20);

/// A real browser with one window, used as a person uses it: by what can be seen. Ends when dropped.
///
/// What does not go as the test says fails it, with what is on the page instead.
pub(crate) struct Browser {
    window: WebDriver,
    has_javascript: bool,
    /// After the window, which is closed through it.
    driver: Driver,
}

impl Browser {
    /// 1280 × 900.
    pub(crate) fn on_a_desk() -> Setup {
        Setup::on_a_desk()
    }

    /// 390 × 844, with fingers and a dense screen.
    pub(crate) fn on_a_phone() -> Setup {
        Setup::on_a_phone()
    }

    pub(super) fn new(window: WebDriver, driver: Driver, has_javascript: bool) -> Self {
        Self { window, has_javascript, driver }
    }

    /// The folder of its profile.
    pub(super) fn profile(&self) -> PathBuf {
        self.driver.profile()
    }

    /// Goes to a page and waits until it is there.
    pub(crate) async fn open(&self, url: &str) {
        self.window.goto(url).await.unwrap_or_else(|error| panic!("{url} does not open: {error}"));
    }

    /// Presses the browser's own button.
    pub(crate) async fn back(&self) {
        self.window.back().await.unwrap();
    }

    /// Presses the browser's own button.
    pub(crate) async fn reload(&self) {
        self.window.refresh().await.unwrap();
    }

    /// Where it is.
    pub(crate) async fn url(&self) -> String {
        self.window.current_url().await.unwrap().into()
    }

    /// What the tab says.
    pub(crate) async fn title(&self) -> String {
        self.window.title().await.unwrap()
    }

    /// All that can be read on the page, also further down.
    pub(crate) async fn text(&self) -> String {
        let text = self.evaluate("return document.body ? document.body.innerText : ''").await;
        text.as_str().unwrap().to_owned()
    }

    /// Whether a text can be read on the page now.
    pub(crate) async fn is_shown(&self, text: &str) -> bool {
        self.text().await.contains(text)
    }

    /// Waits until a text can be read on the page.
    pub(crate) async fn shows(&self, text: &str) {
        let search = async { while !self.is_shown(text).await {} };
        let found = tokio::time::timeout(PATIENCE, search).await;
        assert!(found.is_ok(), "`{text}` is not shown\n{}", self.state().await);
    }

    /// Types into the field with this label or name, instead of what it contains.
    pub(crate) async fn type_into(&self, field: &str, text: &str) {
        let field = self.one(&fields(field), field).await;
        if self.has_javascript {
            field.clear().await.unwrap();
            field.send_keys(text).await.unwrap();
        } else {
            self.click(&field).await;
            self.evaluate("document.activeElement.select()").await;
            self.window.cdp().send_raw("Input.insertText", json!({"text": text})).await.unwrap();
        }
    }

    /// Presses the button or follows the link with this name, and waits for the page to which it leads.
    pub(crate) async fn press(&self, name: &str) {
        let button = self.one(&buttons(name), name).await;
        self.evaluate("window.isOfBefore = true").await;
        self.click(&button).await;
        self.arrives(name).await;
    }

    /// Has a script fill every field with the value of its name, and press the button at this place, counted around.
    ///
    /// Returns what it pressed, once the page to which it leads is there; none where there is nothing to press.
    pub(crate) async fn press_one(&self, values: &Value, choice: usize) -> Option<String> {
        let arguments = vec![values.clone(), choice.into()];
        let pressed = self.window.execute(include_str!("press_one.js"), arguments).await.unwrap();
        let name = pressed.json().as_str()?.to_owned();
        self.arrives(&name).await;
        Some(name)
    }

    async fn click(&self, element: &WebElement) {
        if self.has_javascript {
            return element.click().await.unwrap();
        }
        // The driver's own click waits for scripts of the page.
        let place = self.window.execute(MIDDLE, vec![element.to_json().unwrap()]).await.unwrap();
        for kind in ["mousePressed", "mouseReleased"] {
            let mut event = json!({"type": kind, "button": "left", "clickCount": 1});
            event["x"] = place.json()["x"].clone();
            event["y"] = place.json()["y"].clone();
            self.window.cdp().send_raw("Input.dispatchMouseEvent", event).await.unwrap();
        }
    }

    /// Waits until the page is gone on which `name` was pressed, and the next one there.
    async fn arrives(&self, name: &str) {
        let arrival = async {
            let script = "return !window.isOfBefore && document.readyState === 'complete'";
            // A page that is just going has no answer.
            while !self.window.execute(script, []).await.is_ok_and(|is_there| is_there.json() == true) {}
        };
        let arrived = tokio::time::timeout(PATIENCE, arrival).await;
        assert!(arrived.is_ok(), "`{name}` leads nowhere\n{}", self.state().await);
    }

    /// Hits a key, wherever the focus is.
    pub(crate) async fn hit(&self, key: Key) {
        self.window.active_element().await.unwrap().send_keys(key).await.unwrap();
    }

    /// Types wherever the focus is.
    pub(crate) async fn type_on(&self, text: &str) {
        self.window.active_element().await.unwrap().send_keys(text).await.unwrap();
    }

    /// Whether a person who has no mouse sees where they are.
    pub(crate) async fn shows_focus(&self) -> bool {
        self.evaluate(SHOWN_FOCUS).await.as_bool().unwrap()
    }

    /// Signs in at oidc-provider's own pages and agrees to what the client asks for.
    pub(crate) async fn sign_in_at_provider(&self, login: &str) {
        self.type_into("login", login).await;
        self.type_into("password", "any will do").await;
        self.press("Sign-in").await;
        self.press("Continue").await;
    }

    /// Every cookie it holds, of every site, as Chromium describes them: `name`, `value`, `path`, `httpOnly`, `sameSite`, …
    pub(crate) async fn cookies(&self) -> Vec<Value> {
        let all = self.window.cdp().send_raw("Storage.getCookies", json!({})).await.unwrap();
        all["cookies"].as_array().unwrap().clone()
    }

    /// What it has complained of since it was last asked: faults of scripts, and what a policy forbids.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.window.browser_log().await.unwrap();
        log.into_iter().map(|entry| format!("{}: {}", entry.level, entry.message)).collect()
    }

    /// As [`Browser::complaints`], without those of the pages of others below `url`.
    pub(crate) async fn complaints_beside(&self, url: &str) -> Vec<String> {
        // oidc-provider's pages have a font, which is not on this machine.
        let is_theirs = |said: &String| said.contains(url) || said.contains("fonts.googleapis.com");
        self.complaints().await.into_iter().filter(|said| !is_theirs(said)).collect()
    }

    /// Whether there is more to the right than the screen has room for.
    pub(crate) async fn scrolls_sideways(&self) -> bool {
        let script = "const root = document.scrollingElement; return root.scrollWidth > root.clientWidth";
        self.evaluate(script).await.as_bool().unwrap()
    }

    /// What a script returns, which runs beside the page: also where the page's own may not.
    pub(crate) async fn evaluate(&self, script: &str) -> Value {
        self.window.execute(script, []).await.unwrap().json().clone()
    }

    /// Takes a picture of the whole page, also further down, as a small PNG.
    pub(crate) async fn screenshot(&self, path: &Path) {
        let clip = self.evaluate(WHOLE_PAGE).await;
        let request = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let picture = self.window.cdp().send_raw("Page.captureScreenshot", request).await.unwrap();
        fs::write(path, STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()).unwrap();
    }

    /// What in the page shuts people out, seriously or worse, by WCAG 2.2 AA as far as a program can tell.
    ///
    /// The program is a script, and does not come to its end where JavaScript is off.
    pub(crate) async fn accessibility_faults(&self) -> Vec<String> {
        let axe = fs::read_to_string(parts::at("AGENTKEYS_TEST_AXE")).unwrap();
        let script = format!("{axe};\n{}", include_str!("accessibility_faults.js"));
        let faults = self.window.execute_async(script, []).await.unwrap();
        faults.convert().unwrap_or_else(|_| panic!("axe has failed: {}", faults.json()))
    }

    /// The one thing on the screen that is found by `xpath`, as soon as there is one.
    async fn one(&self, xpath: &str, name: &str) -> WebElement {
        let query = self.window.query(By::XPath(xpath)).and_displayed().wait(PATIENCE, PAUSE);
        match query.single().await {
            Ok(found) => found,
            Err(error) => panic!("no `{name}` to use: {error}\n{}", self.state().await),
        }
    }

    async fn state(&self) -> String {
        format!("at {}\n{}", self.url().await, self.text().await)
    }
}

fn fields(name: &str) -> String {
    let name = quoted(name);
    let labelled =
        format!("@id = //label[normalize-space() = {name}]/@for or ancestor::label[normalize-space() = {name}]");
    format!("//*[self::input or self::select or self::textarea][@name = {name} or {labelled}]")
}

fn buttons(name: &str) -> String {
    let name = quoted(name);
    let is_button = "self::button or self::a[@href] or self::summary or @role = 'button'";
    let is_input = "self::input[@type = 'submit' or @type = 'button']";
    format!("//*[{is_button}][normalize-space() = {name} or @aria-label = {name}] | //*[{is_input}][@value = {name}]")
}

/// A text as a path has it, which knows no escapes.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') { '"' } else { '\'' };
    assert!(!text.contains(quote), "a name with both kinds of quotes: {text}");
    format!("{quote}{text}{quote}")
}
