use std::path::PathBuf;

use serde::Deserialize;

/// An OpenID Provider with which people may sign in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// Its issuer, exactly as it says itself.
    pub issuer: String,
    /// The name that this broker has there.
    pub client_id: String,
    /// The file that holds the client secret, readable by the broker alone; none for a public client.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// What the button says; by default the provider's name.
    #[serde(default)]
    pub label: Option<String>,
    /// The parameter `prompt` (OpenID Connect Core section 3.1.2.1).
    #[serde(default)]
    pub prompt: Option<String>,
}
