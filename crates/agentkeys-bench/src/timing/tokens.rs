use std::hint::black_box;

use agentkeys_crypto::random;
use agentkeys_types::SessionId;
use anyhow::Context;
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Kind, Pair, bench::TimingBroker};

/// Enough different tokens for what a signature's numbers cost, which is public, to even out.
const TOKENS: usize = 256;
/// The bytes of an ES256 signature.
const SIGNATURE: usize = 64;

/// Tokens that are right but for one place.
pub(super) struct Altered {
    bench: TimingBroker,
    name: &'static str,
    alter: fn(&Parts, Kind) -> Option<Parts>,
    tokens: Vec<Parts>,
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
    pub(super) async fn signature() -> anyhow::Result<Self> {
        let alter = |parts: &Parts, kind| {
            let mut parts = parts.clone();
            alter(parts.signature.get_mut(if kind == Kind::First { 0 } else { SIGNATURE - 1 })?);
            Some(parts)
        };
        Self::new("token: wrong first or last byte of its signature", alter).await
    }

    /// Another character than in a remembered token, at the beginning of what it says or at its very end.
    pub(super) async fn remembered() -> anyhow::Result<Self> {
        let alter = |parts: &Parts, kind| {
            let mut parts = parts.clone();
            let part = if kind == Kind::First { parts.payload.first_mut() } else { parts.signature.last_mut() };
            alter(part?);
            Some(parts)
        };
        Self::new("token: other than a remembered one in its first or last character", alter).await
    }

    async fn new(name: &'static str, alter: fn(&Parts, Kind) -> Option<Parts>) -> anyhow::Result<Self> {
        let bench = TimingBroker::start().await?;
        let sessions = bench.sign_in(&TimingBroker::people("person", TOKENS)?).await?;
        let tokens = sessions.iter().map(|(token, _)| Parts::of(token.expose())).collect::<Result<_, _>>()?;
        Ok(Self { bench, name, alter, tokens, inputs: Vec::new(), token: String::with_capacity(4096) })
    }
}

/// Changes a byte into any other.
fn alter(byte: &mut u8) {
    *byte ^= random::<1>()[0].max(1);
}

#[async_trait]
impl Pair for Altered {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn prepare(&mut self, kinds: &[Kind]) -> anyhow::Result<()> {
        self.inputs.clear();
        for kind in kinds {
            let parts = &self.tokens[usize::from(random::<1>()[0]) % TOKENS];
            self.inputs.push((self.alter)(parts, *kind).context("a token has all of its bytes")?.token());
        }
        Ok(())
    }

    fn load(&mut self, index: usize) {
        self.token.clear();
        self.token.push_str(&self.inputs[index]);
    }

    async fn run(&mut self) {
        black_box(self.bench.broker().authenticate(&self.token).await.is_err());
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
        let sessions = bench.sign_in(&TimingBroker::people("person", TOKENS)?).await?;
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
                Kind::First => self.known[usize::from(random::<1>()[0]) % TOKENS],
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

    async fn run(&mut self) {
        black_box(self.bench.broker().authenticate(&self.token).await.is_err());
    }
}
