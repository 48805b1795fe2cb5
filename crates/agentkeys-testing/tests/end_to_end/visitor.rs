use agentkeys_testing::{Page, System, TestBrowser};
use reqwest::Url;

/// Somebody at a browser, who goes wherever it is sent.
pub(crate) struct Visitor {
    browser: TestBrowser,
    visited: Vec<Url>,
}

impl Visitor {
    /// Somebody who was never before at the broker.
    pub(crate) fn of(system: &System) -> Self {
        Self { browser: TestBrowser::new(&system.broker_url()), visited: Vec::new() }
    }

    pub(crate) async fn open(&mut self, url: &str) -> Page {
        let mut next = url.parse().unwrap();
        loop {
            let page = self.browser.open(Url::as_str(&next)).await;
            self.visited.push(next);
            if !is_elsewhere(&page) {
                return page;
            }
            next = page.location();
        }
    }

    /// Fills in the form of `page` that goes to `action`, and presses its button.
    pub(crate) async fn submit(&mut self, page: &Page, action: &str, typed: &[(&str, &str)]) -> Page {
        let answer = self.browser.submit(&page.form(action), typed).await;
        if is_elsewhere(&answer) { self.open(answer.location().as_str()).await } else { answer }
    }

    /// Signs in at the provider `acme`, and comes back to the page that asks for a decision.
    pub(crate) async fn prove_at_acme(&mut self, page: &Page) -> Page {
        self.submit(page, "/oauth/sign-in/provider", &[("provider", "acme")]).await
    }

    /// Signs in at the provider `acme`, and approves what the page asks.
    pub(crate) async fn approve_at_acme(&mut self, page: &Page) -> Page {
        let question = self.prove_at_acme(page).await;
        self.decide(&question, "approve").await
    }

    /// Presses one of the two last buttons.
    pub(crate) async fn decide(&mut self, question: &Page, decision: &str) -> Page {
        self.submit(question, "/oauth/confirm", &[("decision", decision)]).await
    }

    /// Types the code of another machine on the page for it.
    pub(crate) async fn type_user_code(&mut self, url: &str, code: &str) -> Page {
        let page = self.open(url).await;
        self.submit(&page, "/device", &[("user_code", code)]).await
    }

    /// What its address bar shows.
    pub(crate) fn address(&self) -> &str {
        self.visited.last().unwrap().as_str()
    }

    /// All values of this name in the addresses where it was.
    pub(crate) fn seen(&self, name: &str) -> Vec<String> {
        let pairs = self.visited.iter().flat_map(Url::query_pairs);
        pairs.filter(|(known, _)| known == name).map(|(_, value)| value.into_owned()).collect()
    }
}

fn is_elsewhere(page: &Page) -> bool {
    (300..400).contains(&page.status)
}
