use std::hint::black_box;

use agentkeys_crypto::{
    AUDIENCE, Es256Key, Purpose, SessionIssuer, SessionTokenClaims, TokenVerifier, VerifiedToken, random,
};
use agentkeys_types::{IdentityType, OmniAccount, SessionId, Timestamp};
use anyhow::Context;
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Kind, Pair, bench::TimingBroker};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const ISSUER: &str = "https://broker.example.com";
/// How many sessions there are to forge tokens for.
const SESSIONS: usize = 256;
/// The bytes of an ES256 signature.
const SIGNATURE: usize = 64;

/// Tokens that are right but for one place, each of another session: what the numbers of a signature cost, which is
/// public, evens out.
pub(super) struct Altered {
    name: &'static str,
    issuer: SessionIssuer,
    verifier: TokenVerifier,
    is_remembered: bool,
    inputs: Vec<String>,
    token: String,
}

/// A token, taken apart.
#[derive(Clone)]
struct Parts {
    /// With the prefix.
    header: String,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Parts {
    fn of(token: &str) -> anyhow::Result<Self> {
        let mut parts = token.split('.');
        let mut next = || parts.next().context("a token has three parts");
        let (header, payload, signature) = (next()?.to_owned(), next()?, next()?);
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part);
        Ok(Self { header, payload: decode(payload)?, signature: decode(signature)? })
    }

    fn token(&self) -> String {
        let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        format!("{}.{}.{}", self.header, encode(&self.payload), encode(&self.signature))
    }
}

impl Altered {
    /// A wrong first or last byte of the signature, of tokens that were never seen.
    pub(super) fn signature() -> anyhow::Result<Self> {
        Self::new("token: wrong first or last byte of its signature", false)
    }

    /// Another character than in a remembered token, at the beginning of what it says or at its very end.
    pub(super) fn remembered() -> anyhow::Result<Self> {
        Self::new("token: other than a remembered one in its first or last character", true)
    }

    fn new(name: &'static str, is_remembered: bool) -> anyhow::Result<Self> {
        let issuer = SessionIssuer::new(Es256Key::generate(Purpose::Session)?)?;
        let verifier = TokenVerifier::new(ISSUER.to_owned(), &issuer.keys());
        let (inputs, token) = (Vec::new(), String::with_capacity(4096));
        Ok(Self { name, issuer, verifier, is_remembered, inputs, token })
    }

    fn input(&self, kind: Kind) -> anyhow::Result<String> {
        let claims = SessionTokenClaims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: OmniAccount::from_bytes(random()),
            sid: SessionId::from_bytes(random()),
            iat: NOW.as_unix(),
            exp: NOW.as_unix() + 60,
            auth_time: NOW.as_unix(),
            idt: IdentityType::Email,
            cnf: None,
        };
        let token = self.issuer.issue(&claims)?;
        if self.is_remembered {
            self.verifier.remember(token.digest(), VerifiedToken::Session(claims.into()));
        }
        let mut parts = Parts::of(token.expose())?;
        let byte = match kind {
            Kind::First if self.is_remembered => parts.payload.first_mut(),
            Kind::First => parts.signature.first_mut(),
            Kind::Second => parts.signature.last_mut(),
        };
        *byte.context("a token has all of its bytes")? ^= random::<1>()[0].max(1);
        Ok(parts.token())
    }
}

#[async_trait]
impl Pair for Altered {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn prepare(&mut self, kinds: &[Kind]) -> anyhow::Result<()> {
        self.inputs = kinds.iter().map(|kind| self.input(*kind)).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn load(&mut self, index: usize) {
        self.token.clear();
        self.token.push_str(&self.inputs[index]);
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        black_box(self.verifier.verify(&self.token, NOW).is_err());
        Ok(())
    }
}

/// Forged tokens, for sessions that exist or not.
pub(super) struct Forged {
    bench: TimingBroker,
    template: Parts,
    known: Vec<SessionId>,
    inputs: Vec<String>,
    token: String,
}

impl Forged {
    pub(super) async fn new() -> anyhow::Result<Self> {
        let bench = TimingBroker::start().await?;
        let sessions = bench.sign_in(&TimingBroker::people(SESSIONS)?).await?;
        let template = Parts::of(sessions.first().context("somebody signed in")?.0.expose())?;
        let known = sessions.into_iter().map(|(_, session)| session).collect();
        Ok(Self { bench, template, known, inputs: Vec::new(), token: String::with_capacity(4096) })
    }
}

#[async_trait]
impl Pair for Forged {
    fn name(&self) -> &'static str {
        "token: forged for an existing or an unknown session"
    }

    async fn prepare(&mut self, kinds: &[Kind]) -> anyhow::Result<()> {
        let own = self.known.first().context("somebody signed in")?.to_string();
        let text = String::from_utf8(self.template.payload.clone())?;
        self.inputs.clear();
        for kind in kinds {
            let session = match kind {
                Kind::First => self.known[usize::from(random::<1>()[0]) % SESSIONS],
                Kind::Second => SessionId::from_bytes(random()),
            };
            let payload = text.replace(&own, &session.to_string()).into_bytes();
            let signature = random::<SIGNATURE>().to_vec();
            self.inputs.push(Parts { payload, signature, ..self.template.clone() }.token());
        }
        Ok(())
    }

    fn load(&mut self, index: usize) {
        self.token.clear();
        self.token.push_str(&self.inputs[index]);
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        black_box(self.bench.authenticate(&self.token).await.is_err());
        Ok(())
    }
}
