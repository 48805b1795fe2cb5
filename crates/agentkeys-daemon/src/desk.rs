use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use agentkeys_api::{
    AccessKind, AccessRequest, AccessRequested, Allowed, AllowedRole, Audience, DaemonCredentials, DaemonState,
    DaemonStatus, DaemonToken, ErrorCode, Problem,
};
use agentkeys_client::{AgentBook, AgentRequest, ClientError, Dispenser, ProfileName, Role};
use agentkeys_types::{AgentName, Clock, RoleName};
use async_trait::async_trait;

use crate::{
    CredentialSource, Door, HandOut, HandOutLog, Outcome, Peer, Rules, Visitor, cached::Condition, rules::Wish,
    shelf::Shelf,
};

/// Strangers are recorded this often at most: they must not be able to push hand-outs out of the record.
const BETWEEN_STRANGERS: Duration = Duration::from_mins(1);

/// Where everything is handed out: it decides, fetches, records, and only then gives.
///
/// It knows nothing of sockets. Every door asks it in the name of a [`Visitor`]; a process without a daemon asks it
/// as a [`Dispenser`].
#[derive(Debug)]
pub struct Desk {
    profile: ProfileName,
    rules: RwLock<Arc<Rules>>,
    book: AgentBook,
    log: HandOutLog,
    clock: Arc<dyn Clock>,
    /// When somebody who has no business there was recorded last at each door.
    turned_away: Mutex<HashMap<Door, Instant>>,
    pub(crate) shelf: Shelf,
}

impl Desk {
    /// A desk that gives what `source` gives, by `rules`, and records it in `log`; requests of agents go into `book`.
    pub fn new(
        profile: ProfileName,
        rules: Rules,
        source: Arc<dyn CredentialSource>,
        book: AgentBook,
        log: HandOutLog,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let shelf = Shelf::new(source, Arc::clone(&clock));
        let (rules, turned_away) = (RwLock::new(Arc::new(rules)), Mutex::default());
        Self { profile, rules, book, log, clock, turned_away, shelf }
    }

    /// The rules that hold now.
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Renews what it keeps when it is time to, for as long as this is awaited.
    pub async fn keep_fresh(&self) {
        crate::keeper::keep(self).await;
    }

