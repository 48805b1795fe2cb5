use std::sync::Arc;

use agentkeys_client::{Binding, ServerUrl, Session, StorageError, TerminalPrompt};
use agentkeys_crypto::DeviceKey;
use agentkeys_types::KeyThumbprint;
use serde::Serialize;

use crate::{context::Context, error::CliError, output::Output};

/// What a sign-in is to be bound to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// The key that this device has, or else a new one.
    Kept,
    /// A new key, whatever became of the one before.
    New,
    /// No key at all.
    Unbound,
}

/// What the sign-in before has left.
#[derive(Default)]
pub(super) struct Before {
    /// The key that this device has at the broker.
    key: Option<DeviceKey>,
    /// The key cannot be had any more.
    is_lost: bool,
    /// There is one, for this broker instead.
    elsewhere: Option<ServerUrl>,
}

/// What became of the device key, where it is not the one before.
#[derive(Default, Serialize)]
pub(super) struct KeyNews {
    /// Why it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    new_device_key: Option<Reason>,
    /// The one before, which counts until it is taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_to_remove: Option<KeyThumbprint>,
}

/// Why a device has a new key.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    /// Somebody asked for it.
    Asked,
    /// Nobody can read the one before any more.
    Lost,
    /// The one before is for another broker.
    OtherBroker,
}

impl Before {
    /// Reads it, and says what of it will not be there any more.
    ///
    /// A key that is there and cannot be read now is a failure: with another one this would be another device.
    pub(super) async fn of(context: &Context, wish: Wish, output: &Output) -> Result<Self, CliError> {
        let session = match kept_session(context).await {
            Ok(session) => session,
            Err(_) if wish == Wish::New => None,
            Err(error @ StorageError::KeyLost { .. }) => {
                if wish == Wish::Kept {
                    output.note(format_args!(
                        "  Device   a new key, because {error}: to a worker this is another device"
                    ));
                }
                return Ok(Self { is_lost: true, ..Self::default() });
            }
            Err(source) => {
                return Err(CliError::DeviceKeyUnread { source, is_to_be_bound: wish == Wish::Kept });
            }
        };
        let before = session.map(|session| Self::left_by(&session, &context.settings.broker_url)).unwrap_or_default();
        if let Some(url) = &before.elsewhere {
            let new = if wish == Wish::Unbound { "" } else { "a new key: " };
            output.note(format_args!("  Device   {new}the one for {url} is not kept; another `--profile` keeps both"));
        }
        Ok(before)
    }

    fn left_by(session: &Session, broker_url: &ServerUrl) -> Self {
        let key = session.kept_key(broker_url).cloned();
        let is_elsewhere = key.is_none() && session.key_of_device().is_some();
        Self { key, is_lost: false, elsewhere: is_elsewhere.then(|| session.broker_url.clone()) }
    }

    /// What to bind the session to, and the key that is kept beside it.
    pub(super) fn binding(&self, wish: Wish) -> (Binding, Option<Box<DeviceKey>>) {
        match (wish, self.key.clone()) {
            (Wish::Unbound, key) => (Binding::None, key.map(Box::new)),
            (Wish::Kept, Some(key)) => (Binding::KeptKey(key), None),
            (Wish::Kept, None) | (Wish::New, _) => (Binding::DeviceKey, None),
        }
    }

    /// What is to be told once somebody has signed in.
    pub(super) fn news(&self, wish: Wish) -> KeyNews {
        let new_device_key = match wish {
            Wish::New => Some(Reason::Asked),
            Wish::Kept if self.is_lost => Some(Reason::Lost),
            Wish::Kept if self.elsewhere.is_some() => Some(Reason::OtherBroker),
            Wish::Kept | Wish::Unbound => None,
        };
        let key_to_remove = self.key.as_ref().filter(|_| wish == Wish::New).map(DeviceKey::thumbprint);
        KeyNews { new_device_key, key_to_remove }
    }
}

impl KeyNews {
    /// Names the key before, which may have leaked, where it could be read.
    pub(super) fn name_key_to_remove(&self, context: &Context, output: &Output) {
        let (Some(key), command) = (self.key_to_remove, context.command()) else { return };
        output.note(format_args!(
            "  Device   a new key. The one before counts until you end its sessions (`{command} sessions list` names them \
             by it) and take it away from a worker: `{command} devices remove {key}`"
        ));
    }
}

/// What the last sign-in has kept, where it has kept it, also when that is not where this one will.
async fn kept_session(context: &Context) -> Result<Option<Session>, StorageError> {
    if let Some(before) = context.storage_before()?
        && !context.is_kept_by(&before)
    {
        let store = before.open(Arc::new(TerminalPrompt { may_ask: !context.no_input }));
        if let Some(session) = store.load(&context.profile).await? {
            return Ok(Some(session));
        }
    }
    context.store.load(&context.profile).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(before: &Before, wish: Wish) -> serde_json::Value {
        serde_json::to_value(before.news(wish)).unwrap()
    }

    #[test]
    fn a_program_is_told_why_a_key_is_another_one_and_which_one_to_remove() {
        let key = DeviceKey::generate().unwrap();
        let thumbprint = key.thumbprint();
        let url = || "https://elsewhere.example.com".parse().unwrap();
        let kept = Before { key: Some(key), ..Before::default() };
        let lost = Before { is_lost: true, ..Before::default() };
        let elsewhere = Before { elsewhere: Some(url()), ..Before::default() };

        assert_eq!(told(&kept, Wish::New), json!({"new_device_key": "asked", "key_to_remove": thumbprint}));
        assert_eq!(told(&lost, Wish::Kept), json!({"new_device_key": "lost"}));
        assert_eq!(told(&elsewhere, Wish::Kept), json!({"new_device_key": "other_broker"}));
        for (before, wish) in [(&kept, Wish::Kept), (&kept, Wish::Unbound), (&lost, Wish::Unbound)] {
            assert_eq!(told(before, wish), json!({}));
        }
        assert_eq!(told(&Before::default(), Wish::Kept), json!({}), "the first sign-in is no news");
    }
}
