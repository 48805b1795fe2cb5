use agentkeys_api::{ErrorCode, WalletVerify};
use agentkeys_crypto::EvmSignature;
use serde_json::json;

use super::{Fault, Group, Verdict, bench::Bench, call::Call, check};

pub(super) const GROUP: Group = Group {
    name: "signatures",
    checks: &[
        check!("a signature is 0x and r, s and v in 130 lower-case hex digits, with v 27 or 28", has_the_form),
        check!("a signature has a low s and is by the account's address", recovers),
        check!("the broker takes a signature of its challenge", is_taken),
        check!("a message may have 0x before it, and digits in upper case", takes_prefix_and_case),
        check!(
            "a signer for wallet proofs signs nothing else, any other signs what it is asked to",
            keeps_to_its_purpose
        ),
    ],
};

async fn signature(bench: &Bench) -> Result<String, Fault> {
    bench.ask(Call::sign(&bench.sign_body()), "signature").await
}

async fn has_the_form(bench: &Bench) -> Verdict {
    let text = signature(bench).await?;
    let digits = text.strip_prefix("0x").unwrap_or_default();
    let are_hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_so = digits.len() == 130 && are_hex && (digits.ends_with("1b") || digits.ends_with("1c"));
    Fault::unless(is_so, || format!("`{text}` is not of this form"))
}

async fn recovers(bench: &Bench) -> Verdict {
    let text = signature(bench).await?;
    let signed = EvmSignature::parse(&text).and_then(|read| read.recover(bench.challenge.siwe_message.as_bytes()));
    let address = signed.map_err(|error| Fault::Wrong(format!("`{text}`: {error}")))?;
    let expected = bench.wallet;
    Fault::unless(address == expected, || format!("it is by `{address}`, and the account's address is `{expected}`"))
}

async fn is_taken(bench: &Bench) -> Verdict {
    let challenge = bench.flow.start_challenge(&bench.session, bench.wallet, &mut ()).await?;
    let body = json!({"omni_account": bench.account(), "message_hex": hex::encode(&challenge.siwe_message)});
    let signature = bench.ask(Call::sign(&body), "signature").await?;
    let request = WalletVerify { request_id: challenge.request_id, signature };
    bench.flow.broker.verify_wallet(&bench.session, &request).await?;
    Ok(())
}

async fn takes_prefix_and_case(bench: &Bench) -> Verdict {
    let plain = signature(bench).await?;
    let digits = hex::encode(&bench.challenge.siwe_message);
    for written in [format!("0x{digits}"), digits.to_uppercase()] {
        let body = json!({"omni_account": bench.account(), "message_hex": written});
        let other = bench.ask(Call::sign(&body), "signature").await?;
        Fault::unless(other == plain, || format!("it signed `{other}` where it had signed `{plain}`"))?;
    }
    Ok(())
}

async fn keeps_to_its_purpose(bench: &Bench) -> Verdict {
    let challenge = &bench.challenge.siwe_message;
    let other_site = challenge.replacen(" wants you", ".example wants you", 1);
    let messages =
        [b"hello".to_vec(), vec![0x5a; 32], [&b"\x19\x01"[..], &[7; 64]].concat(), other_site.clone().into_bytes()];
    for message in messages {
        let call = Call::sign(&json!({"omni_account": bench.account(), "message_hex": hex::encode(&message)}));
        if !bench.signs_anything() {
            bench.refuses("another message than its broker's challenge", call, ErrorCode::MessageRefused).await?;
            continue;
        }
        let text = bench.ask(call, "signature").await?;
        let signed = EvmSignature::parse(&text).and_then(|read| read.recover(&message));
        Fault::unless(signed == Ok(bench.wallet), || format!("`{text}` is not by the account's address"))?;
    }
    Ok(())
}
