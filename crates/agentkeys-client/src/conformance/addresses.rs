use agentkeys_api::LinkStatus;
use agentkeys_types::EvmAddress;
use serde_json::json;

use super::{Fault, Group, Verdict, bench::Bench, call::Call, check};

pub(super) const GROUP: Group = Group {
    name: "addresses",
    checks: &[
        check!("an address is in EIP-55 form", is_checksummed),
        check!("an account has the same address each time, however its name is written", is_stable),
        check!("the address is the one that the broker links after a whole round", is_linked),
    ],
};

async fn is_checksummed(bench: &Bench) -> Verdict {
    let text = bench.ask(Call::derive(&bench.derive_body()), "address").await?;
    let read: EvmAddress =
        text.parse().map_err(|_| Fault::Wrong(format!("`{text}` is no address with a right checksum")))?;
    // All in lower case is an address too, but not this form of it.
    Fault::unless(read.to_string() == text, || format!("`{text}` should be written `{read}`"))
}

async fn is_stable(bench: &Bench) -> Verdict {
    let account = bench.account();
    for name in [account.clone(), format!("0x{account}"), account.to_uppercase()] {
        let address = bench.ask(Call::derive(&json!({"omni_account": name})), "address").await?;
        let expected = bench.wallet.to_string();
        Fault::unless(address == expected, || format!("it gave `{address}` after `{expected}`"))?;
    }
    Ok(())
}

async fn is_linked(bench: &Bench) -> Verdict {
    let proof = bench.flow.prove_wallet(&bench.session, bench.wallet, &mut ()).await?;
    let wallets = bench.flow.broker.wallets(&bench.session).await?;
    let is_proved = wallets.links.iter().any(|link| link.address == bench.wallet && link.status == LinkStatus::Proved);
    Fault::unless(is_proved && proof.address == bench.wallet, || {
        let wallet = bench.wallet;
        format!("the broker does not have `{wallet}` as proved")
    })
}
