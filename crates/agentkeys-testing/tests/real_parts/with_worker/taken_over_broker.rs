//! Somebody has the broker's keys and its machine, and so signs session tokens as it likes.

use std::time::Duration;

use agentkeys_api::{DeviceState, ErrorCode, PinnedBy, WalletStart};
use agentkeys_client::{Binding, Flow, Session};
use agentkeys_crypto::DeviceKey;
use agentkeys_testing::{SessionForger, System};
use agentkeys_types::KeyThumbprint;

use super::refusal;

/// So long ago that it is no recovery.
const AN_HOUR_AGO: Duration = Duration::from_hours(1);
const A_WEEK: u64 = 7 * 24 * 3600;

/// Who has the broker's own session keys, and a device.
struct Thief {
    forger: SessionForger,
    device_key: DeviceKey,
}

impl Thief {
    fn of(system: &System) -> Self {
        Self { forger: SessionForger::of(system), device_key: DeviceKey::generate().unwrap() }
    }

    /// A token for the account of `victim` that is bound to the thief's own device, as of a sign-in so long ago.
    fn forge(&self, victim: &Session, signed_in_before: Duration) -> Session {
        // Of a session that stands: a broker that is taken over says that of any.
        self.forger.forge(victim, Some(self.device_key.clone()), |claims| {
            claims.auth_time -= i64::try_from(signed_in_before.as_secs()).unwrap();
        })
    }

    fn device(&self) -> KeyThumbprint {
        self.device_key.thumbprint()
    }
}

/// A genuine challenge for the victim's wallet, and whether the signer signs it for `session`.
async fn has_challenge_signed(flow: &Flow, victim: &Session, session: &Session) -> Result<(), ErrorCode> {
    let address = flow.signer.derive_address(victim, victim.omni_account).await.unwrap();
    let request = WalletStart { address, chain_id: None };
    let challenge = flow.broker.start_wallet(victim, &request).await.unwrap();
    let message = challenge.siwe_message.as_bytes();
    let signed = flow.signer.sign_message(session, session.omni_account, message).await;
    if signed.is_ok() { Ok(()) } else { Err(refusal(signed)) }
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_forged_session_of_another_device_signs_nothing() {
    let system = System::start_with_worker().await;
    let flow = system.flow();
    let ada = system.sign_in("ada", Binding::DeviceKey).await;
    flow.connect_wallet(&ada, &mut ()).await.unwrap();
    let thief = Thief::of(&system);
    let forged = thief.forge(&ada, AN_HOUR_AGO);

    let derived = flow.signer.derive_address(&forged, forged.omni_account).await;
    let signed = has_challenge_signed(&flow, &ada, &forged).await;

    assert_eq!(refusal(derived), ErrorCode::DeviceNotPinned);
    assert_eq!(signed, Err(ErrorCode::DeviceNotPinned));
    assert_eq!(has_challenge_signed(&flow, &ada, &ada).await, Ok(()), "the own device still signs");
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_token_of_the_account_itself_is_worth_nothing_without_its_device() {
    let system = System::start_with_worker().await;
    let flow = system.flow();
    let ada = system.sign_in("ada", Binding::DeviceKey).await;
    flow.connect_wallet(&ada, &mut ()).await.unwrap();
    let thief = Thief::of(&system);
    let stolen = Session { device_key: Some(thief.device_key.clone()), ..ada.clone() };
    let unbound = Session { device_key: None, ..ada.clone() };

    assert_eq!(has_challenge_signed(&flow, &ada, &stolen).await, Err(ErrorCode::DpopInvalid));
    assert_eq!(has_challenge_signed(&flow, &ada, &unbound).await, Err(ErrorCode::DpopRequired));
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_forged_sign_in_waits_where_the_account_has_others_wait_and_can_be_stopped() {
    let system = System::start_with_worker().await;
    let flow = system.flow();
    let ada = system.sign_in("ada", Binding::DeviceKey).await;
    flow.connect_wallet(&ada, &mut ()).await.unwrap();
    flow.signer.set_recovery_wait(&ada, A_WEEK).await.unwrap();
    let thief = Thief::of(&system);
    let forged = thief.forge(&ada, Duration::ZERO);

    let waiting = has_challenge_signed(&flow, &ada, &forged).await;
    let seen = flow.signer.devices(&ada).await.unwrap();
    flow.signer.remove_device(&ada, thief.device()).await.unwrap();
    let stopped = flow.signer.devices(&ada).await.unwrap();

    assert_eq!(waiting, Err(ErrorCode::DeviceWaiting));
    let device = seen.devices.iter().find(|device| device.key == thief.device()).unwrap();
    assert_eq!(device.state, DeviceState::Waiting);
    assert!(stopped.devices.iter().all(|device| device.key != thief.device()));
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_forged_sign_in_without_a_waiting_time_is_let_in_and_seen_by_the_other_devices() {
    let system = System::start_with_worker().await;
    let flow = system.flow();
    let ada = system.sign_in("ada", Binding::DeviceKey).await;
    flow.connect_wallet(&ada, &mut ()).await.unwrap();
    let before = flow.signer.devices(&ada).await.unwrap().revision;
    let thief = Thief::of(&system);

    let signed = has_challenge_signed(&flow, &ada, &thief.forge(&ada, Duration::ZERO)).await;

    // What the default gives up for the sake of whoever has lost all devices.
    assert_eq!(signed, Ok(()));
    let seen = flow.signer.devices(&ada).await.unwrap();
    let device = seen.devices.iter().find(|device| device.key == thief.device()).unwrap();
    assert!(seen.revision > before);
    assert_eq!((device.state, device.pinned_by), (DeviceState::Pinned, Some(PinnedBy::Recovery)));
}
