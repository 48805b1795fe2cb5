//! What one operation costs, without any server around it.

use agentkeys_crypto::{
    AUDIENCE, Es256Key, EvmSignature, MasterSecret, OidcClaims, OidcIssuer, Purpose, SessionIssuer, SessionTags,
    SessionTokenClaims, TokenVerifier,
};
use agentkeys_types::{EvmAddress, IdentityType, OmniAccount, SessionId, Timestamp};
use divan::{Bencher, black_box};

const ISSUER: &str = "http://127.0.0.1:8470";
const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const ACCOUNT: OmniAccount = OmniAccount::from_bytes([7; 32]);
const MESSAGE: &[u8] = &[b'm'; 400];

fn main() {
    divan::main();
}

#[divan::bench]
fn derive_a_wallet_and_its_address(bencher: Bencher<'_, '_>) {
    let secret = MasterSecret::new(&[7; 32]);
    bencher.bench(|| secret.derive_wallet(black_box(&ACCOUNT)).address());
}

#[divan::bench]
fn derive_a_wallet_and_sign(bencher: Bencher<'_, '_>) {
    let secret = MasterSecret::new(&[7; 32]);
    bencher.bench(|| secret.derive_wallet(&ACCOUNT).sign_eip191(black_box(MESSAGE)));
}

#[divan::bench]
fn recover_the_signer(bencher: Bencher<'_, '_>) {
    let signed = MasterSecret::new(&[7; 32]).derive_wallet(&ACCOUNT).sign_eip191(MESSAGE).to_string();
    bencher.bench(|| EvmSignature::parse(black_box(&signed)).map(|signature| signature.recover(MESSAGE)));
}

#[divan::bench]
fn issue_a_session_token(bencher: Bencher<'_, '_>) {
    let issuer = session_issuer();
    bencher.bench(|| issuer.issue(black_box(&claims())));
}

#[divan::bench]
fn verify_a_session_token_never_seen_before(bencher: Bencher<'_, '_>) {
    let issuer = session_issuer();
    let token = issuer.issue(&claims()).expect("a token");
    let keys = issuer.keys();
    let fresh = || TokenVerifier::new(ISSUER.to_owned(), &keys);
    bencher.with_inputs(fresh).bench_refs(|verifier| verifier.verify(black_box(token.expose()), NOW).is_ok());
}

#[divan::bench]
fn recognise_a_session_token(bencher: Bencher<'_, '_>) {
    let issuer = session_issuer();
    let token = issuer.issue(&claims()).expect("a token");
    let verifier = TokenVerifier::new(ISSUER.to_owned(), &issuer.keys());
    bencher.bench(|| verifier.verify(black_box(token.expose()), NOW).is_ok());
}

#[divan::bench]
fn mint_an_oidc_jwt(bencher: Bencher<'_, '_>) {
    let issuer = OidcIssuer::new(Es256Key::generate(Purpose::Oidc).expect("a key")).expect("its purpose");
    let wallet = EvmAddress::from_bytes([7; 20]);
    let claims = OidcClaims {
        iss: ISSUER.to_owned(),
        sub: format!("wallet:{}", wallet.to_lowercase()),
        aud: "sts.amazonaws.com".to_owned(),
        iat: NOW.as_unix(),
        nbf: NOW.as_unix(),
        exp: NOW.as_unix() + 300,
        jti: "07".repeat(16),
        tags: SessionTags::new(wallet, ACCOUNT, SessionId::from_bytes([8; 16])),
    };
    bencher.bench(|| issuer.sign(black_box(&claims)));
}

fn session_issuer() -> SessionIssuer {
    SessionIssuer::new(Es256Key::generate(Purpose::Session).expect("a key")).expect("its purpose")
}

fn claims() -> SessionTokenClaims {
    SessionTokenClaims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: ACCOUNT,
        sid: SessionId::from_bytes([8; 16]),
        iat: NOW.as_unix(),
        exp: NOW.as_unix() + 60,
        auth_time: NOW.as_unix(),
        idt: IdentityType::Email,
        cnf: None,
    }
}
