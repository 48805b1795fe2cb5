use agentkeys_memory::Secret;
use openidconnect::IssuerUrl;

use crate::Reach;

/// What an operator says of a provider.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// Where discovery starts; its exact text is what the provider must say of itself.
    pub issuer: IssuerUrl,
    /// What we are called there.
    pub client_id: String,
    /// How we prove it; nothing for a public client.
    pub client_secret: Option<Secret>,
    /// The `prompt` of the authorization request, such as `select_account`.
    pub prompt: Option<String>,
    /// Scopes beside `openid` and `email`.
    pub scopes: Vec<String>,
}

/// Why a provider cannot be set up as the operator says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The client's id cannot be one.
    #[error("a provider's client id is 1 to 255 printable ASCII characters")]
    ClientId,
    /// The client's secret cannot be one.
    #[error("a provider's client secret is 1 to 1024 printable characters, without a line break at its end")]
    ClientSecret,
    /// The HTTP client cannot be built.
    #[error("the HTTP client for identity providers cannot be built")]
    Http(#[source] reqwest::Error),
    /// The issuer cannot be one, or must not be reached.
    #[error("a provider's issuer is an https URL of a public host, without user, query or fragment")]
    Issuer,
    /// The prompt or a scope cannot be one.
    #[error("a provider's prompt and scopes are printable ASCII without quotation marks, and a scope has no space")]
    PromptOrScope,
}

impl ProviderSettings {
    pub(crate) fn check(&self, reach: Reach) -> Result<(), SettingsError> {
        if !reach.allows(self.issuer.url()) || self.issuer.url().query().is_some() {
            return Err(SettingsError::Issuer);
        }
        if !is_printable(&self.client_id) {
            return Err(SettingsError::ClientId);
        }
        if self.client_secret.as_ref().is_some_and(|secret| secret_text(secret).is_none()) {
            return Err(SettingsError::ClientSecret);
        }
        let is_token = |text: &str| is_printable(text) && !text.contains(['"', '\\']);
        let scopes_are_tokens = self.scopes.iter().all(|scope| is_token(scope) && !scope.contains(' '));
        if !scopes_are_tokens || self.prompt.as_deref().is_some_and(|prompt| !is_token(prompt)) {
            return Err(SettingsError::PromptOrScope);
        }
        Ok(())
    }
}

/// The secret as the text that is sent; `None` when it cannot be one.
pub(crate) fn secret_text(secret: &Secret) -> Option<&str> {
    let text = str::from_utf8(secret.expose()).ok()?;
    ((1..=1024).contains(&text.len()) && !text.contains(char::is_control)).then_some(text)
}

fn is_printable(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(issuer: &str) -> ProviderSettings {
        ProviderSettings {
            issuer: IssuerUrl::new(issuer.to_owned()).unwrap(),
            client_id: "agentkeys".to_owned(),
            client_secret: None,
            prompt: None,
            scopes: Vec::new(),
        }
    }

    #[test]
    fn an_issuer_is_a_public_https_url() {
        for issuer in ["https://accounts.example.com", "https://accounts.example.com/tenant/v2.0"] {
            assert!(settings(issuer).check(Reach::Public).is_ok(), "{issuer}");
        }
        for issuer in [
            "http://accounts.example.com",
            "http://127.0.0.1:3000",
            "https://127.0.0.1",
            "https://10.0.0.1",
            "https://ada@accounts.example.com",
            "https://accounts.example.com?tenant=1",
            "https://accounts.example.com#top",
            "ftp://accounts.example.com",
        ] {
            assert!(matches!(settings(issuer).check(Reach::Public), Err(SettingsError::Issuer)), "{issuer}");
        }
        assert!(settings("http://127.0.0.1:3000").check(Reach::Loopback).is_ok());
    }

    #[test]
    fn what_would_be_sent_in_another_form_than_it_was_written_is_refused() {
        let acme = settings("https://accounts.example.com");
        let secret = |text: &str| Some(Secret::from(text.as_bytes()));

        let no_client = ProviderSettings { client_id: String::new(), ..acme.clone() };
        let broken_secret = ProviderSettings { client_secret: secret("hunter2\n"), ..acme.clone() };
        let two_scopes = ProviderSettings { scopes: vec!["profile groups".to_owned()], ..acme.clone() };
        let odd_prompt = ProviderSettings { prompt: Some("logi\u{f1}".to_owned()), ..acme.clone() };

        assert!(matches!(no_client.check(Reach::Public), Err(SettingsError::ClientId)));
        assert!(matches!(broken_secret.check(Reach::Public), Err(SettingsError::ClientSecret)));
        assert!(matches!(two_scopes.check(Reach::Public), Err(SettingsError::PromptOrScope)));
        assert!(matches!(odd_prompt.check(Reach::Public), Err(SettingsError::PromptOrScope)));
        assert!(ProviderSettings { client_secret: secret("hunter2"), ..acme }.check(Reach::Public).is_ok());
    }
}
