use agentkeys_api::{ErrorCode, paths};
use agentkeys_crypto::DeviceKey;
use agentkeys_types::SessionToken;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::{
    Fault, Group, Verdict,
    bench::{Bench, DPOP, as_bearer, bound, expect},
    call::Call,
    check,
};
use crate::Session;

pub(super) const GROUP: Group = Group {
    name: "gate",
    checks: &[
        check!("nobody comes in without a token", needs_a_token),
        check!("a token that is garbled, cut off or of another algorithm is refused", refuses_forged_tokens),
        check!("a token in the URL is refused", refuses_tokens_in_urls),
        check!("two ways of authenticating at once are refused", refuses_two_ways),
        check!("a wallet session is refused", refuses_wallet_sessions),
        check!("another account is refused", refuses_other_accounts),
        check!("a bound token needs a proof", needs_a_proof),
        check!("a proof is used once", refuses_replayed_proofs),
        check!("a proof for another method, URL or token, or by another key, is refused", refuses_other_proofs),
        check!("a proof needs the signer's own nonce", needs_the_nonce),
        check!("a signer that pins devices refuses a session that is bound to none", refuses_unbound_sessions),
        check!("a revoked session is refused", refuses_revoked_sessions),
        check!("a session whose time is over is refused", refuses_expired_sessions),
        check!("nobody reaches the account of another session", keeps_accounts_apart),
    ],
};

const POSTS: [&str; 2] = [paths::DERIVE_ADDRESS, paths::SIGN_MESSAGE];

/// A right request on each route, without a token.
fn calls(bench: &Bench) -> [Call; 2] {
    [Call::derive(&bench.derive_body()), Call::sign(&bench.sign_body())]
}

async fn needs_a_token(bench: &Bench) -> Verdict {
    for call in calls(bench) {
        bench.refuses_as_it_is("none", call.clone(), ErrorCode::TokenMissing).await?;
        for value in ["Bearer ", "Bearer x", "DPoP x", "Basic YTpi", "aks_x"] {
            bench.refuses_as_it_is(value, call.clone().with(AUTHORIZATION, value), ErrorCode::TokenInvalid).await?;
        }
    }
    Ok(())
}

async fn refuses_forged_tokens(bench: &Bench) -> Verdict {
    for (what, token) in forgeries(bench.session.token.expose()) {
        for call in calls(bench) {
            let proof = bench.proof(&bench.session, "POST", &call.path, None).unwrap_or_default();
            let call = call.with(AUTHORIZATION, &format!("DPoP {token}")).with(DPOP, &proof);
            bench.refuses_as_it_is(what, call, ErrorCode::TokenInvalid).await?;
        }
    }
    Ok(())
}

/// Tokens that are almost `token`.
fn forgeries(token: &str) -> Vec<(&'static str, String)> {
    let body = token.strip_prefix("aks_").unwrap_or(token);
    let parts: Vec<&str> = body.split('.').collect();
    let [header, payload, signature] = parts[..] else { return Vec::new() };
    let with_header = |header: Value, signature: &str| {
        format!("aks_{}.{payload}.{signature}", URL_SAFE_NO_PAD.encode(header.to_string()))
    };
    let other = if signature.starts_with('A') { "B" } else { "A" };
    vec![
        ("no prefix", body.to_owned()),
        ("no signature", format!("aks_{header}.{payload}.")),
        ("cut off", format!("aks_{header}.{payload}")),
        ("another signature", format!("aks_{header}.{payload}.{other}{}", &signature[1..])),
        ("another payload", format!("aks_{header}.{}.{signature}", URL_SAFE_NO_PAD.encode("{}"))),
        ("none", with_header(json!({"alg": "none", "typ": "agentkeys-session+jws"}), "")),
        ("HS256", with_header(json!({"alg": "HS256", "typ": "agentkeys-session+jws"}), signature)),
        ("another type", with_header(json!({"alg": "ES256", "typ": "JWT"}), signature)),
        ("12 KiB", format!("aks_{}", "a".repeat(12 * 1024))),
    ]
}

async fn refuses_tokens_in_urls(bench: &Bench) -> Verdict {
    for query in ["access_token=x", "a=b&token=x", "q=aks_x"] {
        for path in POSTS {
            let call = calls(bench)[0].clone().with_path(&format!("{path}?{query}"));
            bench.refuses(query, call, ErrorCode::TokenInUrl).await?;
        }
    }
    Ok(())
}

async fn refuses_two_ways(bench: &Bench) -> Verdict {
    for call in calls(bench) {
        let twice = bench.presented(&bench.session, call.clone())?.with(AUTHORIZATION, "Bearer x");
        bench.refuses_as_it_is("two headers", twice, ErrorCode::AmbiguousAuth).await?;
        let joined = call.with(AUTHORIZATION, "Bearer x, DPoP y");
        bench.refuses_as_it_is("two in one header", joined, ErrorCode::AmbiguousAuth).await?;
    }
    Ok(())
}

async fn refuses_wallet_sessions(bench: &Bench) -> Verdict {
    let proof = bench.flow.prove_wallet(&bench.session, bench.wallet, &mut ()).await?;
    let token = SessionToken::new(proof.token.expose().to_owned());
    let wallet_session = Session { token, ..bench.session.clone() };
    for call in calls(bench) {
        let answer = bench.send_as(&wallet_session, call).await?;
        expect("its token", &answer, ErrorCode::SessionRequired)?;
    }
    Ok(())
}

