use std::collections::BTreeMap;

use reqwest::{
    Url,
    header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE},
    redirect::Policy,
};

/// A browser without a screen: it keeps cookies, follows redirects, and posts forms that somebody fills in.
pub(crate) struct Visitor {
    http: reqwest::Client,
    cookies: BTreeMap<String, String>,
    visited: Vec<Url>,
}

/// A page that it shows.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) url: Url,
    html: String,
}

impl Default for Visitor {
    fn default() -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { http, cookies: BTreeMap::new(), visited: Vec::new() }
    }
}

impl Visitor {
    pub(crate) async fn open(&mut self, url: &str) -> Page {
        let mut url: Url = url.parse().unwrap();
        loop {
            match self.send(self.http.get(url.clone()), &url).await {
                Ok(page) => return page,
                Err(next) => url = next,
            }
        }
    }

    /// Fills in the form of `page` that goes to `action`, and presses its button.
    pub(crate) async fn post(&mut self, page: &Page, action: &str, typed: &[(&str, &str)]) -> Page {
        let mut fields = page.hidden(action);
        fields.extend(typed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let url = page.url.join(action).unwrap();
        let request = self.http.post(url.clone()).header(ORIGIN, page.url.origin().ascii_serialization());
        match self.send(request.form(&fields), &url).await {
            Ok(page) => page,
            Err(next) => self.open(next.as_str()).await,
        }
    }

    /// Signs in at the provider `acme`, and comes back to the page that asks for a decision.
    pub(crate) async fn prove_at_acme(&mut self, page: &Page) -> Page {
        self.post(page, "/oauth/sign-in/provider", &[("provider", "acme")]).await
    }

    /// Signs in at the provider `acme`, and approves what the page asks.
    pub(crate) async fn approve_at_acme(&mut self, page: &Page) -> Page {
        let question = self.prove_at_acme(page).await;
        self.decide(&question, "approve").await
    }

    /// Presses one of the two last buttons.
    pub(crate) async fn decide(&mut self, question: &Page, decision: &str) -> Page {
        self.post(question, "/oauth/confirm", &[("decision", decision)]).await
    }

    /// Types the code of another machine on the page for it.
    pub(crate) async fn type_user_code(&mut self, url: &str, code: &str) -> Page {
        let page = self.open(url).await;
        self.post(&page, "/device", &[("user_code", code)]).await
    }

    /// All values of this name in the addresses that it went to.
    pub(crate) fn seen(&self, name: &str) -> Vec<String> {
        let pairs = self.visited.iter().flat_map(|url| url.query_pairs());
        pairs.filter(|(known, _)| known == name).map(|(_, value)| value.into_owned()).collect()
    }

    /// The page, or where to go for it.
    async fn send(&mut self, request: reqwest::RequestBuilder, url: &Url) -> Result<Page, Url> {
        self.visited.push(url.clone());
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = request.header(COOKIE, cookies.join("; ")).send().await.unwrap();
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        if answer.status().is_redirection() {
            let location = answer.headers()[LOCATION].to_str().unwrap();
            return Err(url.join(location).unwrap());
        }
        Ok(Page { url: url.clone(), html: answer.text().await.unwrap() })
    }
}

impl Page {
    /// What the page says first.
    pub(crate) fn heading(&self) -> &str {
        let between = || self.html.split_once("<h1>")?.1.split_once("</h1>").map(|(heading, _)| heading);
        between().unwrap_or_else(|| panic!("no heading: {self:?}"))
    }

    /// Whether it shows this text.
    pub(crate) fn shows(&self, text: &str) -> bool {
        self.html.contains(text)
    }

    /// What a form carries along.
    fn hidden(&self, action: &str) -> Vec<(String, String)> {
        let start = format!("action=\"{action}\"");
        let form = self.html.split(&start).nth(1).unwrap_or_else(|| panic!("no form for {action}: {self:?}"));
        let form = form.split("</form>").next().unwrap();
        let inputs = form.split("<input type=\"hidden\" name=\"").skip(1);
        let field = |input: &str| {
            let (name, rest) = input.split_once("\" value=\"")?;
            Some((name.to_owned(), plain(rest.split_once('"')?.0)))
        };
        inputs.map(|input| field(input).unwrap()).collect()
    }
}

/// Text without the references of HTML.
fn plain(html: &str) -> String {
    let references = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    references.iter().fold(html.to_owned(), |text, (reference, character)| text.replace(reference, character))
}
