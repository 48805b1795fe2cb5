//! The worker's image, started by real firmware with a TPM, and judged by a client through what was predicted of it.

mod machine;

use std::{fs, sync::Arc};

use agentkeys_attestation::{CheckName, Outcome};
use agentkeys_client::{
    AttestationPolicy, Examined, Http, KeptAttestations, Places, ProfileName, SignerClient, SignerTrust,
};
use agentkeys_testing::Home;

use self::machine::{Image, Machine};

#[tokio::test]
#[ignore = "needs QEMU: cargo xtask test"]
async fn an_image_is_accepted_by_its_prediction_and_alone_unseals_its_secret() {
    let (image, mut machine, client) = (Image::built(), Machine::new(), Client::default());

    let mut first = machine.start(&image);
    first.line_with("the worker signs").await;
    let at_first = client.examine(&image, &machine).await;
    first.kill().await;
    let mut second = machine.start(&image);
    second.line_with("the worker signs").await;
    let again = client.examine(&image, &machine).await;
    second.kill().await;
    let changed = image.with_one_byte_changed();
    let mut third = machine.start(&changed);
    let refused = third.line_with("the worker has ended").await;
    let off = third.ended().await;

    assert!(at_first.is_accepted, "{:?}", at_first.checks);
    assert!(again.is_accepted, "{:?}", again.checks);
    assert_eq!(again.bound.identity_pub, at_first.bound.identity_pub);
    assert_eq!(again.ak_name, at_first.ak_name);
    assert!(again.bound.boot_counter > at_first.bound.boot_counter);
    assert!(!refused.contains("exit code 0"), "{refused}");
    assert!(off.success(), "{off}");
    let console = String::from_utf8_lossy(&third.output()).into_owned();
    assert!(console.contains("cannot be unsealed"), "{console}");
}

#[tokio::test]
#[ignore = "needs QEMU: cargo xtask test"]
async fn an_image_with_one_byte_changed_is_refused_by_a_client_whoever_approves_of_it() {
    let (image, mut machine, client) = (Image::built(), Machine::new(), Client::default());

    let mut changed = machine.start(&Image::changed_and_approved());
    changed.line_with("the worker signs").await;
    let examined = client.examine(&image, &machine).await;

    let failed = examined.checks.iter().filter(|check| check.outcome == Outcome::Failed);
    let failed: Vec<_> = failed.map(|check| check.name).collect();
    assert!(!examined.is_accepted);
    assert_eq!(failed, [CheckName::Pcrs], "{:?}", examined.checks);
}

/// A client with a policy, at home in a folder of its own.
#[derive(Default)]
struct Client(Home);

impl Client {
    /// What the worker shows now, judged by what was predicted of `image` on a machine of the maker of `machine`'s TPM.
    async fn examine(&self, image: &Image, machine: &Machine) -> Examined {
        let policy = self.0.path().join("policy.toml");
        fs::write(&policy, image.policy(&machine.maker())).unwrap();
        let places = Places::new(self.0.path(), None, None, None);
        let kept = KeptAttestations::of(&places, &ProfileName::default());
        let policy = AttestationPolicy::load(&policy, None, kept).unwrap();
        let trust = SignerTrust::Policy(Arc::new(policy));
        let signer = SignerClient::new(&Http::default(), image.url().parse().unwrap(), trust).unwrap();
        signer.examine().await.unwrap().unwrap()
    }
}