async fn refuses_other_accounts(bench: &Bench) -> Verdict {
    let other = "ab".repeat(32);
    let derive = Call::derive(&json!({"omni_account": other}));
    bench.refuses("its address", derive, ErrorCode::AccountMismatch).await?;
    let mut body = bench.sign_body();
    body["omni_account"] = json!(other);
    bench.refuses("its signature", Call::sign(&body), ErrorCode::AccountMismatch).await
}

async fn needs_a_proof(bench: &Bench) -> Verdict {
    if bench.session.device_key.is_none() {
        return Err(Fault::LeftOut("the session is bound to no device key"));
    }
    for call in calls(bench) {
        let plain = as_bearer(&bench.session, call.clone());
        bench.refuses_as_it_is("as a plain bearer", plain, ErrorCode::DpopRequired).await?;
        let unproved = bound(&bench.session, call.clone());
        bench.refuses_as_it_is("without a proof", unproved, ErrorCode::DpopRequired).await?;
        let garbled = bound(&bench.session, call).with(DPOP, "a.b.c");
        bench.refuses_as_it_is("with a garbled proof", garbled, ErrorCode::DpopInvalid).await?;
    }
    Ok(())
}

async fn refuses_replayed_proofs(bench: &Bench) -> Verdict {
    let nonce = bench.fresh_nonce().await?;
    for call in calls(bench) {
        let proof = bench.proof(&bench.session, "POST", &call.path, Some(&nonce))?;
        let call = bound(&bench.session, call).with(DPOP, &proof);
        let first = bench.send(call.clone()).await?;
        Fault::unless(first.status == 200, || format!("the first time it answered {}", first.summary()))?;
        bench.refuses_as_it_is("the second time", call, ErrorCode::DpopReplayed).await?;
    }
    Ok(())
}

async fn refuses_other_proofs(bench: &Bench) -> Verdict {
    let nonce = bench.fresh_nonce().await?;
    let (own, nonce) = (&bench.session, Some(nonce.as_str()));
    let other_token = Session { token: SessionToken::new("aks_other".to_owned()), ..own.clone() };
    let other_key = DeviceKey::generate().map_err(|_| Fault::LeftOut("no device key can be made"))?;
    let other_key = Session { device_key: Some(other_key), ..own.clone() };
    for call in calls(bench) {
        let other_path = POSTS.into_iter().find(|path| *path != call.path).unwrap_or_default();
        let broker = bench.flow.broker.url().join(&call.path);
        for (what, proof) in [
            ("another method", bench.proof(own, "GET", &call.path, nonce)?),
            ("another route", bench.proof(own, "POST", other_path, nonce)?),
            ("another server", bench.proof_for(own, "POST", broker.as_str(), nonce)?),
            ("another token", bench.proof(&other_token, "POST", &call.path, nonce)?),
            ("another key", bench.proof(&other_key, "POST", &call.path, nonce)?),
        ] {
            let call = bound(own, call.clone()).with(DPOP, &proof);
            bench.refuses_as_it_is(what, call, ErrorCode::DpopInvalid).await?;
        }
    }
    Ok(())
}

async fn needs_the_nonce(bench: &Bench) -> Verdict {
    for call in calls(bench) {
        for nonce in [None, Some("other")] {
            let proof = bench.proof(&bench.session, "POST", &call.path, nonce)?;
            let answer = bench.send(bound(&bench.session, call.clone()).with(DPOP, &proof)).await?;
            expect(nonce.unwrap_or("none"), &answer, ErrorCode::UseDpopNonce)?;
            Fault::unless(answer.header("dpop-nonce").is_some(), || "it gives no `DPoP-Nonce`".to_owned())?;
        }
    }
    Ok(())
}

async fn refuses_unbound_sessions(bench: &Bench) -> Verdict {
    let unbound = spare(bench.spare.unbound.as_ref(), "no session without a device key was given")?;
    for call in calls(bench) {
        let answer = bench.send_as(unbound, call).await?;
        if bench.purpose.is_some() {
            expect("a plain bearer", &answer, ErrorCode::DeviceKeyRequired)?;
        } else {
            Fault::unless(answer.status == 200, || format!("it answered {}", answer.summary()))?;
        }
    }
    Ok(())
}

async fn refuses_revoked_sessions(bench: &Bench) -> Verdict {
    let revoked = spare(bench.spare.revoked.as_ref(), "no revoked session was given")?;
    for call in calls(bench) {
        expect("its token", &bench.send_as(revoked, call).await?, ErrorCode::TokenRevoked)?;
    }
    Ok(())
}

async fn refuses_expired_sessions(bench: &Bench) -> Verdict {
    let expired = spare(bench.spare.expired.as_ref(), "no session whose time is over was given")?;
    for call in calls(bench) {
        expect("its token", &bench.send_as(expired, call).await?, ErrorCode::TokenExpired)?;
    }
    Ok(())
}

async fn keeps_accounts_apart(bench: &Bench) -> Verdict {
    let of_other = bench.spare.of_another_account.as_ref();
    let stranger = spare(of_other, "no session of another account was given")?;
    for call in calls(bench) {
        expect("ours", &bench.send_as(stranger, call).await?, ErrorCode::AccountMismatch)?;
    }
    Ok(())
}

fn spare<'s>(session: Option<&'s Session>, missing: &'static str) -> Result<&'s Session, Fault> {
    session.ok_or(Fault::LeftOut(missing))
}
