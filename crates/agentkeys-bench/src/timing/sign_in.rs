use std::hint::black_box;

use agentkeys_api::paths;
use agentkeys_crypto::random;
use agentkeys_types::{EmailAddress, RequestId};
use async_trait::async_trait;
use serde_json::json;

use super::{
    Kind, Pair,
    bench::{SOURCE, TimingBroker},
    client::Client,
};

const BATCH: usize = 512;

/// Answers to sign-ins: inputs of two pairs, and open sign-ins for a third.
struct Answers {
    bench: TimingBroker,
    people: Vec<EmailAddress>,
    inputs: Vec<(RequestId, String)>,
    request: RequestId,
    code: String,
}

impl Answers {
    async fn new() -> anyhow::Result<Self> {
        let (bench, people) = (TimingBroker::start().await?, TimingBroker::people(BATCH)?);
        let request = RequestId::from_bytes([0; 32]);
        Ok(Self { bench, people, inputs: Vec::new(), request, code: String::with_capacity(16) })
    }

    /// Open sign-ins, one for each sample.
    async fn begin(&mut self, count: usize) -> anyhow::Result<Vec<(RequestId, String)>> {
        self.bench.forget_sign_ins().await?;
        self.bench.begin(&self.people[..count]).await
    }

    fn load(&mut self, index: usize) {
        let (request, code) = &self.inputs[index];
        self.request.clone_from(request);
        self.code.clear();
        self.code.push_str(code);
    }

    async fn run(&mut self) {
        black_box(self.bench.broker().verify_email_sign_in(&self.request, &self.code, None, SOURCE).await.is_err());
    }
}

/// A code in which all characters are wrong, or the last one only.
fn wrong(code: &str, kind: Kind) -> String {
    let length = code.chars().count();
    let is_kept = |index: usize, character: char| character == '-' || (kind == Kind::Second && index + 1 < length);
    let other = |character: char| if character == 'X' { 'Y' } else { 'X' };
    let characters = code.chars().enumerate();
    characters.map(|(index, right)| if is_kept(index, right) { right } else { other(right) }).collect()
}

/// Wrong codes, far from the right one and near it.
pub(super) struct WrongCode(Answers);

impl WrongCode {
    pub(super) async fn new() -> anyhow::Result<Self> {
        Answers::new().await.map(Self)
    }
}

#[async_trait]
impl Pair for WrongCode {
    fn name(&self) -> &'static str {
        "code: shares nothing or all but the last character with the right one"
    }

    fn batch(&self) -> usize {
        BATCH
    }

    async fn prepare(&mut self, kinds: &[Kind]) -> anyhow::Result<()> {
        let begun = self.0.begin(kinds.len()).await?;
        self.0.inputs =
            begun.into_iter().zip(kinds).map(|((request, code), kind)| (request, wrong(&code, *kind))).collect();
        Ok(())
    }

    fn load(&mut self, index: usize) {
        self.0.load(index);
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        self.0.run().await;
        Ok(())
    }
}

/// Wrong codes for open requests, and for none, as a client sees it.
pub(super) struct UnknownRequest {
    answers: Answers,
    client: Client,
}

impl UnknownRequest {
    pub(super) async fn new() -> anyhow::Result<Self> {
        let answers = Answers::new().await?;
        let client = Client::connect(answers.bench.address(), paths::EMAIL_VERIFY, None, 401).await?;
        Ok(Self { answers, client })
    }
}

#[async_trait]
impl Pair for UnknownRequest {
    fn name(&self) -> &'static str {
        "code: wrong for an open request, or for an unknown one"
    }

    fn batch(&self) -> usize {
        BATCH
    }

    async fn prepare(&mut self, kinds: &[Kind]) -> anyhow::Result<()> {
        let begun = self.answers.begin(kinds.len()).await?;
        self.client.prepare(begun.into_iter().zip(kinds).map(|((request, code), kind)| {
            let unknown = RequestId::from_bytes(random());
            let request = if *kind == Kind::First { request } else { unknown };
            json!({"request_id": request.expose(), "code": wrong(&code, Kind::First)})
        }));
        Ok(())
    }

    fn load(&mut self, index: usize) {
        self.client.load(index);
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        self.client.run().await
    }
}

/// Request ids that are right but for their first or their last byte.
pub(super) struct AlteredRequest(Answers);

impl AlteredRequest {
    pub(super) async fn new() -> anyhow::Result<Self> {
        Answers::new().await.map(Self)
    }
}

#[async_trait]
impl Pair for AlteredRequest {
    fn name(&self) -> &'static str {
        "request id: wrong in its first or its last byte"
    }

    fn batch(&self) -> usize {
        BATCH
    }

    async fn prepare(&mut self, kinds: &[Kind]) -> anyhow::Result<()> {
        let begun = self.0.begin(kinds.len()).await?;
        self.0.inputs.clear();
        for ((request, code), kind) in begun.into_iter().zip(kinds) {
            let text = request.expose();
            let at = if *kind == Kind::First { 0 } else { text.len() - 2 };
            let byte = u8::from_str_radix(&text[at..at + 2], 16)? ^ random::<1>()[0].max(1);
            let altered = format!("{}{byte:02x}{}", &text[..at], &text[at + 2..]);
            self.0.inputs.push((altered.parse()?, code));
        }
        Ok(())
    }

    fn load(&mut self, index: usize) {
        self.0.load(index);
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        self.0.run().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_code_differs_in_all_or_in_the_last_character() {
        assert_eq!(wrong("K7Q4-MF2X", Kind::First), "XXXX-XXXY");
        assert_eq!(wrong("K7Q4-MF2X", Kind::Second), "K7Q4-MF2Y");
    }
}
