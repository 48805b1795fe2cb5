use std::convert::Infallible;

use agentkeys_crypto::{keccak256, random};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use tokio::task::JoinSet;

use super::ledger::{Fact, Ledger, Use};
use crate::client::{Acknowledged, Client, Lost, SignedIn};

/// Starts eight writers, which go on until a server goes away.
pub(super) fn start(client: &Client, ledger: &Ledger, cycle: usize) -> JoinSet<Result<Infallible, Lost>> {
    let mut writers = JoinSet::new();
    for number in 0..8 {
        let writer = Writer { client: client.clone(), ledger: ledger.clone(), name: format!("w{cycle}-{number}") };
        match number {
            0..2 => writers.spawn(writer.sign_in_and_out()),
            2..5 => writers.spawn(writer.prove_and_mint()),
            5 => writers.spawn(writer.link_and_unlink()),
            _ => writers.spawn(writer.sign()),
        };
    }
    writers
}

struct Writer {
    client: Client,
    ledger: Ledger,
    name: String,
}

impl Writer {
    async fn sign_in_and_out(self) -> Result<Infallible, Lost> {
        let Self { client, ledger, name } = &self;
        for round in 0_u32.. {
            let (request_id, code) = client.request_code(&format!("{name}-{round}@example.com")).await?;
            ledger.note(|kept| drop(kept.codes.insert(request_id.clone(), (code.clone(), Use::Open))));
            if round % 4 == 3 {
                continue;
            }
            let becomes = |state| ledger.note(|kept| kept.codes.get_mut(&request_id).unwrap().1 = state);
            becomes(Use::Doubtful);
            let answer = client.verify_code(&request_id, &code).await?.acknowledged(200)?;
            let who = SignedIn::read(&answer);
            becomes(Use::Done);
            ledger.signed_in(&who);
            if round % 2 == 0 {
                ledger.note(|kept| drop(kept.standing.remove(&who.session_id)));
                let path = format!("/v1/sessions/{}", who.session_id);
                client.delete(&path, &who.token).await?.acknowledged(204)?;
                let fact = Fact::RevokedSession { session: who.session_id.clone() };
                ledger.acknowledge(fact, |kept| kept.revoked.push(who));
            }
        }
        unreachable!("the rounds do not end")
    }

    async fn prove_and_mint(self) -> Result<Infallible, Lost> {
        let Self { client, ledger, .. } = &self;
        let who = self.arrive().await?;
        let derived = client.derive_address(&who).await?.acknowledged(200)?;
        let address = derived.text("address");
        self.link(&who, address).await?;
        loop {
            let challenge = client.challenge(&who, address).await?;
            let request_id = challenge.request_id.clone();
            ledger.note(|kept| drop(kept.challenges.insert(request_id.clone(), (challenge.clone(), Use::Doubtful))));
            let proved = client.answer(&challenge).await?.acknowledged(200)?;
            let fact = Fact::ProvedWallet { session: who.session_id.clone(), address: address.to_lowercase() };
            ledger.acknowledge(fact, |kept| kept.challenges.get_mut(&request_id).unwrap().1 = Use::Done);
            for _ in 0..6 {
                let minted = client.mint(proved.text("session_token")).await?.acknowledged(200)?;
                ledger.acknowledge(Fact::Minted { jti: jti(minted.text("jwt")) }, |_| {});
            }
        }
    }

    async fn link_and_unlink(self) -> Result<Infallible, Lost> {
        let Self { client, ledger, .. } = &self;
        let who = self.arrive().await?;
        for round in 0_u32.. {
            let address = self.link(&who, &format!("0x{}", hex::encode(random::<20>()))).await?;
            if round % 3 == 0 {
                ledger.note(|kept| drop(kept.linked.remove(&address)));
                client.delete(&format!("/v1/wallet/link/{address}"), &who.token).await?.acknowledged(204)?;
                let fact = Fact::UnlinkedWallet { account: who.account.clone(), address: address.to_lowercase() };
                ledger.acknowledge(fact, |kept| drop(kept.unlinked.insert(address, who.clone())));
            }
        }
        unreachable!("the rounds do not end")
    }

    async fn sign(self) -> Result<Infallible, Lost> {
        let who = self.arrive().await?;
        for round in 0_u32.. {
            let message = format!("{} signs number {round}", self.name);
            self.client.sign(&who, message.as_bytes()).await?.acknowledged(200)?;
            let message = hex::encode(keccak256(message.as_bytes()));
            self.ledger.acknowledge(Fact::Signed { message }, |_| {});
        }
        unreachable!("the rounds do not end")
    }

    async fn arrive(&self) -> Result<SignedIn, Lost> {
        let who = self.client.sign_in(&format!("{}@example.com", self.name)).await?;
        self.ledger.signed_in(&who);
        Ok(who)
    }

    /// Links a wallet; gives its address as the broker writes it.
    async fn link(&self, who: &SignedIn, address: &str) -> Result<String, Lost> {
        let linked = self.client.link(who, address).await?.acknowledged(201)?;
        let address = linked.text("address").to_owned();
        let fact = Fact::LinkedWallet { account: who.account.clone(), address: address.to_lowercase() };
        self.ledger.acknowledge(fact, |kept| drop(kept.linked.insert(address.clone(), who.clone())));
        Ok(address)
    }
}

/// The id of a web-identity JWT.
fn jti(jwt: &str) -> String {
    let claims = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["jti"].as_str().unwrap().to_owned()
}
