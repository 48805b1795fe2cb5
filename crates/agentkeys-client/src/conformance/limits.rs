use agentkeys_api::{ErrorCode, paths};
use agentkeys_crypto::EvmSignature;
use serde_json::json;

use super::{
    Fault, Group, Verdict,
    bench::{Bench, expect},
    call::Call,
    check,
};

const LONGEST_MESSAGE: usize = 16 * 1024;
const LARGEST_BODY: usize = 64 * 1024;
/// How often an answer may be lost.
const ATTEMPTS: usize = 5;

pub(super) const GROUP: Group = Group {
    name: "limits",
    checks: &[
        check!("a message of more than 16 KiB is refused", refuses_long_messages),
        check!("a message of one byte, and one of 16 KiB, is read", reads_short_and_long_messages),
        check!("a body of more than 64 KiB is refused", refuses_large_bodies),
        check!("a body that is too deep or has too many fields is refused", refuses_complex_bodies),
    ],
};

async fn refuses_long_messages(bench: &Bench) -> Verdict {
    let digits = "00".repeat(LONGEST_MESSAGE + 1);
    for message in [digits.clone(), format!("0x{digits}")] {
        let call = Call::sign(&json!({"omni_account": bench.account(), "message_hex": message}));
        bench.refuses("16 KiB and a byte", call, ErrorCode::InvalidMessageHex).await?;
    }
    Ok(())
}

async fn reads_short_and_long_messages(bench: &Bench) -> Verdict {
    for length in [1, LONGEST_MESSAGE] {
        let message = vec![0x5a; length];
        let call = Call::sign(&json!({"omni_account": bench.account(), "message_hex": hex::encode(&message)}));
        if !bench.signs_anything() {
            bench.refuses(&format!("{length} bytes"), call, ErrorCode::MessageRefused).await?;
            continue;
        }
        let text = bench.ask(call, "signature").await?;
        let signed = EvmSignature::parse(&text).and_then(|read| read.recover(&message));
        Fault::unless(signed == Ok(bench.wallet), || format!("`{text}` is not by the account's address"))?;
    }
    Ok(())
}

async fn refuses_large_bodies(bench: &Bench) -> Verdict {
    let right = bench.derive_body().to_string();
    let call = Call::post(paths::DERIVE_ADDRESS, format!("{right}{}", " ".repeat(LARGEST_BODY)));
    for _ in 1..ATTEMPTS {
        // A server that reads no further closes the connection, by which its answer may be lost on the way.
        match bench.send_as_caller(call.clone()).await {
            Err(_) => {}
            Ok(answer) => return expect("spaces behind it", &answer, ErrorCode::BodyTooLarge),
        }
    }
    bench.refuses("spaces behind it", call, ErrorCode::BodyTooLarge).await
}

async fn refuses_complex_bodies(bench: &Bench) -> Verdict {
    let deep = format!("{{\"omni_account\":{}", "[".repeat(10_000));
    let fields: Vec<String> = (0..5_000).map(|number| format!("\"{number}\":0")).collect();
    for (what, body) in [("10,000 brackets", deep), ("5,000 fields", format!("{{{}}}", fields.join(",")))] {
        bench.refuses(what, Call::post(paths::DERIVE_ADDRESS, body), ErrorCode::JsonTooComplex).await?;
    }
    Ok(())
}
