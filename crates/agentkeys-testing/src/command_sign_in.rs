use agentkeys_crypto::random;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Url;
use sha2::{Digest, Sha256};

use crate::Device;

/// A sign-in that the command begins in a browser (RFC 6749 section 4.1, RFC 7636), without anybody listening.
#[derive(Clone, Debug)]
pub struct CommandSignIn {
    /// Where the browser would bring the code.
    pub redirect_uri: String,
    /// What it brings back.
    pub state: String,
    /// What redeems the code.
    pub verifier: String,
    /// The device to which the session will be bound.
    pub device: Option<Device>,
}

impl CommandSignIn {
    /// A sign-in for a session that is bound to `device`, or to none.
    pub fn new(device: Option<Device>) -> Self {
        Self {
            redirect_uri: "http://127.0.0.1:49152/callback".to_owned(),
            state: hex::encode(random::<16>()),
            verifier: hex::encode(random::<32>()),
            device,
        }
    }

    /// Where the browser is sent.
    pub fn path(&self) -> String {
        self.path_with(&[])
    }

    /// As [`CommandSignIn::path`], with parameters that are others, or that are not there.
    pub fn path_with(&self, changes: &[(&str, Option<&str>)]) -> String {
        let mut parameters = vec![
            ("response_type", "code".to_owned()),
            ("client_id", "agentkeys-cli".to_owned()),
            ("redirect_uri", self.redirect_uri.clone()),
            ("code_challenge", URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier))),
            ("code_challenge_method", "S256".to_owned()),
            ("state", self.state.clone()),
            ("client_name", "test bench".to_owned()),
        ];
        parameters.extend(self.device.as_ref().map(|device| ("dpop_jkt", device.thumbprint().to_string())));
        parameters.retain(|(name, _)| changes.iter().all(|(changed, _)| name != changed));
        parameters.extend(changes.iter().filter_map(|(name, value)| Some((*name, (*value)?.to_owned()))));
        let mut url: Url = "http://broker/oauth/authorize".parse().expect("a URL");
        url.query_pairs_mut().extend_pairs(parameters);
        format!("{}?{}", url.path(), url.query().unwrap_or_default())
    }

    /// What redeems a code.
    pub fn exchange<'s>(&'s self, code: &'s str) -> Vec<(&'static str, &'s str)> {
        vec![
            ("grant_type", "authorization_code"),
            ("client_id", "agentkeys-cli"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", &self.verifier),
        ]
    }
}
