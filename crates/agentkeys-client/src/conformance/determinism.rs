use serde_json::json;

use super::{Fault, Group, Verdict, bench::Bench, call::Call, check};

pub(super) const GROUP: Group = Group {
    name: "determinism",
    checks: &[
        check!("the same message has the same signature", is_the_same_again),
        check!("another message has another signature", differs),
    ],
};

async fn is_the_same_again(bench: &Bench) -> Verdict {
    let sign = || bench.ask(Call::sign(&bench.sign_body()), "signature");
    let first = sign().await?;
    for _ in 0..3 {
        let again = sign().await?;
        Fault::unless(first == again, || format!("it signed `{first}`, then `{again}`"))?;
    }
    Ok(())
}

async fn differs(bench: &Bench) -> Verdict {
    let first = bench.ask(Call::sign(&bench.sign_body()), "signature").await?;
    let other = bench.flow.start_challenge(&bench.session, bench.wallet, &mut ()).await?;
    let body = json!({"omni_account": bench.account(), "message_hex": hex::encode(&other.siwe_message)});
    let second = bench.ask(Call::sign(&body), "signature").await?;
    Fault::unless(first != second, || format!("it signed `{first}` for both"))
}
