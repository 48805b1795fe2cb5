use std::{net::IpAddr, time::Duration};

use agentkeys_types::{
    EmailAddress, Identity, IdentityType, KeyThumbprint, OmniAccount, RequestIdDigest, SessionId, Timestamp,
};
use async_trait::async_trait;

use crate::{Begun, Entry, IdentityLink, Letter, Limit, Linking, SessionOpening, StoreError};

/// What a client waits for a person to approve in a browser, and redeems once.
///
/// Its secret is the authorization code, the device code or the link request: only the digest is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Recognises whoever redeems it.
    pub secret: RequestIdDigest,
    /// What it is redeemed for.
    pub kind: GrantKind,
    /// Which machine asked.
    pub client_name: Option<String>,
    /// The device key that redeems it, if any.
    pub key: Option<KeyThumbprint>,
    /// The address that asked.
    pub source: IpAddr,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it can no longer be approved, nor redeemed.
    pub expires_at: Timestamp,
}

/// What a grant is redeemed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantKind {
    /// A session, by a client on the machine of the browser (RFC 6749 section 4.1).
    Code {
        /// Where the browser takes the code.
        redirect_uri: String,
        /// What the client told the browser to bring back, sealed.
        state: String,
        /// SHA-256 of the verifier that redeems it (RFC 7636).
        challenge: [u8; 32],
    },
    /// A session, by a client on another machine (RFC 8628).
    Device {
        /// The keyed hash of what the person types.
        user_code: [u8; 32],
    },
    /// A further identity of an account.
    Link {
        /// The session that asked, and redeems it.
        session: SessionId,
        /// The account that the identity will open.
        account: OmniAccount,
        /// Which kind of identity it must be.
        way: IdentityType,
    },
}

/// How far a grant has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantState {
    /// A person approved it, as this one.
    Approved(Proved),
    /// Somebody came when it was over, and it stays so wherever the clock goes. Until then only its
    /// [`expires_at`](Grant::expires_at) tells.
    Expired,
    /// A person refused it.
    Refused,
    /// It was redeemed, and opened this session, if it opened one.
    Used {
        /// The session.
        opened: Option<SessionId>,
    },
    /// Nobody has decided.
    Waiting,
}

/// An identity that was proved in a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// The identity.
    pub identity: Identity,
    /// The verified address that its provider has for the person, to be shown.
    pub email: Option<EmailAddress>,
}

/// What became of a question that came while a grant waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// In time.
    InTime,
    /// Too soon: the wait between two questions is longer by five seconds from now on (RFC 8628 section 3.5).
    TooSoon,
}

/// What became of a code that a person typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceLookup {
    /// It is that of a grant that waits.
    Found(Box<Grant>),
    /// It is over a limit: nothing was counted, and whether it is one is not said.
    Limited {
        /// When the limit opens again.
        retry_after: Duration,
    },
    /// It is that of no grant that waits.
    Unknown,
}

/// What became of a grant that was to open a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// The session is open.
    Opened {
        /// The account that it acts for.
        account: OmniAccount,
    },
    /// It waits, was refused, is over or was redeemed before.
    Over,
    /// The identity was taken away from the account that it had made.
    Retired,
}

/// How long the first wait between two questions is.
pub const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// For how long an authorization code counts once it is approved (RFC 6749 section 4.1.2).
pub const CODE_KEPT: Duration = Duration::from_mins(1);

/// Remembers what clients wait for.
#[async_trait]
pub trait GrantStore: Send + Sync {
    /// Counts a grant against `limits` and lets it wait, both or neither.
    async fn begin_grant(&self, grant: Grant, limits: Vec<Limit>) -> Result<Begun, StoreError>;

    /// The grant of this secret and how far it has come, as long as it is remembered.
    async fn find_grant(&self, secret: RequestIdDigest) -> Result<Option<(Grant, GrantState)>, StoreError>;

    /// Counts a typed code against `limits`, and finds the device's grant that waits for it: none at or after its expiry.
    async fn find_device_grant(
        &self,
        user_code: [u8; 32],
        now: Timestamp,
        limits: Vec<Limit>,
    ) -> Result<DeviceLookup, StoreError>;

    /// Notes that the client asked whether its grant is approved. Only a grant that waits has a wait between two questions.
    async fn poll_grant(&self, secret: RequestIdDigest, now: Timestamp) -> Result<Polled, StoreError>;

    /// Opens a session with a grant that was approved as the identity of `opening`: of any number at once exactly one
    /// does, and none at or after its expiry. A grant of kind [`GrantKind::Link`] opens none.
    ///
    /// Links the identity if it is new, opens the session with the grant's own client name and device key, and records
    /// `entry` with the account filled in. Where the account existed before, `notice` goes to each of its addresses.
    /// [`Redeemed::Retired`] uses the grant up, and is recorded as [`Outcome::Retired`](crate::Outcome::Retired).
    async fn redeem_grant(
        &self,
        secret: RequestIdDigest,
        opening: SessionOpening,
        entry: Entry,
        notice: Letter,
    ) -> Result<Redeemed, StoreError>;

    /// Links what a grant of kind [`GrantKind::Link`] was approved as, to the account that asked, as
    /// [`IdentityLinkStore::link_identity`] does: of any number at once exactly one, and none at or after its expiry.
    /// All others get `None`.
    ///
    /// [`IdentityLinkStore::link_identity`]: crate::IdentityLinkStore::link_identity
    async fn redeem_link(
        &self,
        secret: RequestIdDigest,
        link: IdentityLink,
        entry: Entry,
        notice: Letter,
    ) -> Result<Option<Linking>, StoreError>;
}
