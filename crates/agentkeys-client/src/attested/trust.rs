use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agentkeys_attestation::{Expected, Pinned, Policy, ReleaseKey, Verdict, Verifier};

use super::{
    KeptAttestations, KeptSigner,
    judge::{Activation, Judge, Judgement, Question},
};
use crate::{ClientError, Places, ProfileName, ServerUrl, Settings};

/// What must be known of a signer before a session token goes there.
#[derive(Clone, Debug, Default)]
pub enum SignerTrust {
    /// It runs on this machine.
    #[default]
    Loopback,
    /// Nothing: `--allow-unattested-signer` was spelt out.
    AllowUnattested,
    /// It shows that it is what a policy asks for.
    Policy(Arc<AttestationPolicy>),
}

impl SignerTrust {
    /// What the flag or setting `allow_unattested_signer` stands for, where there is no policy.
    pub fn allowing_unattested(allow: bool) -> Self {
        if allow { Self::AllowUnattested } else { Self::Loopback }
    }

    /// What the settings of `profile` stand for.
    ///
    /// A policy in the usual place counts for every signer but the one of `agentkeys dev`; wherever one counts, nothing
    /// else does.
    pub fn of(settings: &Settings, places: &Places, profile: &ProfileName) -> Result<Self, ClientError> {
        let usual = places.attestation_policy();
        let path = match &settings.attestation_policy {
            Some(path) => path,
            None if is_dev(settings, profile) || !exists(&usual)? => {
                return Ok(Self::allowing_unattested(settings.allow_unattested_signer));
            }
            None => &usual,
        };
        let kept = KeptAttestations::of(places, profile);
        let key = settings.release_key.as_deref().map(read_release_key).transpose()?;
        Ok(Self::Policy(Arc::new(AttestationPolicy::load(path, key.as_ref(), kept)?)))
    }
}

/// What a profile takes for a genuine signer, and what it remembers of those that it has accepted.
pub struct AttestationPolicy {
    judge: Arc<dyn Judge>,
    version: u64,
    reattest: Duration,
    allow_dev: bool,
    is_signed: bool,
    path: PathBuf,
    kept: KeptAttestations,
}

impl AttestationPolicy {
    /// Reads the policy in the file. Where there is a release key, it must have signed it: `FILE.sig`.
    pub fn load(path: &Path, key: Option<&ReleaseKey>, kept: KeptAttestations) -> Result<Self, ClientError> {
        let policy = read_policy(path, key)?;
        Ok(Self {
            version: policy.version,
            reattest: policy.reattest,
            allow_dev: policy.allow_dev,
            is_signed: key.is_some(),
            path: path.to_owned(),
            judge: Arc::new(Verifier::new(policy)),
            kept,
        })
    }

    /// Its number.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether the release key has signed it.
    pub fn is_signed(&self) -> bool {
        self.is_signed
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which one it is, for a person.
    pub fn in_words(&self) -> String {
        let signed = if self.is_signed { "signed by the release key" } else { "without a signature" };
        format!("version {}, {signed}: {}", self.version, self.path.display())
    }

    /// What is remembered of the signers that were accepted.
    pub fn kept(&self) -> &KeptAttestations {
        &self.kept
    }

    /// How old evidence may get on an open connection.
    pub(super) fn reattest(&self) -> Duration {
        self.reattest
    }

    /// Whether a development signer on this machine will do.
    pub(crate) fn allow_dev(&self) -> bool {
        self.allow_dev
    }

    pub(super) fn judge(&self) -> &dyn Judge {
        &*self.judge
    }

    #[cfg(test)]
    pub(super) fn with_judge(judge: Arc<dyn Judge>, version: u64, allow_dev: bool, kept: KeptAttestations) -> Self {
        let (reattest, path) = (Duration::from_mins(10), PathBuf::new());
        Self { judge, version, reattest, allow_dev, is_signed: false, path, kept }
    }
}

impl fmt::Debug for AttestationPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut formatter = formatter.debug_struct("AttestationPolicy");
        formatter.field("path", &self.path).field("version", &self.version).finish_non_exhaustive()
    }
}

