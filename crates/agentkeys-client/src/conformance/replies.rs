use agentkeys_crypto::DeviceKey;
use hyper::header::{HeaderName, HeaderValue};

use super::{Fault, Group, RawAnswer, Verdict, bench::Bench, call::Call, check};

pub(super) const GROUP: Group = Group {
    name: "replies",
    checks: &[
        check!("every reply has a request id, the caller's own where that is harmless", have_ids),
        check!("every refusal is a problem in our shape, with the headers that belong to it", have_our_shape),
        check!("no reply is kept by a cache", are_not_cached),
        check!("no reply repeats a token or a device key", keep_secrets),
    ],
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Finds a fault in the first reply that is not `right`.
fn all(bench: &Bench, fault: &str, right: impl Fn(&RawAnswer) -> bool) -> Verdict {
    let replies = bench.replies();
    match replies.iter().find(|reply| !right(reply)) {
        Some(reply) => Err(Fault::Wrong(format!("{fault}: a reply with {}", reply.summary()))),
        None => Ok(()),
    }
}

async fn have_ids(bench: &Bench) -> Verdict {
    let id = "conformance-1";
    let answer = bench.send(Call::get("/healthz").with(REQUEST_ID, id)).await?;
    Fault::unless(answer.header("x-request-id") == Some(id), || format!("`{id}` was not kept"))?;
    let answer = bench.send(Call::get("/healthz").with(REQUEST_ID, "a b\"c")).await?;
    Fault::unless(answer.header("x-request-id") != Some("a b\"c"), || "a harmful id was kept".to_owned())?;
    all(bench, "no id", |reply| reply.header("x-request-id").is_some_and(|id| !id.is_empty()))
}

async fn have_our_shape(bench: &Bench) -> Verdict {
    all(bench, "another shape", |reply| (200..300).contains(&reply.status) || reply.problem().is_some())?;
    all(bench, "no `WWW-Authenticate`", |reply| {
        (reply.status == 401) == reply.headers.contains_key("www-authenticate")
    })?;
    all(bench, "no `Retry-After`", |reply| {
        !matches!(reply.status, 429 | 503) || reply.headers.contains_key("retry-after")
    })
}

async fn are_not_cached(bench: &Bench) -> Verdict {
    all(bench, "no `Cache-Control: no-store`", |reply| reply.header("cache-control") == Some("no-store"))
}

async fn keep_secrets(bench: &Bench) -> Verdict {
    let spare = &bench.spare;
    let spare = [&spare.unbound, &spare.revoked, &spare.expired, &spare.of_another_account];
    let mut secrets = Vec::new();
    for session in spare.into_iter().flatten().chain([&bench.session]) {
        // The signature alone makes it a token: all else can be read from the record.
        secrets.extend(session.token.expose().rsplit('.').next().map(str::as_bytes));
        secrets.extend(session.device_key.as_ref().map(DeviceKey::expose_secret));
    }
    let has = |bytes: &[u8], secret: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
    all(bench, "a secret", |reply| {
        let values = reply.headers.values().map(HeaderValue::as_bytes);
        let mut seen = values.chain([&reply.body[..]]);
        !seen.any(|bytes| secrets.iter().any(|secret| has(bytes, secret)))
    })
}
