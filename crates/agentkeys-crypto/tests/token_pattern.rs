//! `TOKEN_PATTERN`, against real tokens of every kind.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::sync::LazyLock;

use agentkeys_crypto::{
    AUDIENCE, Confirmation, Es256Key, OidcClaims, OidcIssuer, Purpose, SessionIssuer, SessionTags, SessionTokenClaims,
    WalletSessionTokenClaims,
};
use agentkeys_types::{EvmAddress, IdentityType, KeyThumbprint, OmniAccount, SessionId, TOKEN_PATTERN};
use proptest::prelude::*;
use regex::Regex;

static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new(TOKEN_PATTERN).unwrap());
static ISSUER: LazyLock<SessionIssuer> =
    LazyLock::new(|| SessionIssuer::new(Es256Key::generate(Purpose::Session).unwrap()).unwrap());

fn session_token(iss: &str, number: u8, iat: i64, bound: bool) -> String {
    let claims = SessionTokenClaims {
        iss: iss.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: OmniAccount::from_bytes([number; 32]),
        sid: SessionId::from_bytes([number; 16]),
        iat,
        exp: iat + 60,
        auth_time: iat,
        idt: IdentityType::Email,
        cnf: confirmation(bound),
    };
    ISSUER.issue(&claims).unwrap().expose().to_owned()
}

fn wallet_session_token(iss: &str, number: u8, iat: i64, bound: bool) -> String {
    let claims = WalletSessionTokenClaims {
        iss: iss.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: OmniAccount::from_bytes([number; 32]),
        sid: SessionId::from_bytes([number; 16]),
        iat,
        exp: iat + 60,
        auth_time: iat,
        idt: IdentityType::Evm,
        acc: OmniAccount::from_bytes([!number; 32]),
        psid: SessionId::from_bytes([!number; 16]),
        wal: EvmAddress::from_bytes([number; 20]),
        cnf: confirmation(bound),
    };
    ISSUER.issue_wallet(&claims).unwrap().expose().to_owned()
}

fn confirmation(bound: bool) -> Option<Confirmation> {
    bound.then(|| Confirmation { jkt: KeyThumbprint::from_bytes([7; 32]) })
}

fn found_in(text: &str) -> Vec<&str> {
    PATTERN.find_iter(text).map(|found| found.as_str()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_token_is_found_whole(
        host in "[a-z]{1,247}",
        number: u8,
        iat in 0i64..100_000_000_000,
        bound: bool,
    ) {
        let iss = format!("https://{host}");
        for token in [session_token(&iss, number, iat, bound), wallet_session_token(&iss, number, iat, bound)] {
            let line = format!("curl -H 'Authorization: Bearer {token}' {iss}");

            prop_assert_eq!(found_in(&line), [token.as_str()]);
        }
    }
}

#[test]
fn an_oidc_jwt_is_not_found() {
    let issuer = OidcIssuer::new(Es256Key::generate(Purpose::Oidc).unwrap()).unwrap();
    let account = OmniAccount::from_bytes([7; 32]);
    let claims = OidcClaims {
        iss: "https://broker.example.com".to_owned(),
        sub: "wallet:0x74144a5f826537a8610b136552c6ffec9d37a6de".to_owned(),
        aud: "sts.amazonaws.com".to_owned(),
        iat: 1_800_000_000,
        nbf: 1_800_000_000,
        exp: 1_800_000_300,
        jti: "jti".to_owned(),
        tags: SessionTags::new(EvmAddress::from_bytes([7; 20]), account, SessionId::from_bytes([7; 16])),
    };
    let jwt = issuer.sign(&claims).unwrap();

    assert!(jwt.expose().starts_with("eyJ"));
    assert!(found_in(jwt.expose()).is_empty());
}

#[test]
fn what_opens_nothing_is_not_found() {
    let token = session_token("https://broker.example.com", 7, 1_800_000_000, false);
    let (signed, _) = token.rsplit_once('.').unwrap();

    for text in [signed, &token[4..], &token[..token.len() - 1], "aks_…", "aks_eyJ.eyJ.x"] {
        assert!(found_in(text).is_empty(), "{text}");
    }
}
