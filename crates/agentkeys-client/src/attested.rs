//! The way to a signer that must show where it runs before anything else is sent there.

mod certificate;
mod connection;
mod examined;
mod judge;
mod kept;
mod log;
mod restoring;
#[cfg(test)]
mod tests;
mod trust;

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use agentkeys_api::{
    ErrorCode,
    attestation::{ActivatedCredential, AttestationEvidence},
    paths,
};
use agentkeys_attestation::Stage;
use agentkeys_tlog::{TileId, Tiles};
use agentkeys_types::Timestamp;
use http_body_util::Full;
use hyper::body::Bytes;
use reqwest::{Method, Request};
use serde::de::DeserializeOwned;
use tokio::{
    sync::Mutex,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use self::{
    connection::{Connection, Missed},
    judge::Question,
    log::{Fault, Growth, LoggedSigning, Seen},
    trust::invalid,
};
pub use self::{
    examined::Examined,
    kept::{KeptAttestations, KeptDevices, KeptSigner},
    restoring::RestoringWorker,
    trust::{AttestationPolicy, SignerTrust, read_policy, read_release_key, signature_of},
};
pub(crate) use self::{log::Signing, trust::no_development_signer};
use crate::{
    ClientError, Http, ServerUrl,
    http::{Answer, IDLE_TIMEOUT},
};

/// How often a log is looked at anew because others have seen more of it meanwhile.
const MOST_TURNS: usize = 8;

/// The way to one signer: one connection at a time, on which it shows where it runs before it hears anything.
#[derive(Debug)]
pub(crate) struct AttestedWay {
    url: ServerUrl,
    http: Http,
    policy: Arc<AttestationPolicy>,
    /// For how long a connection that has carried a token stays for the next request.
    idle: Duration,
    live: Mutex<Option<Live>>,
}

/// A connection to a signer that was accepted.
#[derive(Debug)]
struct Live {
    connection: Connection,
    accepted_at: Timestamp,
    /// What the connection was last used for: the number of its request.
    uses: u64,
}

impl AttestedWay {
    pub(crate) fn new(http: &Http, url: ServerUrl, policy: Arc<AttestationPolicy>) -> Self {
        Self { url, http: http.clone(), policy, idle: IDLE_TIMEOUT, live: Mutex::default() }
    }

    pub(crate) fn url(&self) -> &ServerUrl {
        &self.url
    }

    pub(crate) fn policy(&self) -> &AttestationPolicy {
        &self.policy
    }

    /// Sends a request to the signer once it is accepted, and not otherwise.
    pub(crate) async fn send(self: &Arc<Self>, request: Request) -> Result<Answer, ClientError> {
        let (answer, uses) = self.limited(self.send_now(&request)).await?;
        self.let_go_later(uses);
        Ok(answer)
    }

    /// Sends a request as it is, right or wrong, on a connection of its own, once the signer is accepted there.
    pub(crate) async fn send_raw(&self, request: hyper::Request<Full<Bytes>>) -> Result<Answer, ClientError> {
        let sending = async {
            let mut live = self.connect().await?;
            live.connection.exchange_raw(request).await.map_err(|missed| self.missed(missed))
        };
        self.limited(sending).await
    }

    async fn send_now(&self, request: &Request) -> Result<(Answer, u64), ClientError> {
        let mut place = self.live.lock().await;
        // Whatever fails, or is given up, on the way takes the connection with it.
        let mut live = self.accepted(place.take()).await?;
        let answer = match live.connection.exchange(request).await {
            // The signer had closed it meanwhile.
            Err(Missed::NotSent) => {
                live = self.connect().await?;
                live.connection.exchange(request).await
            }
            answer => answer,
        };
        let answer = answer.map_err(|missed| self.missed(missed))?;
        live.uses += 1;
        let uses = live.uses;
        *place = Some(live);
        Ok((answer, uses))
    }

    /// Ends the connection that has carried request number `uses`, unless it has carried another one since.
    fn let_go_later(self: &Arc<Self>, uses: u64) {
        let (way, idle) = (Arc::downgrade(self), self.idle);
        tokio::spawn(async move {
            sleep(idle).await;
            let Some(way) = way.upgrade() else { return };
            let mut place = way.live.lock().await;
            if place.as_ref().is_some_and(|live| live.uses == uses) {
                *place = None;
            }
        });
    }

    /// What the signer shows now, on a connection of its own, whether it is accepted or not.
    pub(crate) async fn examine(&self) -> Result<Examined, ClientError> {
        let examining = async {
            let mut connection = Connection::open(&self.url, &self.http).await?;
            let kept = self.kept()?.unwrap_or_default();
            let examined = self.question(&mut connection, &kept, Stage::Signing).await?;
            if examined.is_accepted {
                self.accept(&mut connection, &examined, kept).await?;
            }
            Ok(examined)
        };
        self.limited(examining).await
    }

    /// What is remembered of the signer, after it was accepted.
    pub(crate) async fn known(&self) -> Result<KeptSigner, ClientError> {
        let accepted = async {
            let mut place = self.live.lock().await;
            let live = self.accepted(place.take()).await?;
            *place = Some(live);
            Ok(())
        };
        self.limited(accepted).await?;
        Ok(self.kept()?.unwrap_or_default())
    }

    /// What is remembered of the signer.
    pub(crate) fn kept(&self) -> Result<Option<KeptSigner>, ClientError> {
        self.policy.kept().read(&self.url).map_err(|error| self.forgotten(&error))
    }

    /// Changes what is remembered of the signer, on a thread that may wait for the disk and for other processes.
    pub(crate) async fn remember<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut KeptSigner) -> T + Send + 'static,
    ) -> Result<T, ClientError> {
        let (kept, url) = (self.policy.kept().clone(), self.url.clone());
        let changing = async {
            let changed = spawn_blocking(move || kept.change(&url, change)).await;
            changed.map_err(io::Error::other).flatten().map_err(|error| self.forgotten(&error))
        };
        self.limited(changing).await
    }

    /// Verifies that the log tells of a signature, and goes on from what was `known` of it before it was asked for.
    pub(crate) async fn verify_logged(
        &self,
        answer: &Answer,
        signing: &Signing<'_>,
        known: &KeptSigner,
    ) -> Result<(), ClientError> {
        let kept = known.log_vkey.as_deref().zip(known.checkpoint.as_deref());
        let (vkey, known) = kept.ok_or_else(|| self.log_fault("it was not seen before"))?;
        let fault = |fault| self.log_fault(fault);
        let logged = LoggedSigning::read(answer, vkey, signing).map_err(fault)?;
        let known = Seen::open(known, vkey).map_err(fault)?;
        if logged.index < known.size() {
            return Err(self.log_fault("the signature is in no entry that was not there before"));
        }
        let verified = async {
            let mut place = self.live.lock().await;
            let mut live = self.accepted(place.take()).await?;
            let tiles = self.tiles(&mut live.connection, logged.tiles()).await?;
            logged.verify(&tiles).map_err(fault)?;
            self.follow(&mut live.connection, known, &logged.seen, vkey, None).await?;
            *place = Some(live);
            Ok(())
        };
        self.limited(verified).await
    }

    /// A connection to a signer that was accepted not too long ago: `live`, if it is still good for that.
    async fn accepted(&self, live: Option<Live>) -> Result<Live, ClientError> {
        let Some(mut live) = live.filter(|live| live.connection.is_open()) else { return self.connect().await };
        let now = self.http.now();
        // A clock that was set back makes evidence no fresher.
        if now >= live.accepted_at && now.since(live.accepted_at) < self.policy.reattest() {
            return Ok(live);
        }
        match self.attest(&mut live.connection).await {
            Ok(()) => Ok(Live { accepted_at: now, ..live }),
            Err(ClientError::Unreachable { .. }) => self.connect().await,
            Err(error) => Err(error),
        }
    }

    async fn connect(&self) -> Result<Live, ClientError> {
        let accepted_at = self.http.now();
        let mut connection = Connection::open(&self.url, &self.http).await?;
        self.attest(&mut connection).await?;
        Ok(Live { connection, accepted_at, uses: 0 })
    }

    async fn attest(&self, connection: &mut Connection) -> Result<(), ClientError> {
        let kept = self.kept()?.unwrap_or_default();
        let examined = self.question(connection, &kept, Stage::Signing).await?;
        if let Some((check, detail)) = examined.refusal() {
            return Err(invalid(&self.url, check, detail.to_owned()));
        }
        self.accept(connection, &examined, kept).await
    }

    /// Asks for evidence, and judges it by what is remembered. Nothing but the nonce, and the challenge to the attestation
    /// key, is sent.
    async fn question(
        &self,
        connection: &mut Connection,
        kept: &KeptSigner,
        stage: Stage,
    ) -> Result<Examined, ClientError> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|_| ClientError::NoRandomness)?;
        let mut url = self.url.join(paths::ATTESTATION);
        url.query_pairs_mut().append_pair("nonce", &hex::encode(nonce));
        let evidence: AttestationEvidence = self.ask(connection, &Request::new(Method::GET, url)).await?;
        let now = self.http.now();
        let channel = connection.channel;
        let question = Question { nonce: &nonce, channel: &channel, kept, now, stage };
        let (mut judgement, activation) = self.policy.judge().judge(&evidence, &question);
        if let Some(activation) = activation {
            let request = connection.post(paths::ATTESTATION_ACTIVATE, &activation.request)?;
            let reply: ActivatedCredential = self.ask(connection, &request).await?;
            judgement = (activation.settle)(&reply);
        }
        Ok(Examined {
            is_accepted: judgement.is_accepted(),
            backend: judgement.backend,
            release: judgement.release,
            checks: judgement.checks,
            bound: evidence.bound,
            ak_name: judgement.ak_name,
            ek_sha256: judgement.ek_sha256,
            policy_version: self.policy.version(),
            examined_at: now,
        })
    }

    /// Sends a request to whoever is there, accepted or not.
    async fn ask<A: DeserializeOwned>(&self, connection: &mut Connection, request: &Request) -> Result<A, ClientError> {
        let answer = connection.exchange(request).await.map_err(|missed| self.missed(missed))?;
        match answer.into_success(&self.url) {
            Ok(answer) => serde_json::from_slice(&answer.body).map_err(|_| self.malformed()),
            Err(ClientError::Problem { problem, .. }) if problem.error == ErrorCode::NotAttested => {
                Err(invalid(&self.url, "form", "it has no evidence of where it runs, as a development signer"))
            }
            Err(error) if error.retryable() => Err(error),
            Err(_) => Err(invalid(&self.url, "form", "it gives no evidence when it is asked for it")),
        }
    }

    /// Remembers an accepted signer, once its log was found to go on from where it was last seen.
    async fn accept(
        &self,
        connection: &mut Connection,
        examined: &Examined,
        kept: KeptSigner,
    ) -> Result<(), ClientError> {
        let acceptable = kept.clone().accept(examined).and_then(|()| kept.check_boot(examined));
        acceptable.map_err(|(check, fault)| invalid(&self.url, check, fault))?;
        let vkey = &examined.bound.log_vkey;
        let new = Seen::open(&examined.bound.log_checkpoint, vkey).map_err(|fault| self.log_fault(fault))?;
        let known = match kept.checkpoint {
            Some(known) => Seen::open(&known, vkey).map_err(|fault| self.log_fault(fault))?,
            None => new.clone(),
        };
        if new.size() < known.size() {
            return Err(self.log_fault("it was cut off: it has fewer entries than were seen before"));
        }
        self.follow(connection, known, &new, vkey, Some(examined)).await
    }

    /// Remembers `new`, once it was found to go on from what was `known`, and what was `examined` with it.
    async fn follow(
        &self,
        connection: &mut Connection,
        mut known: Seen,
        new: &Seen,
        vkey: &str,
        examined: Option<&Examined>,
    ) -> Result<(), ClientError> {
        for _ in 0..MOST_TURNS {
            let growth = Growth::between(&known, new);
            let tiles = self.tiles(connection, growth.tiles()).await?;
            growth.verify(&tiles).map_err(|fault| self.log_fault(fault))?;
            let (old, newer, examined) = (known.note.clone(), new.note.clone(), examined.cloned());
            let is_newer = new.size() >= known.size();
            let remembered = self.remember(move |kept| {
                if let Some(seen) = kept.checkpoint.as_ref().filter(|seen| **seen != old && **seen != newer) {
                    return Ok(Some(seen.clone()));
                }
                if let Some(examined) = &examined {
                    kept.accept(examined)?;
                }
                if is_newer {
                    kept.checkpoint = Some(newer);
                }
                Ok(None)
            });
            match remembered.await?.map_err(|(check, fault)| invalid(&self.url, check, fault))? {
                None => return Ok(()),
                // Another process has seen something else meanwhile.
                Some(seen) => known = Seen::open(&seen, vkey).map_err(|fault| self.log_fault(fault))?,
            }
        }
        Err(self.log_fault("it is looked at by too many at once"))
    }

    async fn tiles(&self, connection: &mut Connection, wanted: BTreeSet<TileId>) -> Result<Tiles, ClientError> {
        let mut tiles = Tiles::default();
        for id in wanted {
            let request = Request::new(Method::GET, self.url.join(&format!("/log/{id}")));
            let answer = connection.exchange(&request).await.map_err(|missed| self.missed(missed))?;
            if !answer.status.is_success() || !tiles.insert(id, &answer.body) {
                return Err(self.log_fault(format!("it does not give `{id}`")));
            }
        }
        Ok(tiles)
    }

    async fn limited<T>(&self, work: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        let done = timeout(self.http.timeout(), work).await;
        done.unwrap_or_else(|_| Err(self.unreachable(io::ErrorKind::TimedOut.into())))
    }

    fn missed(&self, missed: Missed) -> ClientError {
        match missed {
            Missed::NotSent => self.unreachable(io::ErrorKind::ConnectionAborted.into()),
            Missed::Failed(error) => error,
        }
    }

    fn unreachable(&self, error: io::Error) -> ClientError {
        ClientError::Unreachable { url: self.url.to_string(), source: Arc::new(error) }
    }

    fn malformed(&self) -> ClientError {
        invalid(&self.url, "form", "its answer is not of the form that evidence has")
    }

    fn log_fault(&self, fault: impl Into<Fault>) -> ClientError {
        invalid(&self.url, "log", format!("its signing log: {}", fault.into()))
    }

    /// What was remembered cannot be read, so nothing is known of the signer, and nobody is trusted anew instead.
    fn forgotten(&self, error: &io::Error) -> ClientError {
        let path = self.policy.kept().path().display();
        if error.kind() == io::ErrorKind::WouldBlock {
            let next = "end the other program of yours that holds it, or try again";
            return invalid(
                &self.url,
                "memory",
                format!("`{path}`, what is remembered of it, is in use ({error}): {next}"),
            );
        }
        let next = "where you are sure of the signer, remove the file, and it is trusted as at first";
        invalid(&self.url, "memory", format!("`{path}`, what is remembered of it, cannot be used ({error}): {next}"))
    }
}
