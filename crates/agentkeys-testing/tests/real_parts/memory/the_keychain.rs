//! The session that a daemon has from a keychain.

use std::collections::HashMap;

use agentkeys_client::{DaemonClient, ProfileName};
use agentkeys_testing::{Process, System};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use zbus::zvariant::{OwnedObjectPath, OwnedValue};

use super::{
    assert_clean, forms,
    needles::Needles,
    sts::Sts,
    the_daemon::{KEPT, mint_for_each_role, write_settings},
    wait_until_clean,
};
use crate::keychain::desktop::Desktop;

const MINTS: usize = 20;
const ADA: &str = "ada@example.com";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs gdb, root and gnome-keyring: cargo xtask test"]
async fn a_daemon_keeps_nothing_of_what_a_keychain_sent() {
    let (desktop, system, sts) = (Desktop::unlocked().await, System::start().await, Sts::start().await);
    let init = desktop.agentkeys(&["--no-input", "--json", "init", "--email", ADA]);
    assert!(system.init(init, ADA).await.status.success());
    write_settings(desktop.home(), &system, &sts);
    let socket = desktop.home().path().join("run/agent.sock");
    let mut command = desktop.command(Process::binary("agentkeys-daemon"));
    command.arg("--socket").arg(&socket);
    let mut daemon = Process::start(command);
    daemon.line_with("credentials are served").await;
    let agent = DaemonClient::new(socket, ProfileName::default());

    mint_for_each_role(&agent, MINTS).await;

    let kept = in_keychain(desktop.address()).await;
    let device_key = URL_SAFE_NO_PAD.decode(kept["device_key"].as_str().unwrap()).unwrap();
    let mut secrets = forms::of_token("session token", kept["session_token"].as_str().unwrap());
    secrets.extend(forms::of_scalar("device key", device_key.as_slice().try_into().unwrap()));
    let needles = Needles::new(secrets);
    wait_until_clean("daemon with a keychain, after its last mint", daemon.id(), &needles, KEPT).await;
    assert_clean("daemon with a keychain", daemon.id(), &needles);
}

/// What is kept in the keychain on this bus, as the Secret Service gives it to whoever asks.
async fn in_keychain(bus: &str) -> Value {
    const SERVICE: &str = "org.freedesktop.secrets";
    const ROOT: &str = "/org/freedesktop/secrets";
    let bus = zbus::connection::Builder::address(bus).unwrap().build().await.unwrap();
    let interface = |name: &str| format!("org.freedesktop.Secret.{name}");
    let plain = ("plain", zbus::zvariant::Value::from(""));
    let opened = bus.call_method(Some(SERVICE), ROOT, Some(&*interface("Service")), "OpenSession", &plain).await;
    let (_, session): (OwnedValue, OwnedObjectPath) = opened.unwrap().body().deserialize().unwrap();
    let ours = (HashMap::from([("service", "agentkeys")]),);
    let found = bus.call_method(Some(SERVICE), ROOT, Some(&*interface("Service")), "SearchItems", &ours).await;
    let (items, _): (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) = found.unwrap().body().deserialize().unwrap();
    let secret = bus.call_method(Some(SERVICE), &items[0], Some(&*interface("Item")), "GetSecret", &(session,)).await;
    let secret: (OwnedObjectPath, Vec<u8>, Vec<u8>, String) = secret.unwrap().body().deserialize().unwrap();
    serde_json::from_slice(&secret.2).unwrap()
}
