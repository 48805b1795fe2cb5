//! jwcrypto from `PyPI`, as a relying party that reads the broker's JWK Set.

use agentkeys_crypto::{Algorithm, RingName, Rotation};
use agentkeys_testing::TestBroker;
use agentkeys_types::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::parts::{AwsClient, with_altered_signature};

const VERIFY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_parts/python/verify_jwts.py");

#[tokio::test]
#[ignore = "needs jwcrypto: cargo xtask test"]
async fn jwts_of_either_algorithm_verify_before_and_after_a_rotation() {
    for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
        let broker = TestBroker::start_with(|config| config.oidc_algorithm = algorithm).await;
        // jwcrypto has the machine's time.
        let (machine, ours) = (SystemClock.now(), broker.clock().now());
        broker.clock().advance(machine.since(ours));
        broker.clock().step_back(ours.since(machine));
        let ada = broker.sign_in("ada").await.prove_wallet().await;
        let before = ada.mint(&json!({})).await.expect(200).text("jwt").to_owned();
        let keys = broker.state().join("keys");
        Rotation::begin(&keys, broker.clock().now()).unwrap().rotate(RingName::oidc(algorithm)).unwrap();
        broker.running().look_for_keys().await;
        let after = ada.mint(&json!({})).await.expect(200).text("jwt").to_owned();
        let altered = with_altered_signature(&after);
        let set = broker.get("/.well-known/jwks.json").await.expect(200).body;

        let given = json!({"issuer": broker.url(""), "keys": set, "jwts": [before, after, altered]});
        let said = AwsClient::boto3("").run_with_input(&[VERIFY], &given.to_string()).await.stdout();

        let subject = format!("wallet:{}", ada.address().to_lowercase());
        let outcomes: Vec<Value> = serde_json::from_str(&said).unwrap();
        assert_eq!(outcomes[..2], [json!([algorithm, subject]), json!([algorithm, subject])]);
        assert_eq!(outcomes[2][0], Value::Null, "{said}");
    }
}