/// Where the signature over a policy lies.
pub fn signature_of(policy: &Path) -> PathBuf {
    let mut path = policy.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

/// Reads the policy in the file. Where there is a release key, it must have signed it: `FILE.sig`.
pub fn read_policy(path: &Path, key: Option<&ReleaseKey>) -> Result<Policy, ClientError> {
    let unusable = |reason: String| ClientError::PolicyUnusable { path: path.to_owned(), reason };
    let bytes = fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let policy = match key {
        Some(key) => {
            let signature = signature_of(path);
            let signature = fs::read_to_string(&signature)
                .map_err(|error| unusable(format!("its signature `{}`: {error}", signature.display())))?;
            Policy::verify_signed(&bytes, &signature, key)
        }
        None => Policy::parse(std::str::from_utf8(&bytes).map_err(|_| unusable("it is not UTF-8".to_owned()))?),
    };
    policy.map_err(|error| unusable(error.to_string()))
}

/// The release key in the setting: the hex of its point, or a file with its PEM.
pub fn read_release_key(setting: &str) -> Result<ReleaseKey, ClientError> {
    if let Ok(key) = ReleaseKey::parse(setting) {
        return Ok(key);
    }
    let path = Path::new(setting);
    let unusable = |reason: String| ClientError::PolicyUnusable { path: path.to_owned(), reason };
    let text = fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    ReleaseKey::parse(&text).map_err(|error| unusable(error.to_string()))
}

/// Whether the signer is the one that `agentkeys dev` runs inside itself, on this machine.
fn is_dev(settings: &Settings, profile: &ProfileName) -> bool {
    profile.as_str() == "dev" && settings.signer_url.is_plain()
}

fn exists(path: &Path) -> Result<bool, ClientError> {
    path.try_exists().map_err(|error| ClientError::PolicyUnusable { path: path.to_owned(), reason: error.to_string() })
}

/// The signer at `url` is not one that the policy accepts.
pub(crate) fn invalid(url: &ServerUrl, check: &str, detail: impl Into<String>) -> ClientError {
    ClientError::AttestationInvalid { url: url.to_string(), check: check.to_owned(), detail: detail.into() }
}

/// A signer without TLS can show nothing, and the policy does not do without.
pub(crate) fn no_development_signer(url: &ServerUrl, policy: &AttestationPolicy) -> ClientError {
    let path = policy.path().display();
    let detail = format!(
        "without TLS nothing can show where it runs, and the policy `{path}` allows no development signer (`allow_dev`)"
    );
    invalid(url, "channel", detail)
}

impl Judge for Verifier {
    fn judge(
        &self,
        evidence: &agentkeys_api::attestation::AttestationEvidence,
        question: &Question<'_>,
    ) -> (Judgement, Option<Activation>) {
        let pinned = pinned(question.kept);
        let channel = *question.channel;
        let expected = Expected { nonce: *question.nonce, channel, pinned: &pinned, stage: question.stage };
        let mut verdict = self.verify(evidence, &expected, question.now);
        let judgement = Judgement::of(&verdict);
        let challenge = verdict.activation().and_then(|request| request.challenge().ok());
        let activation = challenge.map(|challenge| Activation {
            request: challenge.message().clone(),
            settle: Box::new(move |reply| {
                verdict.activated(&challenge, reply);
                Judgement::of(&verdict)
            }),
        });
        (judgement, activation)
    }
}

impl Judgement {
    fn of(verdict: &Verdict) -> Self {
        Self {
            backend: verdict.backend(),
            release: verdict.release().map(|release| release.to_string()),
            ak_name: verdict.ak_name().map(hex::encode),
            ek_sha256: verdict.ek_sha256().map(hex::encode),
            checks: verdict.checks().to_vec(),
        }
    }
}

fn pinned(kept: &KeptSigner) -> Pinned {
    let bytes = |text: &Option<String>| text.as_deref().and_then(|text| hex::decode(text).ok());
    Pinned {
        ak_name: bytes(&kept.ak_name),
        ek_sha256: bytes(&kept.ek_sha256).and_then(|digest| digest.try_into().ok()),
        identity_pub: bytes(&kept.identity_pub).and_then(|key| key.try_into().ok()),
        policy_version: Some(kept.policy_version),
        checkpoint: kept.checkpoint.clone(),
    }
}
