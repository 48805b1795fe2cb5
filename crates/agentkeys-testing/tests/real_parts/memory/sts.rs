//! An STS whose credentials are over at once, so that a daemon goes all the way for each request.

use std::{net::SocketAddr, time::Duration};

use agentkeys_types::{Clock, SystemClock};
use axum::Router;

/// What the daemon hands out must live longer than ten seconds; this does not.
const LIFE: Duration = Duration::from_secs(5);

/// Starts it on a free port.
pub(crate) async fn start() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(async || answer());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn answer() -> String {
    let expires_at = SystemClock.now().after(LIFE);
    format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
         <SessionToken>session</SessionToken><SecretAccessKey>secret</SecretAccessKey>\
         <Expiration>{expires_at}</Expiration><AccessKeyId>ASIAEXAMPLE</AccessKeyId>\
         </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    )
}
