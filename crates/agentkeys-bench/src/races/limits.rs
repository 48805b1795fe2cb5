use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::json;

use super::{
    Race,
    fleet::{Fleet, Round, Visitor},
    tally::Tally,
};
use crate::report::line;

const MOST: usize = 5;

/// What is counted: per address, and per source, of which each round has its own.
pub(super) const LIMITS: [(&str, usize); 3] =
    [("mails_per_address_and_hour", MOST), ("codes_per_source_and_hour", MOST), ("sign_ins_per_source_and_hour", MOST)];

/// How often it is asked for mails that are on their way, and how long that waits.
const LOOKS: u32 = 500;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Sign-ins that are begun for one address: so many mails leave.
pub(super) struct Mails;

#[async_trait]
impl Race for Mails {
    fn name(&self) -> &'static str {
        "mails to one address"
    }

    fn most(&self) -> usize {
        MOST
    }

    async fn prepare(&self, fleet: &Fleet) -> anyhow::Result<Round> {
        let body = json!({"email": fleet.email()});
        Round::of(&fleet.system.http().post(fleet.url("/v1/auth/email/start")).json(&body).build()?)
    }
}

/// Devices that begin to wait, all at one network address.
pub(super) struct Devices;

#[async_trait]
impl Race for Devices {
    fn name(&self) -> &'static str {
        "devices of one source"
    }

    fn most(&self) -> usize {
        MOST
    }

    async fn prepare(&self, fleet: &Fleet) -> anyhow::Result<Round> {
        let start = fleet.form("/oauth/device_authorization", &[("client_id", "agentkeys-cli")]).build()?;
        Ok(Round::of(&start)?.from(source(fleet.number())))
    }
}

/// Guesses of a device's code, all from one network address.
pub(super) struct UserCodes;

#[async_trait]
impl Race for UserCodes {
    fn name(&self) -> &'static str {
        "user codes of one source"
    }

    fn most(&self) -> usize {
        MOST
    }

    /// Whether the guess was looked at: that no machine shows this code is what they all hear.
    fn is_success(&self, status: u16) -> bool {
        status == 400
    }

    async fn prepare(&self, fleet: &Fleet) -> anyhow::Result<Round> {
        let (visitor, page) = Visitor::open(fleet, "/device").await?;
        let guess = visitor.post(&page.form("/device").with("user_code", "BCDF-GHJK"))?;
        Ok(Round::of(&guess)?.from(source(fleet.number())))
    }
}

/// Whether as many mails have left as sign-ins were begun, and no more than there may be.
pub(super) async fn are_mails_right(fleet: &Fleet, tallies: &[Tally<'_>]) -> anyhow::Result<bool> {
    let Some(tally) = tallies.iter().find(|tally| tally.is_about(&Mails)) else { return Ok(true) };
    let mut came = fleet.mails().await?;
    for _ in 0..LOOKS {
        if came >= tally.successes {
            break;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
        came = fleet.mails().await?;
    }
    // Whatever was queued has left before this one.
    fleet.system.mailed_code(&fleet.email()).await?;
    came = fleet.mails().await? - 1;
    let most = MOST * tally.rounds;
    line(&format!("mails: {came} came for {} rounds, of {most} that may", tally.rounds));
    Ok(came == most)
}

/// An address of this machine's own loopback network, for each number another one.
fn source(number: usize) -> IpAddr {
    let [_, _, high, low] = u32::try_from(number % 0x1_0000).unwrap_or_default().to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 64, high, low))
}
