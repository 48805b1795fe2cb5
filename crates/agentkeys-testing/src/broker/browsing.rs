use reqwest::header::CONTENT_TYPE;

use super::{TestBroker, code_in};
use crate::{Answer, CommandSignIn, Device, Page, Person, TestBrowser};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What people do in browsers, and what clients do meanwhile.
impl TestBroker {
    /// A browser that has never been here.
    pub fn browser(&self) -> TestBrowser {
        TestBrowser::new(&self.url(""))
    }

    /// Posts a form, with the proof of `device`, if there is one.
    pub async fn post_form(&self, path: &str, form: &[(&str, &str)], device: Option<&Device>) -> Answer {
        let request = self.http.post(self.url(path)).form(form);
        match device {
            Some(device) => device.send(request, None).await,
            None => Answer::read(request.send().await.expect("the broker answers")).await,
        }
    }

    /// Posts a text of any content type.
    pub async fn post_text(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.http.post(self.url(path)).header(CONTENT_TYPE, content_type).body(body);
        Answer::read(request.send().await.expect("the broker answers")).await
    }

    /// On a page that asks who the person is: asks for a code by mail; returns the page that asks for it, and the code.
    pub async fn ask_for_code(&self, browser: &TestBrowser, page: &Page, email: &str) -> (Page, String) {
        let mail = self.next_code_mail(email);
        let asks = browser.submit(&page.form("/oauth/sign-in/email"), &[("email", email)]).await.expect(200);
        (asks, code_in(&mail.await.text))
    }

    /// On a page that asks who the person is: proves an address; returns the page that asks for a decision.
    pub async fn prove_by_email(&self, browser: &TestBrowser, page: &Page, email: &str) -> Page {
        let (asks, code) = self.ask_for_code(browser, page, email).await;
        browser.submit(&asks.form("/oauth/sign-in/code"), &[("code", &code)]).await
    }

    /// Opens the page of a sign-in, proves an address and approves; returns where the browser goes then.
    pub async fn approve_command(&self, browser: &TestBrowser, sign_in: &CommandSignIn, email: &str) -> Page {
        let page = browser.open(&sign_in.path()).await.expect(200);
        let question = self.prove_by_email(browser, &page, email).await.expect(200);
        browser.submit(&question.form("/oauth/confirm"), &[("decision", "approve")]).await.expect(303)
    }

    /// As [`TestBroker::approve_command`], in a new browser; returns the code.
    pub async fn code_for(&self, sign_in: &CommandSignIn, email: &str) -> String {
        let sent = self.approve_command(&self.browser(), sign_in, email).await;
        sent.brought("code").expect("a code")
    }

    /// Redeems a code, as the command that began the sign-in does.
    pub async fn redeem(&self, sign_in: &CommandSignIn, code: &str) -> Answer {
        self.post_form("/oauth/token", &sign_in.exchange(code), sign_in.device.as_ref()).await
    }

    /// Signs in as `name@example.com` on a new device, in a new browser on it.
    pub async fn sign_in_by_browser(&self, name: &str) -> Person {
        let sign_in = CommandSignIn::new(Some(self.device()));
        let code = self.code_for(&sign_in, &format!("{name}@example.com")).await;
        let signed_in = self.redeem(&sign_in, &code).await.expect(200);
        self.person(sign_in.device, &signed_in)
    }

    /// Lets a device wait for a person; returns its secret and what it shows.
    pub async fn start_device(&self, device: Option<&Device>) -> (String, String) {
        let form = [("client_id", "agentkeys-cli"), ("client_name", "build-7")];
        let started = self.post_form("/oauth/device_authorization", &form, device).await.expect(200);
        (started.text("device_code").to_owned(), started.text("user_code").to_owned())
    }

    /// Asks whether a device is approved.
    pub async fn poll_device(&self, device_code: &str, device: Option<&Device>) -> Answer {
        let form = [("grant_type", DEVICE_CODE), ("client_id", "agentkeys-cli"), ("device_code", device_code)];
        self.post_form("/oauth/token", &form, device).await
    }

    /// Types a device's code into the page; returns the page that asks who the person is.
    pub async fn type_user_code(&self, browser: &TestBrowser, user_code: &str) -> Page {
        let page = browser.open("/device").await.expect(200);
        browser.submit(&page.form("/device"), &[("user_code", user_code)]).await
    }

    /// Types a device's code and proves an address; returns the page that asks for a decision.
    pub async fn asked_by_device(&self, browser: &TestBrowser, user_code: &str, email: &str) -> Page {
        let page = self.type_user_code(browser, user_code).await.expect(200);
        self.prove_by_email(browser, &page, email).await.expect(200)
    }

    /// Signs in as `name@example.com` on a new device, by a browser on another machine.
    pub async fn sign_in_by_device(&self, name: &str) -> Person {
        let (device, browser) = (self.device(), self.browser());
        let (device_code, user_code) = self.start_device(Some(&device)).await;
        let question = self.asked_by_device(&browser, &user_code, &format!("{name}@example.com")).await;
        browser.submit(&question.form("/oauth/confirm"), &[("decision", "approve")]).await.expect(200);
        let signed_in = self.poll_device(&device_code, Some(&device)).await.expect(200);
        self.person(Some(device), &signed_in)
    }

    /// Whoever got this reply of the token endpoint.
    pub fn person(&self, device: Option<Device>, signed_in: &Answer) -> Person {
        Person::new(self.http.clone(), self.url(""), device, signed_in)
    }
}
