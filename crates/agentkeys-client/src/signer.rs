use std::sync::Arc;

use agentkeys_api::{Address, DeriveAddress, ErrorCode, Health, Message, SignMessage, Signature, paths};
use agentkeys_crypto::EvmSignature;
use agentkeys_types::{EvmAddress, OmniAccount};
use serde_json::Value;

use crate::{
    AttestationPolicy, ClientError, Examined, Http, KeptSigner, RestoringWorker, ServerUrl, Session, SignerTrust,
    attested::{AttestedWay, Signing, no_development_signer},
    conformance::Wire,
    http::{Credential, Server},
};

mod device_news;

pub use device_news::DeviceNews;

/// What a signer shows of where it runs.
#[derive(Clone, Debug)]
pub enum Attestation {
    /// Nothing: it is the development signer.
    Development,
    /// Evidence, unverified.
    Unverified(Value),
}

/// Asks a signer: the development signer and the TEE worker answer alike.
///
/// One that a policy is to judge hears nothing but a nonce before it was accepted, on each connection anew; and what it
/// signs counts only once its log tells of it.
#[derive(Clone, Debug)]
pub struct SignerClient(pub(crate) Server);

impl SignerClient {
    /// A client of the signer at `url`.
    ///
    /// # Errors
    ///
    /// When `trust` does not cover a signer there.
    pub fn new(http: &Http, url: ServerUrl, trust: SignerTrust) -> Result<Self, ClientError> {
        let server = match trust {
            SignerTrust::Loopback if !url.is_loopback() => {
                return Err(ClientError::UnattestedSigner { url: url.to_string() });
            }
            SignerTrust::Policy(policy) if !url.is_plain() => {
                Server::attested(http, AttestedWay::new(http, url, policy))
            }
            SignerTrust::Policy(policy) if !policy.allow_dev() => {
                return Err(no_development_signer(&url, &policy));
            }
            _ => Server::new(http, url),
        };
        Ok(Self(server))
    }

    /// Where the signer is.
    pub fn url(&self) -> &ServerUrl {
        &self.0.url
    }

    /// The policy by which it is judged, where there is one for it.
    pub fn policy(&self) -> Option<&AttestationPolicy> {
        self.0.way().map(|way| way.policy())
    }

    /// The way to the signer for requests of any kind.
    pub(crate) fn wire(&self) -> Wire {
        match self.0.way() {
            Some(way) => Wire::Attested(Arc::clone(way)),
            None => Wire::Plain(self.0.url.clone()),
        }
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
        let known = match self.0.way() {
            Some(way) => Some((way, Box::pin(way.known()).await?)),
            None => None,
        };
        let request = SignMessage { omni_account: account, message: Message(message.to_vec()) };
        let answer = self.0.answer_to(paths::SIGN_MESSAGE, session.credential(), &request).await?;
        let signature: Signature = self.0.parse(&answer.body)?;
        if let Some((way, known)) = known {
            let signer = EvmSignature::parse(&signature.signature).and_then(|signature| signature.recover(message));
            let address = signer.map_err(|_| self.0.unexpected("it is not a signature of the message"))?;
            let signing = Signing { account, address, message, session: session.session_id };
            Box::pin(way.verify_logged(&answer, &signing, &known)).await?;
        }
        Ok(signature)
    }

    /// What the signer shows now, judged by the policy; nothing, where no policy is to judge it.
    ///
    /// Also what is refused is shown. What is accepted is remembered, as before any other request.
    pub async fn examine(&self) -> Result<Option<Examined>, ClientError> {
        match self.0.way() {
            Some(way) => Box::pin(way.examine()).await.map(Some),
            None => Ok(None),
        }
    }

    /// The worker, once the policy has accepted it as one that waits for the shares of the master secret with this identity;
    /// nothing, where no policy is to judge it.
    ///
    /// Nothing of it is remembered.
    pub async fn find_restoring(&self, identity_pub: [u8; 33]) -> Result<Option<RestoringWorker>, ClientError> {
        match self.0.way() {
            Some(way) => Box::pin(way.find_restoring(identity_pub)).await.map(Some),
            None => Ok(None),
        }
    }

    /// What is remembered of the signer, where a policy has accepted it.
    pub fn remembered(&self) -> Result<Option<KeptSigner>, ClientError> {
        self.0.way().map_or(Ok(None), |way| way.kept())
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
