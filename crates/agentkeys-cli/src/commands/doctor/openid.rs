//! What a cloud fetches before it trusts a web-identity token, with a cloud's eyes.

use agentkeys_api::paths;
use agentkeys_client::{Exit, PlainAnswer, ServerUrl};
use serde_json::Value;

use super::finding::Finding;
use crate::context::Context;

/// AWS takes no longer JWK Set.
const MOST_KEYS: usize = 100;
const HINT: &str = "tell the broker's operator: no cloud will trust what it signs";

/// The discovery document.
pub(super) async fn check_discovery(context: &Context) -> Finding {
    let broker = context.broker();
    match broker.look(paths::OPENID_CONFIGURATION).await {
        Ok(answer) => match fault_of_discovery(broker.url(), &answer) {
            None => Finding::ok("discovery", "the issuer is the broker's URL"),
            Some(fault) => Finding::failure("discovery", Exit::Other, fault, HINT),
        },
        Err(error) => Finding::of_server_error("discovery", error, context),
    }
}

/// The JWK Set.
pub(super) async fn check_keys(context: &Context) -> Finding {
    match context.broker().look(paths::JWKS).await {
        Ok(answer) => match keys_of(&answer) {
            Ok(keys) if !is_cacheable(&answer) => {
                let message = format!("{}, without a header that lets clouds keep them", counted(keys));
                Finding::warning("keys", message, "let the proxy before the broker pass `Cache-Control` on")
            }
            Ok(keys) => Finding::ok("keys", counted(keys)),
            Err(fault) => Finding::failure("keys", Exit::Other, fault, HINT),
        },
        Err(error) => Finding::of_server_error("keys", error, context),
    }
}

fn fault_of_discovery(url: &ServerUrl, answer: &PlainAnswer) -> Option<String> {
    if answer.status != 200 {
        return Some(format!("HTTP status {} instead of the discovery document", answer.status));
    }
    let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let issuer = document["issuer"].as_str().unwrap_or_default();
    if issuer != url.to_string() {
        return Some(format!("the issuer `{}` is not the broker's URL `{url}`", printable(issuer)));
    }
    if !url.is_loopback() && url.has_port() {
        return Some(format!("the issuer `{url}` names a port, which AWS does not take"));
    }
    let below = document["jwks_uri"].as_str().and_then(|uri| uri.strip_prefix(issuer));
    if !below.is_some_and(|path| path.starts_with('/')) {
        return Some("`jwks_uri` is not below the issuer".to_owned());
    }
    let algorithms = document["id_token_signing_alg_values_supported"].as_array();
    if algorithms.is_none_or(Vec::is_empty) {
        return Some("the discovery document names no signing algorithm".to_owned());
    }
    None
}

fn keys_of(answer: &PlainAnswer) -> Result<usize, String> {
    if answer.status != 200 {
        return Err(format!("HTTP status {} instead of the keys", answer.status));
    }
    let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let keys = document["keys"].as_array().ok_or("there is no list of keys")?;
    if keys.is_empty() || keys.len() > MOST_KEYS {
        return Err(format!("{}, where clouds want 1 to {MOST_KEYS}", counted(keys.len())));
    }
    for (index, key) in keys.iter().enumerate() {
        let has_text = |name: &str| key[name].as_str().is_some_and(|text| !text.is_empty());
        let missing = ["kid", "kty", "alg", "use"].into_iter().find(|name| !has_text(name));
        let missing = missing.or_else(|| key["x5c"].as_array().is_none_or(Vec::is_empty).then_some("x5c"));
        if let Some(missing) = missing {
            return Err(format!("key {} says no `{missing}`", index + 1));
        }
        if key["use"] != "sig" {
            return Err(format!("key {} is not for signatures", index + 1));
        }
        if keys[..index].iter().any(|other| other["kid"] == key["kid"]) {
            return Err(format!("key {} has the `kid` of another", index + 1));
        }
    }
    Ok(keys.len())
}

fn is_cacheable(answer: &PlainAnswer) -> bool {
    let directives = answer.cache_control.as_deref().unwrap_or_default().to_lowercase();
    let lives = |directive: &str| directive.trim().strip_prefix("max-age=").is_some_and(|seconds| seconds != "0");
    directives.split(',').any(lives) && !directives.contains("no-store")
}

fn counted(keys: usize) -> String {
    if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") }
}

/// What another server says, fit for a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(body: &Value) -> PlainAnswer {
        let cache_control = Some("public, max-age=300".to_owned());
        PlainAnswer { status: 200, date: None, cache_control, body: body.to_string().into_bytes().into() }
    }

    fn discovery(issuer: &str) -> Value {
        json!({
            "issuer": issuer,
            "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    }

    fn key(kid: &str) -> Value {
        json!({"kid": kid, "kty": "EC", "alg": "ES256", "use": "sig", "x5c": ["MII"]})
    }

    #[test]
    fn the_issuer_is_the_brokers_url_to_the_letter() {
        let url: ServerUrl = "https://broker.example.com".parse().unwrap();

        assert_eq!(fault_of_discovery(&url, &answer(&discovery("https://broker.example.com"))), None);
        for issuer in ["https://broker.example.com/", "https://Broker.example.com", "http://broker.example.com", ""] {
            assert!(fault_of_discovery(&url, &answer(&discovery(issuer))).is_some(), "{issuer}");
        }
    }

    #[test]
    fn a_port_is_fit_for_loopback_only() {
        for (url, is_fit) in [("https://broker.example.com:8443", false), ("http://127.0.0.1:8470", true)] {
            let found = fault_of_discovery(&url.parse().unwrap(), &answer(&discovery(url)));

            assert_eq!(found.is_none(), is_fit, "{url}");
        }
    }

    #[test]
    fn keys_of_another_site_are_noticed() {
        let url: ServerUrl = "https://broker.example.com".parse().unwrap();
        for uri in ["https://broker.example.com.evil.example/jwks", "https://evil.example/jwks", ""] {
            let mut document = discovery("https://broker.example.com");
            document["jwks_uri"] = uri.into();

            assert!(fault_of_discovery(&url, &answer(&document)).is_some(), "{uri}");
        }
    }

    #[test]
    fn each_key_says_all_that_a_cloud_needs() {
        assert_eq!(keys_of(&answer(&json!({"keys": [key("a"), key("b")]}))), Ok(2));
        for name in ["kid", "kty", "alg", "use", "x5c"] {
            let mut lacking = key("b");
            lacking.as_object_mut().unwrap().remove(name);

            assert!(keys_of(&answer(&json!({"keys": [key("a"), lacking]}))).unwrap_err().contains(name));
        }
    }

    #[test]
    fn none_too_many_and_doubled_keys_are_noticed() {
        let many: Vec<Value> = (0..101).map(|number| key(&number.to_string())).collect();

        for keys in [json!([]), json!(many), json!([key("a"), key("a")]), json!(null)] {
            assert!(keys_of(&answer(&json!({"keys": keys}))).is_err());
        }
        assert_eq!(keys_of(&answer(&json!({"keys": many[..100]}))), Ok(100));
    }

    #[test]
    fn a_document_that_may_not_be_kept_is_noticed() {
        let with = |header: Option<&str>| PlainAnswer {
            cache_control: header.map(str::to_owned),
            ..answer(&json!({"keys": [key("a")]}))
        };

        assert!(is_cacheable(&with(Some("public, max-age=300"))));
        for header in [None, Some("no-store"), Some("max-age=0"), Some("no-store, max-age=300")] {
            assert!(!is_cacheable(&with(header)), "{header:?}");
        }
    }
}
