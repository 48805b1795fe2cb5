//! Grants, and the browsers in which people approve them.

use std::{net::IpAddr, sync::Arc};

use agentkeys_types::{Identity, Timestamp};

use super::sample::{DAY, KEY, MINUTE, NOW, account, entry, letter, request, session};
use crate::{
    Action, Beginning, Begun, BrowserSignIn, Decided, Decision, Entry, Grant, GrantKind, GrantState, IdentityLink,
    Linking, Proved, Redeemed, SessionOpening, Store, StoreError,
};

/// The address of every client that asks for a grant.
pub(super) const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

/// A grant of this number for ten minutes.
pub(super) fn grant(number: usize, kind: GrantKind) -> Grant {
    Grant {
        secret: request(number),
        kind,
        client_name: Some("ada's laptop".to_owned()),
        key: Some(KEY),
        source: SOURCE,
        created_at: NOW,
        expires_at: NOW.after(10 * MINUTE),
    }
}

pub(super) fn code() -> GrantKind {
    GrantKind::Code {
        redirect_uri: "http://127.0.0.1:49152/callback".to_owned(),
        state: "xyz".to_owned(),
        challenge: [3; 32],
    }
}

pub(super) fn device(number: usize) -> GrantKind {
    GrantKind::Device { user_code: request(number).0 }
}

/// A further identity for the account of this name.
pub(super) fn link(name: &str) -> GrantKind {
    GrantKind::Link { session: session(1), account: account(name), way: subject(name).identity_type().clone() }
}

/// The subject of this name at a provider.
pub(super) fn subject(name: &str) -> Identity {
    Identity::oauth2("acme".parse().unwrap(), name).unwrap()
}

/// A subject with the address that its provider has for the person.
pub(super) fn proved(name: &str) -> Proved {
    Proved { identity: subject(name), email: Some(format!("{name}@acme.example").parse().unwrap()) }
}

/// A browser of this number about a grant, at a provider.
pub(super) fn browser(number: usize, grant: usize) -> BrowserSignIn {
    BrowserSignIn {
        request: request(number),
        browser: request(1_000 + number),
        grant: request(grant),
        way: subject("ada").identity_type().clone(),
        created_at: NOW,
        expires_at: NOW.after(10 * MINUTE),
    }
}

pub(super) async fn begin_grant(store: &Arc<dyn Store>, number: usize, kind: GrantKind) -> Grant {
    let grant = grant(number, kind);
    assert_eq!(store.begin_grant(grant.clone(), vec![]).await.unwrap(), Begun::Begun);
    grant
}

pub(super) async fn begin_browser(store: &Arc<dyn Store>, sign_in: BrowserSignIn) {
    let beginning = Beginning { sign_in, grant: None, email: None };
    assert_eq!(store.begin_browser_sign_in(beginning, vec![]).await.unwrap(), Begun::Begun);
}

/// Begins a browser, and proves the subject of this name to it.
pub(super) async fn prove(store: &Arc<dyn Store>, sign_in: BrowserSignIn, name: &str) {
    let request = sign_in.request;
    begin_browser(store, sign_in).await;
    assert!(store.answer_browser_sign_in(request, NOW).await.unwrap());
    assert!(store.prove_browser_sign_in(request, proved(name)).await.unwrap());
}

pub(super) async fn decide(store: &Arc<dyn Store>, number: usize, decision: Decision, now: Timestamp) -> Decided {
    store.decide(request(number), decision, entry(Action::SignIn, now)).await.unwrap()
}

/// Begins a grant, and approves it as the subject of this name in the browser of the same number.
pub(super) async fn approved(store: &Arc<dyn Store>, number: usize, kind: GrantKind, name: &str) -> Grant {
    let grant = begin_grant(store, number, kind).await;
    prove(store, browser(number, number), name).await;
    assert_eq!(decide(store, number, Decision::Approve, NOW).await, Decided::Done);
    grant
}

pub(super) async fn grant_state(store: &Arc<dyn Store>, number: usize) -> GrantState {
    store.find_grant(request(number)).await.unwrap().unwrap().1
}

/// Redeems a grant as the subject of this name, to open the session of the number `opens`.
pub(super) async fn redeem(
    store: &Arc<dyn Store>,
    number: usize,
    name: &str,
    opens: usize,
    now: Timestamp,
) -> Redeemed {
    try_redeem(store, number, name, opens, now).await.unwrap()
}

/// As [`redeem`], where the store may fail.
pub(super) async fn try_redeem(
    store: &Arc<dyn Store>,
    number: usize,
    name: &str,
    opens: usize,
    now: Timestamp,
) -> Result<Redeemed, StoreError> {
    let Proved { identity, email } = proved(name);
    let opening =
        SessionOpening { identity, email, anchor: account(name), id: session(opens), expires_at: now.after(30 * DAY) };
    let entry = Entry { account: None, session: Some(session(opens)), ..entry(Action::SignIn, now) };
    store.redeem_grant(request(number), opening, entry, letter(now)).await
}

/// Redeems a grant to link the subject of this name to the account of the name `to`.
pub(super) async fn redeem_link(
    store: &Arc<dyn Store>,
    number: usize,
    name: &str,
    to: &str,
    now: Timestamp,
) -> Option<Linking> {
    let Proved { identity, email } = proved(name);
    let link = IdentityLink { identity, email, account: account(to), linked_at: now };
    let entry = Entry { account: Some(account(to)), ..entry(Action::LinkIdentity, now) };
    store.redeem_link(request(number), link, entry, letter(now)).await.unwrap()
}
