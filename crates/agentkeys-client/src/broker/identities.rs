use agentkeys_api::{
    EmailStarted, EmailVerify, Identities, IdentityView, LinkEmail, LinkOauth, LinkOauthStarted, LinkOauthVerify,
    LinkPending, LinkedIdentity, paths,
};
use agentkeys_types::RequestId;
use serde::Deserialize;

use super::BrokerClient;
use crate::{ClientError, Linked, Session};

/// The answer to the question whether a link was approved.
#[derive(Deserialize)]
#[serde(untagged)]
enum LinkAnswer {
    Linked(LinkedIdentity),
    Pending(#[expect(dead_code, reason = "only its shape tells it apart")] LinkPending),
}

impl BrokerClient {
    /// The identities that open the account, oldest first.
    pub async fn identities(&self, session: &Session) -> Result<Identities, ClientError> {
        self.0.show(paths::IDENTITIES, session.credential()).await
    }

    /// Takes an identity away from the account, and ends the sessions that it opened.
    pub async fn unlink_identity(&self, session: &Session, identity: &IdentityView) -> Result<(), ClientError> {
        let path = paths::IDENTITY.replace("{identity_type}", &segment(&identity.identity_type.to_string()));
        let path = path.replace("{identity_value}", &segment(&identity.value));
        self.0.delete(&path, session.credential()).await
    }

    /// Asks for a code by mail, to link the address.
    pub async fn start_email_link(&self, session: &Session, request: &LinkEmail) -> Result<EmailStarted, ClientError> {
        self.0.create(paths::IDENTITIES_EMAIL_START, session.credential(), request).await
    }

    /// Answers with the code from the mail.
    pub async fn verify_email_link(&self, session: &Session, request: &EmailVerify) -> Result<Linked, ClientError> {
        let answer = self.0.create_as(paths::IDENTITIES_EMAIL_VERIFY, session.credential(), request).await;
        answer.map(|(status, identity)| linked(status, identity))
    }

    /// Asks for the page on which an identity at a provider is proved.
    pub async fn start_oauth_link(
        &self,
        session: &Session,
        request: &LinkOauth,
    ) -> Result<LinkOauthStarted, ClientError> {
        self.0.create(paths::IDENTITIES_OAUTH_START, session.credential(), request).await
    }

    /// Links the identity that was proved there; none while nobody has approved.
    pub async fn verify_oauth_link(
        &self,
        session: &Session,
        request_id: RequestId,
    ) -> Result<Option<Linked>, ClientError> {
        let request = LinkOauthVerify { request_id };
        let answer = self.0.create_as(paths::IDENTITIES_OAUTH_VERIFY, session.credential(), &request).await?;
        Ok(match answer {
            (status, LinkAnswer::Linked(identity)) => Some(linked(status, identity)),
            (_, LinkAnswer::Pending(_)) => None,
        })
    }
}

fn linked(status: u16, identity: LinkedIdentity) -> Linked {
    Linked { identity, is_new: status == 201 }
}

/// One segment of a path (RFC 3986 section 3.3), whatever stands in it.
fn segment(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_holds_any_subject() {
        assert_eq!(segment("ada@example.com"), "ada%40example.com");
        assert_eq!(segment("auth0|a/b?c#d%e f"), "auth0%7Ca%2Fb%3Fc%23d%25e%20f");
    }
}
