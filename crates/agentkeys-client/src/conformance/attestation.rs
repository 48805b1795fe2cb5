use agentkeys_api::{
    ErrorCode,
    attestation::{AttestationEvidence, EXPORTER_LABEL},
    paths,
};

use super::{
    Fault, Group, RawAnswer, Verdict,
    bench::{Bench, expect},
    call::Call,
    check,
};

pub(super) const GROUP: Group = Group {
    name: "attestation",
    checks: &[
        check!("a signer shows evidence for a nonce, or says that it is not attested", shows_or_says),
        check!("a nonce that is not 64 hex digits is refused", refuses_nonces),
    ],
};

async fn ask(bench: &Bench, query: &str) -> Result<RawAnswer, Fault> {
    bench.send(Call::get(&format!("{}{query}", paths::ATTESTATION))).await
}

async fn shows_or_says(bench: &Bench) -> Verdict {
    let nonce = "0f".repeat(32);
    let answer = ask(bench, &format!("?nonce={nonce}")).await?;
    if bench.purpose.is_none() {
        return expect("a nonce", &answer, ErrorCode::NotAttested);
    }
    let evidence: AttestationEvidence = serde_json::from_slice(&answer.body)
        .map_err(|error| Fault::Wrong(format!("its evidence is not of the form: {error}")))?;
    Fault::unless(evidence.v == 1 && evidence.eat_nonce == nonce, || "it is not for this nonce".to_owned())?;
    Fault::unless(evidence.bound.exporter_label == EXPORTER_LABEL, || "it binds another exporter".to_owned())
}

async fn refuses_nonces(bench: &Bench) -> Verdict {
    // Who has nothing to show need not read what it would be for.
    let code = if bench.purpose.is_none() { ErrorCode::NotAttested } else { ErrorCode::InvalidField };
    let digits = "0f".repeat(32);
    for query in [
        String::new(),
        "?nonce=".to_owned(),
        format!("?nonce={}", &digits[1..]),
        format!("?nonce={digits}0"),
        format!("?nonce={digits}00"),
        format!("?nonce={}g", &digits[1..]),
    ] {
        expect(&format!("`{query}`"), &ask(bench, &query).await?, code)?;
    }
    Ok(())
}
