//! The whole flow and its mistakes, with logs at TRACE: no secret is anywhere but where it belongs.

mod browser;
mod canary;
mod flow;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use agentkeys_crypto::random;
use agentkeys_testing::TestProvider;
use agentkeys_types::SystemClock;

use self::canary::{Canary, Search};
use crate::bench::{Bench, Settings};

#[tokio::test]
async fn no_secret_is_in_logs_refusals_metrics_or_files() {
    let password = format!("smtp /+&{}", hex::encode(random::<12>()));
    let (provider, folder) = (TestProvider::start(Arc::new(SystemClock)).await, tempfile::tempdir().unwrap());
    let sections = provider.settings(folder.path());
    let settings = Settings { log: "trace", smtp_password: Some(password.clone()), sections, ..Settings::default() };
    let mut bench = Bench::start_with(settings).await;
    let client = bench.client();

    let mut canaries = flow::walk(&client).await;
    canaries.extend(browser::walk(&client, &provider).await);
    canaries.push(Canary::hex("master secret", bench.master_secret()));
    canaries.push(Canary::text("SMTP password", &password));
    flow::mistakes(&client, &canaries).await;

    let metrics = reqwest::get(bench.metrics_url()).await.unwrap().text().await.unwrap();
    let mut places = BTreeMap::from([
        ("broker's log".to_owned(), bench.broker().output()),
        ("signer's log".to_owned(), bench.parts().output()),
        ("refusals".to_owned(), client.refusals()),
        ("metrics".to_owned(), metrics.into_bytes()),
    ]);
    for state in [bench.broker_state(), bench.parts_state()] {
        for file in files(&state) {
            places.insert(file.display().to_string(), fs::read(&file).unwrap());
        }
    }
    places.insert("logs at the end".to_owned(), bench.kill().await);

    for log in ["broker's log", "signer's log"] {
        // Only below INFO is a line written for every answer.
        assert!(String::from_utf8_lossy(&places[log]).contains("answered status=200"), "{log} is short");
    }
    for file in ["agentkeys.db", "agentkeys.db-wal", "signing.log"] {
        assert!(places.keys().any(|place| place.ends_with(file)), "{file} was not searched");
    }
    let search = Search::of(&canaries);
    let mut leaks: BTreeMap<_, _> = places.iter().map(|(place, bytes)| (place, search.find(bytes))).collect();
    leaks.retain(|_, found| !found.is_empty());
    assert!(leaks.is_empty(), "{leaks:#?}");
}

/// All files below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
