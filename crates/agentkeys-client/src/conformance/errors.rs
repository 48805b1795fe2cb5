use agentkeys_api::{ErrorCode, paths};
use hyper::{
    Method,
    header::{CONTENT_TYPE, HOST},
};
use serde_json::{Value, json};

use super::{
    Fault, Group, Verdict,
    bench::{Bench, expect},
    call::Call,
    check,
};

pub(super) const GROUP: Group = Group {
    name: "errors",
    checks: &[
        check!("an account that is not 64 hex digits is refused", refuses_accounts),
        check!("a message that is absent, empty, of odd length or no hex is refused", refuses_messages),
        check!("a field that the request does not have is refused", refuses_unknown_fields),
        check!("a field that stands twice is refused", refuses_duplicate_fields),
        check!("a body that is no JSON is refused", refuses_bad_json),
        check!("a body that is not declared as JSON is refused", refuses_content_types),
        check!("a wrong method is refused, and the right one named", names_the_method),
        check!("a path that does not exist is refused", refuses_paths),
        check!("a host that is not this server's is refused", refuses_hosts),
        check!("the health of the process is open to anyone", is_up),
    ],
};

const POSTS: [&str; 2] = [paths::DERIVE_ADDRESS, paths::SIGN_MESSAGE];

/// The right body for one of the routes.
fn right_body(bench: &Bench, path: &str) -> Value {
    if path == paths::SIGN_MESSAGE { bench.sign_body() } else { bench.derive_body() }
}

async fn refuses_accounts(bench: &Bench) -> Verdict {
    let account = bench.account();
    let wrong =
        [json!(""), json!(account[1..]), json!(format!("{account}0")), json!("g".repeat(64)), json!(null), json!(7)];
    for path in POSTS {
        for value in &wrong {
            let mut body = right_body(bench, path);
            body["omni_account"] = value.clone();
            let what = format!("{path} for {value}");
            bench.refuses(&what, Call::post(path, body.to_string()), ErrorCode::InvalidOmniAccount).await?;
        }
    }
    let nobody = Call::derive(&json!({}));
    bench.refuses("no account", nobody, ErrorCode::InvalidOmniAccount).await
}

async fn refuses_messages(bench: &Bench) -> Verdict {
    for value in [json!(""), json!("0x"), json!("0"), json!("abc"), json!("zz"), json!("0x0x00"), json!(7), json!(null)]
    {
        let call = Call::sign(&json!({"omni_account": bench.account(), "message_hex": value}));
        bench.refuses(&format!("{value}"), call, ErrorCode::InvalidMessageHex).await?;
    }
    bench.refuses("no message", Call::sign(&bench.derive_body()), ErrorCode::InvalidMessageHex).await
}

async fn refuses_unknown_fields(bench: &Bench) -> Verdict {
    for path in POSTS {
        let mut body = right_body(bench, path);
        body["admin"] = json!(true);
        bench.refuses(path, Call::post(path, body.to_string()), ErrorCode::UnknownField).await?;
    }
    Ok(())
}

async fn refuses_duplicate_fields(bench: &Bench) -> Verdict {
    for path in POSTS {
        let body = right_body(bench, path).to_string().replacen(
            '{',
            &format!("{{\"omni_account\":\"{}\",", bench.account()),
            1,
        );
        bench.refuses(path, Call::post(path, body), ErrorCode::DuplicateField).await?;
    }
    Ok(())
}

async fn refuses_bad_json(bench: &Bench) -> Verdict {
    let right = bench.derive_body().to_string();
    let wrong: [(&str, Vec<u8>); 5] = [
        ("nothing", Vec::new()),
        ("a part", right[..right.len() - 1].into()),
        ("more behind it", format!("{right}x").into()),
        ("a byte order mark", [b"\xef\xbb\xbf", right.as_bytes()].concat()),
        ("no UTF-8", [right.as_bytes(), b"\xff"].concat()),
    ];
    for (what, body) in wrong {
        bench.refuses(what, Call::post(paths::DERIVE_ADDRESS, body), ErrorCode::InvalidJson).await?;
    }
    Ok(())
}

async fn refuses_content_types(bench: &Bench) -> Verdict {
    let call = || Call::derive(&bench.derive_body()).without(&CONTENT_TYPE);
    bench.refuses("none", call(), ErrorCode::UnsupportedMediaType).await?;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"] {
        let call = call().with(CONTENT_TYPE, content_type);
        bench.refuses(content_type, call, ErrorCode::UnsupportedMediaType).await?;
    }
    Ok(())
}

async fn names_the_method(bench: &Bench) -> Verdict {
    for (path, method, allowed) in [
        (paths::DERIVE_ADDRESS, Method::GET, "POST"),
        (paths::SIGN_MESSAGE, Method::PUT, "POST"),
        (paths::ATTESTATION, Method::POST, "GET"),
        (paths::HEALTHZ, Method::DELETE, "GET"),
    ] {
        let what = format!("{method} {path}");
        let answer = bench.send(Call::get(path).with_method(method)).await?;
        expect(&what, &answer, ErrorCode::MethodNotAllowed)?;
        let names = answer.header("allow").is_some_and(|allow| allow.split(',').any(|name| name.trim() == allowed));
        Fault::unless(names, || format!("{what}: `Allow` does not name {allowed}"))?;
    }
    Ok(())
}

async fn refuses_paths(bench: &Bench) -> Verdict {
    for path in [
        "/",
        "/dev",
        "/dev/",
        "//dev/sign-message",
        "/dev/sign-message/",
        "/dev/./sign-message",
        "/%64ev/sign-message%00",
    ] {
        bench.refuses_as_it_is(path, Call::get(path), ErrorCode::NotFound).await?;
    }
    Ok(())
}

async fn refuses_hosts(bench: &Bench) -> Verdict {
    let own = bench.flow.signer.url().authority();
    for host in ["signer.example", "127.0.0.1", "", &format!("{own}.example")] {
        let call = Call::get(&format!("{}?nonce={}", paths::ATTESTATION, "5a".repeat(32))).with(HOST, host);
        bench.refuses_as_it_is(&format!("`{host}`"), call, ErrorCode::HostNotAllowed).await?;
    }
    let twice = Call::get(paths::ATTESTATION).with(HOST, own).with(HOST, own);
    bench.refuses_as_it_is("two of them", twice, ErrorCode::HostNotAllowed).await
}

async fn is_up(bench: &Bench) -> Verdict {
    let answer = bench.send(Call::get(paths::HEALTHZ)).await?;
    let is_so = answer.status == 200 && answer.text("status").as_deref() == Some("ok");
    Fault::unless(is_so, || format!("it answered {}", answer.summary()))
}