    /// The profile that it serves.
    pub(crate) fn profile(&self) -> &ProfileName {
        &self.profile
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Goes on by other rules, and forgets what they no longer give.
    pub fn follow(&self, rules: Rules) {
        let rules = Arc::new(rules);
        let current = Arc::clone(&rules);
        let before = std::mem::replace(&mut *self.rules.write().unwrap_or_else(PoisonError::into_inner), current);
        // Afterwards: whoever still goes by the rules of before puts nothing back.
        for (name, agent) in &before.agents {
            if rules.agents.get(name) != Some(agent) {
                self.shelf.forget_agent(name);
            }
        }
        if before.aws != rules.aws {
            self.shelf.clear();
        }
    }

    /// Gives `visitor` credentials of a role, for an agent if they name one.
    pub async fn hand_out_credentials(
        &self,
        visitor: &Visitor,
        role: &RoleName,
        agent: Option<&AgentName>,
    ) -> Result<DaemonCredentials, ClientError> {
        let outcome = self.fetch_credentials(visitor, role, agent).await;
        let entry = HandOut { role: Some(role.clone()), ..self.entry(visitor, agent, outcome.as_ref().err()) };
        self.record(&match &outcome {
            Ok(credentials) => HandOut {
                access_key_id: Some(credentials.access_key_id.clone()),
                expires_at: Some(credentials.expires_at),
                ..entry
            },
            Err(_) => entry,
        })?;
        outcome
    }

    /// Gives `visitor` a web-identity JWT, which names an agent if they do.
    pub async fn hand_out_token(
        &self,
        visitor: &Visitor,
        audience: &Audience,
        agent: Option<&AgentName>,
    ) -> Result<DaemonToken, ClientError> {
        let outcome = self.fetch_token(visitor, audience, agent).await;
        let entry = HandOut { audience: Some(audience.clone()), ..self.entry(visitor, agent, outcome.as_ref().err()) };
        self.record(&match &outcome {
            Ok(token) => HandOut { expires_at: Some(token.expires_at), ..entry }.of_token(&token.jwt),
            Err(_) => entry,
        })?;
        outcome
    }

    async fn fetch_credentials(
        &self,
        visitor: &Visitor,
        role: &RoleName,
        agent: Option<&AgentName>,
    ) -> Result<DaemonCredentials, ClientError> {
        let agent = Rules::speaker(&visitor.consumer, agent).map_err(refused)?;
        let mut wanted = self.decide_role(agent, role)?;
        loop {
            let kept = self.shelf.credentials(&wanted, agent);
            let credentials = self.fetch(&kept).await?;
            // Fetching takes time, in which a person may have taken it away, or changed what it means.
            let now_wanted = self.decide_role(agent, role)?;
            if now_wanted == wanted {
                return Ok(credentials);
            }
            wanted = now_wanted;
        }
    }

    /// The role, if `agent` may have it by the rules that hold now.
    fn decide_role(&self, agent: Option<&AgentName>, role: &RoleName) -> Result<Role, ClientError> {
        let rules = self.rules();
        rules.decide(agent, Wish::Role(role), self.clock.now()).map_err(refused)?;
        rules.role(role).map_err(refused)
    }

    async fn fetch_token(
        &self,
        visitor: &Visitor,
        audience: &Audience,
        agent: Option<&AgentName>,
    ) -> Result<DaemonToken, ClientError> {
        let agent = Rules::speaker(&visitor.consumer, agent).map_err(refused)?;
        self.rules().decide(agent, Wish::Audience(audience), self.clock.now()).map_err(refused)?;
        let kept = self.shelf.token(audience, agent);
        let token = self.fetch(&kept).await?;
        self.rules().decide(agent, Wish::Audience(audience), self.clock.now()).map_err(refused)?;
        Ok(token)
    }

    /// What is kept, or else what is fetched now; then somebody must see to it that it is renewed.
    async fn fetch<F: crate::Fetch>(&self, kept: &crate::Cached<F>) -> Result<F::Item, ClientError> {
        let was_at_hand = kept.is_at_hand();
        let item = kept.fetch().await;
        if !was_at_hand {
            self.shelf.changed.notify_one();
            self.shelf.filled.notify_one();
        }
        if item.as_ref().is_err_and(ClientError::needs_sign_in) {
            self.shelf.shut_out.notify_one();
        }
        item
    }

    /// What `visitor`, or an agent that they name, may have.
    pub fn allowed(&self, visitor: &Visitor, agent: Option<&AgentName>) -> Result<Allowed, Problem> {
        let rules = self.rules();
        let agent = Rules::speaker(&visitor.consumer, agent)?;
        let view = |role: Role| AllowedRole {
            name: role.name,
            role_arn: role.role_arn.to_string(),
            region: role.region.to_string(),
        };
        let all = rules.aws.roles().into_iter();
        let Some(name) = agent else {
            return Ok(Allowed {
                agent: None,
                expires_at: None,
                roles: all.map(view).collect(),
                audiences: Vec::new(),
            });
        };
        let found = rules.agent(name, self.clock.now())?;
        Ok(Allowed {
            agent: agent.cloned(),
            expires_at: found.expires_at,
            roles: all.filter(|role| found.roles.contains(&role.name)).map(view).collect(),
            audiences: found.audiences.iter().cloned().collect(),
        })
    }

    /// Keeps an agent's request for more until a person answers it. The same request again has the same name.
    pub async fn request_access(&self, visitor: &Visitor, request: AccessRequest) -> Result<AccessRequested, Problem> {
        let agent = Rules::speaker(&visitor.consumer, request.agent.as_ref())?;
        let agent = agent.ok_or(Problem::new(ErrorCode::InvalidField, "agent must name the agent that asks"))?.clone();
        let AccessRequest { kind, name, reason, .. } = request;
        self.check_request(&agent, kind, &name)?;
        let id = hex::encode(agentkeys_crypto::random::<4>());
        let request = AgentRequest { id, agent, at: self.clock.now(), kind, name, reason };
        let book = self.book.clone();
        let kept = tokio::task::spawn_blocking(move || keep(&book, request)).await;
        let kept = kept.map_err(io::Error::other).and_then(|kept| kept).map_err(|error| {
            tracing::error!(%error, "an agent's request could not be kept");
            Problem::new(ErrorCode::StorageUnavailable, "the request could not be kept")
        })?;
        let busy = || Problem::new(ErrorCode::RateLimited, "a person must answer the requests that wait first");
        kept.map(|id| AccessRequested { id }).ok_or_else(busy)
    }

    fn check_request(&self, agent: &AgentName, kind: AccessKind, name: &str) -> Result<(), Problem> {
        let rules = self.rules();
        let invalid = |error: agentkeys_types::Invalid| Problem::new(ErrorCode::InvalidField, error.to_string());
        let decision = match kind {
            AccessKind::Audience => {
                let audience = name.parse().map_err(invalid)?;
                rules.decide(Some(agent), Wish::Audience(&audience), self.clock.now())
            }
            AccessKind::Role => {
                let role = name.parse().map_err(invalid)?;
                rules.role(&role)?;
                rules.decide(Some(agent), Wish::Role(&role), self.clock.now())
            }
        };
        match decision {
            Ok(()) => Err(Problem::new(ErrorCode::InvalidField, "the agent has this already")),
            Err(problem) if problem.error == ErrorCode::AgentNotAllowed => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// How it is doing; nobody is asked for it.
    pub fn status(&self) -> DaemonStatus {
        let rules = self.rules();
        let first = rules.aws.roles().into_iter().next().map(|role| self.shelf.credentials(&role, None).condition());
        let credentials = first.as_ref().and_then(|first| first.at_hand.as_ref());
        // Where no role is set, the JWTs say how it is.
        let tokens = if first.is_none() { self.shelf.tokens_together() } else { Condition::default() };
        let (state, failure) = match &first {
            Some(first) => (state_of(first), &first.failure),
            None => (state_of(&tokens), &tokens.failure),
        };
        let wallet = credentials.map(|item| item.wallet).or(tokens.at_hand.as_ref().map(|item| item.wallet));
        let wallet = wallet.or_else(|| self.shelf.source().wallet());
        DaemonStatus {
            profile: self.profile.to_string(),
            state,
            account: credentials.map(|item| item.account).or_else(|| self.shelf.source().account()),
            wallet,
            credentials_expire_at: credentials.map(|item| item.expires_at),
            last_error: failure.as_ref().map(ToString::to_string),
            notice: self.shelf.source().notice(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            endpoint: None,
            roles: self.shelf.roles(),
            agents: rules.live_agents(self.clock.now()).map(|(name, _)| name.clone()).collect(),
        }
    }

    fn entry(&self, visitor: &Visitor, agent: Option<&AgentName>, failure: Option<&ClientError>) -> HandOut {
        let outcome = failure.map_or(Outcome::HandedOut, |error| Outcome::Refused(crate::problem::of(error).error));
        let agent = match &visitor.consumer {
            crate::Consumer::Agent(own) => Some(own),
            crate::Consumer::Person => agent,
        };
        let entry = HandOut { agent: agent.cloned(), ..HandOut::new(self.clock.now(), visitor.door, outcome) };
        visitor.sign(entry)
    }

    /// Records that somebody was not let in at a door; not each one, where they come often.
    pub(crate) fn turn_away(&self, door: Door, peer: Option<&Peer>, error: ErrorCode) {
        let now = Instant::now();
        let mut turned_away = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        if turned_away.get(&door).is_some_and(|last| now.duration_since(*last) < BETWEEN_STRANGERS) {
            return;
        }
        turned_away.insert(door, now);
        let entry = HandOut::new(self.clock.now(), door, Outcome::Refused(error));
        let entry = if let Some(peer) = peer { entry.by(peer) } else { entry };
        // They get nothing in either case.
        if let Err(error) = self.log.append(&entry) {
            tracing::error!(%error, "whom the daemon turned away could not be recorded");
        }
    }

    /// No record, no hand-out.
    fn record(&self, entry: &HandOut) -> Result<(), ClientError> {
        self.log.append(entry).map_err(|error| {
            tracing::error!(%error, "a hand-out could not be recorded, so it did not happen");
            refused(Problem::new(ErrorCode::AuditUnavailable, "the hand-out could not be recorded"))
        })
    }
}

/// The person of this process asks.
#[async_trait]
impl Dispenser for Desk {
    async fn credentials(&self, role: &RoleName, agent: Option<&AgentName>) -> Result<DaemonCredentials, ClientError> {
        self.hand_out_credentials(&Visitor::of_this_process(), role, agent).await
    }

    async fn token(&self, audience: &Audience, agent: Option<&AgentName>) -> Result<DaemonToken, ClientError> {
        self.hand_out_token(&Visitor::of_this_process(), audience, agent).await
    }
}

fn state_of<T>(condition: &Condition<T>) -> DaemonState {
    match (&condition.at_hand, &condition.failure) {
        (Some(_), _) => DaemonState::Ready,
        (None, Some(error)) if error.needs_sign_in() => DaemonState::SignInNeeded,
        (None, Some(_)) => DaemonState::Retrying,
        (None, None) if condition.is_wanted => DaemonState::Starting,
        (None, None) => DaemonState::Idle,
    }
}

fn refused(problem: Problem) -> ClientError {
    ClientError::Problem { problem, retry_after: None }
}

/// The name under which the request is kept, unless too many are.
fn keep(book: &AgentBook, request: AgentRequest) -> io::Result<Option<String>> {
    book.change(|pages| {
        let is_same = |kept: &&AgentRequest| {
            (&kept.agent, kept.kind, &kept.name) == (&request.agent, request.kind, &request.name)
        };
        if let Some(kept) = pages.requests.iter().find(is_same) {
            return Some(kept.id.clone());
        }
        let own = pages.requests.iter().filter(|kept| kept.agent == request.agent).count();
        if own >= AgentBook::MOST_REQUESTS_OF_ONE || pages.requests.len() >= AgentBook::MOST_REQUESTS {
            return None;
        }
        let id = request.id.clone();
        pages.requests.push(request);
        Some(id)
    })
}
