use agentkeys_api::{Address, DeriveAddress, ErrorCode, Health, Message, SignMessage, Signature, paths};
use agentkeys_types::{EvmAddress, OmniAccount};
use serde_json::Value;

use crate::{
    ClientError, Http, ServerUrl, Session,
    conformance::Wire,
    http::{Credential, Server},
};

/// What must be known of a signer before a session token goes there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignerTrust {
    /// It runs on this machine.
    #[default]
    Loopback,
    /// Nothing: `--allow-unattested-signer` was spelt out.
    AllowUnattested,
}

impl SignerTrust {
    /// What the flag or setting `allow_unattested_signer` stands for.
    pub fn allowing_unattested(allow: bool) -> Self {
        if allow { Self::AllowUnattested } else { Self::Loopback }
    }
}

/// What a signer shows of where it runs.
#[derive(Clone, Debug)]
pub enum Attestation {
    /// Nothing: it is the development signer.
    Development,
    /// Evidence, unverified.
    Unverified(Value),
}

/// Asks a signer: the development signer and the TEE worker answer alike.
#[derive(Clone, Debug)]
pub struct SignerClient(Server);

impl SignerClient {
    /// A client of the signer at `url`.
    ///
    /// # Errors
    ///
    /// When `trust` does not cover a signer there.
    pub fn new(http: &Http, url: ServerUrl, trust: SignerTrust) -> Result<Self, ClientError> {
        if trust == SignerTrust::Loopback && !url.is_loopback() {
            return Err(ClientError::UnattestedSigner { url: url.to_string() });
        }
        Ok(Self(Server::new(http, url)))
    }

    /// Where the signer is.
    pub fn url(&self) -> &ServerUrl {
        &self.0.url
    }

    /// The way to the signer for requests of any kind.
    pub(crate) fn wire(&self) -> Wire {
        Wire::new(self.0.url.clone())
    }

    /// The account's wallet.
    pub async fn derive_address(&self, session: &Session, account: OmniAccount) -> Result<EvmAddress, ClientError> {
        let request = DeriveAddress { omni_account: account };
        let Address { address } = self.0.create(paths::DERIVE_ADDRESS, session.credential(), &request).await?;
        Ok(address)
    }

    /// The EIP-191 signature of `message` by the account's wallet.
    pub async fn sign_message(
        &self,
        session: &Session,
        account: OmniAccount,
        message: &[u8],
    ) -> Result<Signature, ClientError> {
        let request = SignMessage { omni_account: account, message: Message(message.to_vec()) };
        self.0.create(paths::SIGN_MESSAGE, session.credential(), &request).await
    }

    /// What the signer shows of where it runs; `nonce` makes the evidence fresh.
    pub async fn attestation(&self, nonce: &[u8; 32]) -> Result<Attestation, ClientError> {
        match self.0.show_with_query(paths::ATTESTATION, &[("nonce", &hex::encode(nonce))]).await {
            Ok(evidence) => Ok(Attestation::Unverified(evidence)),
            Err(ClientError::Problem { problem, .. }) if problem.error == ErrorCode::NotAttested => {
                Ok(Attestation::Development)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the signer is up.
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.0.show(paths::HEALTHZ, Credential::NONE).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signer_on_another_machine_needs_more_than_a_url() {
        let url: ServerUrl = "https://signer.example.com".parse().unwrap();

        let refused = SignerClient::new(&Http::default(), url.clone(), SignerTrust::default());
        let spelt_out = SignerClient::new(&Http::default(), url, SignerTrust::AllowUnattested);

        assert!(matches!(refused, Err(ClientError::UnattestedSigner { .. })));
        assert!(spelt_out.is_ok());
    }
}
