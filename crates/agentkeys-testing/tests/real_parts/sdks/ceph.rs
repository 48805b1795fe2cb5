//! The same at Ceph, which verifies JWTs and enforces tags for real.

use agentkeys_client::{Http, Role, RoleArn, StsClient};
use agentkeys_testing::System;
use agentkeys_types::OidcJwt;

use super::{
    Bench,
    sdk::{Place, Sdk},
};
use crate::ceph::radosgw::Radosgw;

const AUDIENCE: &str = "sts.amazonaws.com";

#[tokio::test]
#[ignore = "needs the AWS SDKs and Ceph: cargo xtask test"]
async fn every_sdk_uses_credentials_from_its_environment() {
    let bench = Bench::start(System::start().await).await;
    let (place, role_arn) = at_ceph(&bench).await;
    let role = Role { endpoint_url: Some(place.url.parse().unwrap()), ..Role::with_arn(role_arn) };
    let (sts, jwt) = (StsClient::new(&Http::default()), OidcJwt::new(bench.mint().await));
    let credentials = sts.assume_role_with_web_identity(&role, "agent", &jwt).await.unwrap();

    for sdk in Sdk::ALL {
        let used = sdk.keep_using(&place, 1, |client| client.with_credentials(&credentials)).await;

        assert_eq!(used, [sdk.used(&credentials.access_key_id, false)], "{sdk:?}");
    }
}

#[tokio::test]
#[ignore = "needs the AWS SDKs and Ceph: cargo xtask test"]
async fn every_sdk_exchanges_a_minted_jwt_by_itself() {
    let bench = Bench::start(System::start().await).await;
    let (place, role_arn) = at_ceph(&bench).await;
    let jwt = bench.file("jwt", &bench.mint().await);

    for sdk in Sdk::ALL {
        let used = sdk.keep_using(&place, 1, |client| client.with_web_identity(&jwt, role_arn.as_str())).await;

        assert!(used.len() == 1 && used[0].expires != Some(false), "{sdk:?}: {used:?}");
    }
}

/// What lies at Ceph and is hers, and the role for it.
async fn at_ceph(bench: &Bench) -> (Place, RoleArn) {
    let (gateway, issuer) = (Radosgw::at_hand(), bench.system.broker_url());
    let bucket = gateway.create_bucket().await;
    gateway.create_provider(&issuer, AUDIENCE).await;
    let role = gateway.create_role(&issuer, AUDIENCE, &[&bench.ada.wallet.to_lowercase()], &bucket).await;
    (Place { url: gateway.url, bucket, prefix: bench.prefix() }, role)
}
