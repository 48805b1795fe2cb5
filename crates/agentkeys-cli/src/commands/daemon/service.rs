use std::path::PathBuf;

use agentkeys_client::{ProfileName, StoreKey};

use super::{launchd, systemd};
use crate::context::Context;

/// The daemon as a service of the person's service manager: its files, and the commands that go with them.
#[derive(Debug)]
pub(crate) struct Service {
    pub(super) files: Vec<(PathBuf, String)>,
    /// What has it run from now on. The first one fails where there is no manager.
    pub(super) start: Vec<Vec<String>>,
    /// What ends it, before its files are removed.
    pub(super) stop: Vec<Vec<String>>,
    /// What makes the manager forget it, after they are.
    pub(super) forget: Vec<Vec<String>>,
    /// What shows whether it is enabled.
    pub(super) is_enabled: Vec<String>,
}

/// What is to run.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) profile: ProfileName,
    /// The program and its arguments.
    pub(super) command: Vec<String>,
    /// The key of the session file, which the service manager hands over.
    pub(super) session_key: Option<PathBuf>,
}

impl Service {
    /// What a file of ours says, so that no other one is overwritten.
    pub(super) const MARK: &str = "Written by `agentkeys daemon install`";

    /// The one of this profile, whatever it runs.
    pub(crate) fn of(context: &Context) -> Self {
        Self::running(&Job { profile: context.profile.clone(), command: Vec::new(), session_key: None }, context)
    }

    pub(super) fn running(job: &Job, context: &Context) -> Self {
        if cfg!(target_os = "macos") {
            launchd::service(job, &context.places.home().join("Library"))
        } else {
            systemd::service(job, &context.places.all_settings().join("systemd/user"))
        }
    }

    /// Whether its files are there.
    pub(crate) fn is_written(&self) -> bool {
        self.files.iter().all(|(path, _)| path.exists())
    }

    /// Whether the manager starts it by itself; none where that is not known.
    pub(crate) async fn is_enabled(&self) -> Option<bool> {
        let (program, arguments) = self.is_enabled.split_first()?;
        let ended = tokio::process::Command::new(program).args(arguments).output().await.ok()?;
        let said = String::from_utf8_lossy(&ended.stdout);
        match said.trim() {
            _ if cfg!(target_os = "macos") => Some(ended.status.success()),
            "enabled" => Some(true),
            "disabled" | "not-found" => Some(false),
            _ => None,
        }
    }
}

impl Job {
    /// This program, serving the profile of the context as it is called now.
    pub(super) fn of(context: &Context, session_key: Option<PathBuf>) -> Result<Self, crate::error::CliError> {
        let saved = agentkeys_client::Config::load(&context.places.config_file())?.profile(&context.profile);
        let mut command = vec![std::env::current_exe()?.display().to_string()];
        let mut add = |flag: &str, value: String| command.extend([flag.to_owned(), value]);
        if !context.profile.is_default() {
            add("--profile", context.profile.to_string());
        }
        // What came from a flag or a variable, a service would not find again.
        if saved.broker_url != context.settings.broker_url {
            add("--broker-url", context.settings.broker_url.to_string());
        }
        if saved.signer_url != context.settings.signer_url {
            add("--signer-url", context.settings.signer_url.to_string());
        }
        // Wherever the service is started from.
        if saved.attestation_policy != context.settings.attestation_policy
            && let Some(policy) = &context.settings.attestation_policy
        {
            add("--attestation-policy", std::path::absolute(policy)?.display().to_string());
        }
        if saved.release_key != context.settings.release_key
            && let Some(key) = &context.settings.release_key
        {
            let path = std::path::Path::new(key);
            let is_file = path.exists();
            add("--release-key", if is_file { std::path::absolute(path)?.display().to_string() } else { key.clone() });
        }
        if let Some(key) = context.storage.key() {
            add("--store", context.storage.choice().to_string());
            add("--store-key", key.to_string());
        }
        if context.settings.allow_unattested_signer && !saved.allow_unattested_signer {
            command.push("--allow-unattested-signer".to_owned());
        }
        command.extend(["daemon".to_owned(), "run".to_owned()]);
        let session_key = session_key.filter(|_| context.storage.key() == Some(StoreKey::Systemd));
        Ok(Self { profile: context.profile.clone(), command, session_key })
    }

    /// What the manager calls it.
    pub(super) fn name(&self) -> String {
        if self.profile.is_default() { "agentkeys".to_owned() } else { format!("agentkeys-{}", self.profile) }
    }
}
