use agentkeys_types::{KeyThumbprint, OmniAccount, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Body, ErrorCode, Field, Fields, Problem, Value};

/// What stands with a device key at the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// It may have messages signed.
    Pinned,
    /// It waits for approval, or for the account's waiting time to pass.
    Waiting,
}

/// By what a device key came to be pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PinnedBy {
    /// It was the account's first.
    FirstUse,
    /// A pinned device approved it.
    Approval,
    /// Its person had just signed in, and the account's waiting time was over.
    Recovery,
}

/// One device key of an account, as the worker knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceView {
    /// The RFC 7638 thumbprint of its key: what two people compare.
    #[schema(value_type = String)]
    pub key: KeyThumbprint,
    /// What stands with it.
    pub state: DeviceState,
    /// Since when.
    #[schema(value_type = String)]
    pub since: Timestamp,
    /// By what, once it is pinned.
    pub pinned_by: Option<PinnedBy>,
    /// From when on it is pinned by itself, while it waits.
    #[schema(value_type = Option<String>)]
    pub pinned_at: Option<Timestamp>,
    /// Whether it is the caller's own.
    pub is_this: bool,
}

/// `GET /v1/devices`: the account's device keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Devices {
    /// Pinned ones first, each kind by age.
    pub devices: Vec<DeviceView>,
    /// How long a device waits that nobody approves; 0: not at all.
    pub recovery_wait_seconds: u64,
    /// Counts the changes: a new number means something to look at.
    pub revision: u64,
}

/// `PUT /v1/devices/recovery`: how long a device waits that nobody approves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoveryWait {
    /// The caller's own account.
    #[schema(value_type = String)]
    pub omni_account: OmniAccount,
    /// At most 30 days.
    #[schema(value_type = u64)]
    pub recovery_wait_seconds: WaitSeconds,
}

/// Whole seconds, at most 30 days of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitSeconds(pub u64);

impl Field for WaitSeconds {
    const CODE: ErrorCode = ErrorCode::InvalidField;
    const EXPECTED: &'static str = "must be whole seconds, at most 30 days of them";

    fn read(value: Value) -> Option<Self> {
        let Value::Integer(seconds) = value else { return None };
        (seconds <= 30 * 24 * 60 * 60).then_some(Self(seconds))
    }
}

impl Body for RecoveryWait {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self {
            omni_account: fields.required("omni_account")?,
            recovery_wait_seconds: fields.required("recovery_wait_seconds")?,
        })
    }
}
