use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use reqwest::{
    RequestBuilder, Url,
    header::{COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE},
    redirect::Policy,
};

mod html;

use html::Element;

/// A browser without scripts, with cookies of its own, that follows nothing by itself.
#[derive(Debug)]
pub struct TestBrowser {
    base: Url,
    http: reqwest::Client,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl TestBrowser {
    /// A browser that has never been at the server `base`.
    pub fn new(base: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().expect("an HTTP client");
        Self { base: base.parse().expect("a URL"), http, cookies: Mutex::default() }
    }

    /// Opens a path of the server, or a URL.
    pub async fn open(&self, url: &str) -> Page {
        let url = self.base.join(url).expect("a URL");
        self.send(self.http.get(url)).await
    }

    /// Posts a form of the page that was opened before.
    pub async fn submit(&self, form: &Form, fields: &[(&str, &str)]) -> Page {
        let form = fields.iter().fold(form.clone(), |form, (name, value)| form.with(name, value));
        let url = self.base.join(&form.action).expect("a URL");
        let origin = self.base.origin().ascii_serialization();
        self.send(self.http.post(url).header(ORIGIN, origin).form(&form.fields)).await
    }

    /// Forgets where it has been.
    pub fn forget_cookies(&self) {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn send(&self, request: RequestBuilder) -> Page {
        let mut request = request.build().expect("a request");
        let is_at_home = request.url().origin() == self.base.origin();
        if is_at_home && let Some(cookies) = self.cookies() {
            request.headers_mut().insert(COOKIE, cookies.parse().expect("cookies are a header"));
        }
        let page = Page::read(self.http.execute(request).await.expect("the server answers")).await;
        if is_at_home {
            self.keep_cookies(&page.headers);
        }
        page
    }

    fn cookies(&self) -> Option<String> {
        let cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    fn keep_cookies(&self, headers: &HeaderMap) {
        let mut cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        for cookie in headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().expect("a cookie is ASCII");
            let (name, value) = cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// What a browser shows.
#[derive(Clone, Debug)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The page as it came.
    pub html: String,
    elements: Vec<Element>,
}

impl Page {
    async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let html = response.text().await.expect("the page arrives in full");
        let is_page = headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        let elements = if is_page { Element::all(&html) } else { Vec::new() };
        Self { status, headers, html, elements }
    }

    /// The title, without the name of the program.
    pub fn title(&self) -> &str {
        let title = self.named("title").next().map_or("", |title| title.text.as_str());
        title.strip_suffix(" · AgentKeys").unwrap_or(title)
    }

    /// What a person can read, in one line.
    pub fn text(&self) -> String {
        let text = self.named("body").next().map_or("", |body| body.text.as_str());
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// A header, empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header is ASCII"))
    }

    /// Where the browser is sent.
    ///
    /// # Panics
    ///
    /// When it is sent nowhere.
    pub fn location(&self) -> Url {
        let location = self.headers.get(LOCATION).unwrap_or_else(|| panic!("sent nowhere by {self:?}"));
        location.to_str().expect("a URL is ASCII").parse().expect("a URL")
    }

    /// A parameter of where the browser is sent.
    pub fn brought(&self, name: &str) -> Option<String> {
        let location = self.location();
        location.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    /// The status and the code of the failure that the page tells of, empty where it tells of none.
    pub fn failure(&self) -> (u16, String) {
        let support = self.elements.iter().find(|element| element.attribute("class") == "support");
        let words = support.map_or("", |support| support.text.as_str());
        let code = words.split_once(": ").and_then(|(_, code)| code.split_whitespace().next()).unwrap_or_default();
        (self.status, code.to_owned())
    }

    /// How many elements of this name there are.
    pub fn count(&self, element: &str) -> usize {
        self.named(element).count()
    }

    /// The form that is posted to `action`, if there is one, with its hidden fields.
    pub fn find_form(&self, action: &str) -> Option<Form> {
        let form = self.named("form").find(|form| form.attribute("action") == action)?;
        let hidden = |field: &&Element| {
            field.name == "input" && field.attribute("type") == "hidden" && field.is_inside(form.number)
        };
        let field = |field: &Element| (field.attribute("name").to_owned(), field.attribute("value").to_owned());
        let fields = self.elements.iter().filter(hidden).map(field).collect();
        Some(Form { action: action.to_owned(), fields })
    }

    /// The form that is posted to `action`, with its hidden fields.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn form(&self, action: &str) -> Form {
        self.find_form(action).unwrap_or_else(|| panic!("no form for {action} on {}: {}", self.status, self.html))
    }

    /// The page itself, if it has this status.
    ///
    /// # Panics
    ///
    /// When it has another one.
    #[expect(clippy::return_self_not_must_use, reason = "often the status is all that a test wants to know")]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.html);
        self
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Element> {
        self.elements.iter().filter(move |element| element.name == name)
    }
}

/// A form, filled in as far as its page or the test does.
#[derive(Clone, Debug)]
pub struct Form {
    /// Where it is posted.
    pub action: String,
    /// Its fields.
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// The same with this field, instead of one of that name.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
