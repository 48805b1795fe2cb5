use std::sync::{Mutex, PoisonError};

use crate::system::System;

/// Somebody with a session and a proved wallet.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) token: String,
    pub(super) wallet_token: String,
    pub(super) account: String,
    address: String,
}

/// Everybody who has signed in.
#[derive(Debug, Default)]
pub(super) struct People(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    all: Vec<Person>,
    /// Whose turn it is, at anything.
    next: usize,
    /// Whose turn it is to prove their wallet again.
    next_proof: usize,
    signed_in: usize,
}

impl People {
    /// Signs somebody in, and proves their wallet.
    pub(super) async fn add_newcomer(&self, system: &System) -> anyhow::Result<()> {
        let number = self.with(|inner| {
            inner.signed_in += 1;
            inner.signed_in
        });
        let (token, account) = system.sign_in(&format!("rotation{number}@example.com")).await?;
        let address = system.link_wallet(&token, &account).await?;
        let wallet_token = system.prove_wallet(&token, &account, &address).await?;
        self.with(|inner| inner.all.push(Person { token, wallet_token, account, address }));
        Ok(())
    }

    /// One after the other.
    pub(super) fn next(&self) -> Person {
        self.with(|inner| {
            inner.next += 1;
            inner.all[inner.next % inner.all.len()].clone()
        })
    }

    /// Proves a wallet again, in turn: within the ten minutes that a proof counts for.
    pub(super) async fn renew_oldest_proof(&self, system: &System) -> anyhow::Result<()> {
        let (index, person) = self.with(|inner| {
            let index = inner.next_proof % inner.all.len();
            inner.next_proof = index + 1;
            (index, inner.all[index].clone())
        });
        let wallet_token = system.prove_wallet(&person.token, &person.account, &person.address).await?;
        self.with(|inner| inner.all[index].wallet_token = wallet_token);
        Ok(())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
