use agentkeys_api::{
    AUTHORIZATION_CODE_GRANT, AuthorizationServer, DEVICE_CODE_GRANT, DeviceAuthorization, ErrorCode, OAUTH_CLIENT,
    TokenReply, paths,
};
use agentkeys_crypto::DeviceKey;
use serde::Serialize;

use super::BrokerClient;
use crate::{ClientError, ServerUrl, http::Credential};

/// Exchanges what a browser has brought back (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
#[derive(Serialize)]
pub(crate) struct CodeExchange<'s> {
    pub(crate) code: &'s str,
    pub(crate) redirect_uri: &'s str,
    pub(crate) code_verifier: &'s str,
}

/// A form of OAuth with what each of ours says.
#[derive(Serialize)]
struct Form<'s, F> {
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_type: Option<&'static str>,
    client_id: &'static str,
    #[serde(flatten)]
    rest: &'s F,
}

#[derive(Serialize)]
struct DeviceStart<'s> {
    #[serde(skip_serializing_if = "Option::is_none")]
    client_name: Option<&'s str>,
}

#[derive(Serialize)]
struct DeviceExchange<'s> {
    device_code: &'s str,
}

impl BrokerClient {
    /// What the broker says of itself as an authorization server.
    ///
    /// # Errors
    ///
    /// [`ClientError::OtherIssuer`] when it calls itself otherwise than it was called: its answers could not be told
    /// from another's then.
    pub async fn authorization_server(&self) -> Result<AuthorizationServer, ClientError> {
        let server: AuthorizationServer = match self.0.show(paths::OAUTH_METADATA, Credential::NONE).await {
            Err(ClientError::Problem { problem, .. }) if problem.error == ErrorCode::NotFound => {
                return Err(self.unexpected("it signs nobody in in a browser, only by e-mail"));
            }
            answer => answer?,
        };
        let url = self.url().to_string();
        if server.issuer == url {
            return Ok(server);
        }
        // Told only where it is a URL: what else stands there may do anything to a terminal.
        match server.issuer.parse::<ServerUrl>() {
            Ok(issuer) => Err(ClientError::OtherIssuer { url, issuer: issuer.to_string() }),
            Err(_) => Err(self.unexpected("its `issuer` is not the URL of a server")),
        }
    }

    /// Exchanges an authorization code for a session that is bound to `key`.
    pub(crate) async fn exchange_code(
        &self,
        request: &CodeExchange<'_>,
        key: Option<&DeviceKey>,
    ) -> Result<TokenReply, ClientError> {
        self.0.submit(paths::OAUTH_TOKEN, key, &form(Some(AUTHORIZATION_CODE_GRANT), request)).await
    }

    /// Asks for a code that a person types on another machine, for a session that will be bound to `key`.
    pub(crate) async fn start_device(
        &self,
        client_name: Option<&str>,
        key: Option<&DeviceKey>,
    ) -> Result<DeviceAuthorization, ClientError> {
        self.0.submit(paths::OAUTH_DEVICE_AUTHORIZATION, key, &form(None, &DeviceStart { client_name })).await
    }

    /// Asks whether that person has approved.
    pub(crate) async fn exchange_device(
        &self,
        device_code: &str,
        key: Option<&DeviceKey>,
    ) -> Result<TokenReply, ClientError> {
        self.0.submit(paths::OAUTH_TOKEN, key, &form(Some(DEVICE_CODE_GRANT), &DeviceExchange { device_code })).await
    }

    /// `url` in its plain form, if it is a page of this broker.
    pub(crate) fn own_page(&self, url: &str) -> Result<String, ClientError> {
        let own = format!("{}/", self.url());
        let plain = url::Url::parse(url).map(String::from).ok().filter(|plain| plain.starts_with(&own));
        plain.ok_or_else(|| self.unexpected("it names a page that is not its own"))
    }

    pub(crate) fn unexpected(&self, reason: &'static str) -> ClientError {
        self.0.unexpected(reason)
    }
}

fn form<'s, F>(grant_type: Option<&'static str>, rest: &'s F) -> Form<'s, F> {
    Form { grant_type, client_id: OAUTH_CLIENT, rest }
}
