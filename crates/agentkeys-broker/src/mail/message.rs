use std::{fmt, net::IpAddr, time::Duration};

use agentkeys_types::{EmailAddress, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::sign_in::CODE_LIFE;

/// How long a notice is of use.
const NOTICE_LIFE: Duration = Duration::from_hours(3 * 24);

/// What somebody is to be told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// A code to type.
    Code(CodeMail),
    /// Something that happened to an account.
    Notice(Notice),
}

impl Message {
    /// For how long it is of use.
    pub(super) fn life(&self) -> Duration {
        match self {
            Self::Code(_) => CODE_LIFE,
            Self::Notice(_) => NOTICE_LIFE,
        }
    }

    /// When it was written.
    pub(super) fn written_at(&self) -> Timestamp {
        match self {
            Self::Code(mail) => mail.asked_at,
            Self::Notice(notice) => notice.at,
        }
    }

    /// Whether it may go to `recipient`: a code goes to nobody but whom it was made for.
    pub(super) fn is_for(&self, recipient: &EmailAddress) -> bool {
        match self {
            Self::Code(mail) => mail.to == recipient.as_str(),
            Self::Notice(_) => true,
        }
    }
}

/// A code for whoever gets mail at an address.
#[derive(Serialize, Deserialize)]
pub(crate) struct CodeMail {
    /// Exactly the address that will be hashed.
    pub(crate) to: String,
    /// The code, as it is to be read.
    #[serde(with = "Wiped")]
    pub(crate) code: Zeroizing<String>,
    /// What it does.
    pub(crate) purpose: CodePurpose,
    /// Which machine asks.
    pub(crate) client_name: Option<String>,
    /// From where.
    pub(crate) source: IpAddr,
    /// When.
    pub(crate) asked_at: Timestamp,
}

impl fmt::Debug for CodeMail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CodeMail").field("to", &self.to).field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

/// What a code does once it is typed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CodePurpose {
    /// Opens the account of the address.
    SignIn,
    /// Lets the address open an account that is there already.
    Link {
        /// An identity of that account, as its owner knows it, such as an e-mail address.
        owner: String,
    },
}

/// Something that happened to an account, for everybody who can open it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Notice {
    /// What happened.
    pub(crate) kind: NoticeKind,
    /// The identity that signed in, was added or removed, as its owner knows it.
    pub(crate) identity: String,
    /// Which machine did it.
    pub(crate) client_name: Option<String>,
    /// From where.
    pub(crate) source: IpAddr,
    /// When.
    pub(crate) at: Timestamp,
}

/// What happened to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NoticeKind {
    /// A further machine signed in.
    SignIn,
    /// A further identity opens it.
    IdentityAdded,
    /// An identity no longer opens it.
    IdentityRemoved,
}

/// Writes and reads a text that is wiped.
struct Wiped;

impl Wiped {
    fn serialize<S: Serializer>(text: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(deserializer).map(Zeroizing::new)
    }
}
