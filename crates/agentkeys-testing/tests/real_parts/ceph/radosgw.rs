//! Ceph's object gateway, set up as a person would set up an AWS account.

use agentkeys_client::RoleArn;
use agentkeys_crypto::random;
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};

use super::sigv4::Keys;
use crate::parts;

/// The gateway, as its root user sees it.
pub(crate) struct Radosgw {
    pub(crate) url: String,
    http: Client,
    root: Keys,
}

impl Radosgw {
    pub(crate) fn at_hand() -> Self {
        let http = Client::builder().no_proxy().build().unwrap();
        let [access_key_id, secret_access_key] = ["ROOTAK", "ROOTSK"].map(str::to_owned);
        let root = Keys { access_key_id, secret_access_key, session_token: None };
        Self { url: parts::at("AGENTKEYS_TEST_CEPH"), http, root }
    }

    /// Makes a bucket that no other test has.
    pub(crate) async fn create_bucket(&self) -> String {
        let name = fresh_name();
        let url = Url::parse(&format!("{}/{name}", self.url)).unwrap();
        let response = self.root.send(&self.http, "s3", Method::PUT, &url, "").await;
        assert!(response.status().is_success(), "{:?}", response.text().await);
        name
    }

    /// Registers an OpenID Connect provider.
    pub(crate) async fn create_provider(&self, issuer: &str, audience: &str) {
        let thumbprint = "0".repeat(40);
        self.manage(&[
            ("Action", "CreateOpenIDConnectProvider"),
            ("Url", issuer),
            ("ClientIDList.member.1", audience),
            ("ThumbprintList.member.1", &thumbprint),
        ])
        .await;
    }

    /// Makes a role that the provider's subjects in `trusted` may assume, for `audience`, with session tags;
    /// whoever does may touch nothing in the bucket but the prefix of the wallet that its tag names.
    ///
    /// The policy names each wallet, since this gateway takes no tag in a resource.
    pub(crate) async fn create_role(&self, issuer: &str, audience: &str, wallets: &[&str], bucket: &str) -> RoleArn {
        self.create_role_only_for(OnlyFor::default(), issuer, audience, wallets, bucket).await
    }

    /// The same, for an agent alone.
    pub(crate) async fn create_role_only_for(
        &self,
        only_for: OnlyFor<'_>,
        issuer: &str,
        audience: &str,
        wallets: &[&str],
        bucket: &str,
    ) -> RoleArn {
        let provider = issuer.split_once("://").unwrap().1;
        let subjects: Vec<_> = wallets.iter().map(|wallet| format!("wallet:{wallet}")).collect();
        let mut matched = json!({});
        matched[format!("{provider}:aud")] = json!(audience);
        matched[format!("{provider}:sub")] = json!(subjects);
        if let Some(agent) = only_for.trusted {
            matched["aws:RequestTag/agentkeys_agent"] = json!([agent]);
        }
        let trust = policy(&[json!({
            "Effect": "Allow",
            "Principal": {"Federated": [format!("arn:aws:iam:::oidc-provider/{provider}")]},
            "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
            "Condition": {"StringEquals": matched},
        })]);
        let allowed: Vec<_> =
            wallets.iter().flat_map(|wallet| own_prefix(wallet, only_for.permitted, bucket)).collect();

        let name = fresh_name();
        let role = [("RoleName", name.as_str())];
        let create = [("Action", "CreateRole"), ("Path", "/"), ("AssumeRolePolicyDocument", &trust)];
        self.manage(&[&role[..], &create].concat()).await;
        let (policy, named) = (policy(&allowed), ("PolicyName", "own-prefix"));
        self.manage(&[&role[..], &[("Action", "PutRolePolicy"), named, ("PolicyDocument", &policy)]].concat()).await;
        format!("arn:aws:iam:::role/{name}").parse().unwrap()
    }

    async fn manage(&self, parameters: &[(&str, &str)]) {
        let url = Url::parse(&format!("{}/", self.url)).unwrap();
        let form = Url::parse_with_params("http://form/", parameters).unwrap();
        let response = self.root.send(&self.http, "iam", Method::POST, &url, form.query().unwrap()).await;
        let status = response.status();
        // A port of an earlier test may have come round again, and its provider is as good.
        assert!(status.is_success() || status == 409, "{parameters:?}: {status} {:?}", response.text().await);
    }
}

/// The agent without whose tag a role is of no use.
#[derive(Clone, Copy, Default)]
pub(crate) struct OnlyFor<'a> {
    /// Alone may assume it.
    pub(crate) trusted: Option<&'a str>,
    /// Alone may do anything with it.
    pub(crate) permitted: Option<&'a str>,
}

/// What one wallet's session tag allows, or that and an agent's.
fn own_prefix(wallet: &str, agent: Option<&str>, bucket: &str) -> [Value; 2] {
    let mut tag = json!({"aws:PrincipalTag/agentkeys_user_wallet": [wallet]});
    if let Some(agent) = agent {
        tag["aws:PrincipalTag/agentkeys_agent"] = json!([agent]);
    }
    let objects = json!({
        "Effect": "Allow",
        "Action": ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"],
        "Resource": [format!("arn:aws:s3:::{bucket}/bots/{wallet}/*")],
        "Condition": {"StringEquals": tag},
    });
    let listing = json!({
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": [format!("arn:aws:s3:::{bucket}")],
        "Condition": {"StringEquals": tag, "StringLike": {"s3:prefix": [format!("bots/{wallet}/*")]}},
    });
    [objects, listing]
}

/// Compact, because this gateway does not decode the `+` that stands for a space in a form.
fn policy(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn fresh_name() -> String {
    format!("agentkeys-{}", hex::encode(random::<8>()))
}
