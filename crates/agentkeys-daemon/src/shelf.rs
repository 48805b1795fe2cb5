use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use agentkeys_api::{Audience, DaemonToken, RoleStatus};
use agentkeys_client::{ClientError, Role};
use agentkeys_types::{AgentName, Clock, RoleName, Timestamp};
use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::Notify;

use crate::{
    Cached, CredentialSource,
    cached::Condition,
    source::{Fetch, FetchCredentials, FetchToken},
};

/// As many JWTs are kept as this; a further audience takes the place of one that nobody wants.
const MOST_TOKENS: usize = 256;

type Kept<N, F> = Mutex<HashMap<(N, Option<AgentName>), Arc<Cached<F>>>>;

/// Everything that is kept fresh: credentials by role and agent, JWTs by audience and agent.
#[derive(Debug)]
pub(crate) struct Shelf {
    source: Arc<dyn CredentialSource>,
    clock: Arc<dyn Clock>,
    credentials: Kept<RoleName, FetchCredentials>,
    tokens: Kept<Audience, FetchToken>,
    /// Somebody wants something that was not kept before.
    pub(crate) changed: Notify,
    /// Something is at hand that was not before.
    pub(crate) filled: Notify,
    /// A person may have to sign in.
    pub(crate) shut_out: Notify,
}

impl Shelf {
    pub(crate) fn new(source: Arc<dyn CredentialSource>, clock: Arc<dyn Clock>) -> Self {
        let (credentials, tokens) = (Mutex::default(), Mutex::default());
        Self {
            source,
            clock,
            credentials,
            tokens,
            changed: Notify::new(),
            filled: Notify::new(),
            shut_out: Notify::new(),
        }
    }

    pub(crate) fn source(&self) -> &dyn CredentialSource {
        self.source.as_ref()
    }

    /// The place of a role's credentials.
    pub(crate) fn credentials(&self, role: &Role, agent: Option<&AgentName>) -> Arc<Cached<FetchCredentials>> {
        let fetch = || FetchCredentials { source: Arc::clone(&self.source), role: role.clone(), agent: agent.cloned() };
        let key = (role.name.clone(), agent.cloned());
        let mut kept = lock(&self.credentials);
        // The settings may have changed since.
        if kept.get(&key).is_some_and(|kept| kept.from().role != *role) {
            kept.remove(&key);
        }
        self.place(&mut kept, key, fetch)
    }

    /// The place of the JWT for an audience.
    pub(crate) fn token(&self, audience: &Audience, agent: Option<&AgentName>) -> Arc<Cached<FetchToken>> {
        let key = (audience.clone(), agent.cloned());
        let mut tokens = lock(&self.tokens);
        if tokens.len() >= MOST_TOKENS && !tokens.contains_key(&key) {
            tokens.retain(|_, kept| kept.is_at_hand());
            if tokens.len() >= MOST_TOKENS {
                tokens.clear();
            }
        }
        let fetch =
            || FetchToken { source: Arc::clone(&self.source), audience: audience.clone(), agent: agent.cloned() };
        self.place(&mut tokens, key, fetch)
    }

    fn place<N: Eq + Hash, F: Fetch>(
        &self,
        kept: &mut HashMap<(N, Option<AgentName>), Arc<Cached<F>>>,
        key: (N, Option<AgentName>),
        fetch: impl FnOnce() -> F,
    ) -> Arc<Cached<F>> {
        Arc::clone(kept.entry(key).or_insert_with(|| Arc::new(Cached::new(fetch(), Arc::clone(&self.clock)))))
    }

    /// Renews what is due, all at once, and says when something is due again; never, while nobody wants anything.
    pub(crate) async fn refresh_due(&self) -> Option<Timestamp> {
        let all = self.all();
        let due = join_all(all.iter().map(|place| place.refresh_if_due()));
        let (due, source) = tokio::join!(due, self.source.keep());
        self.tell_if_shut_out();
        due.into_iter().chain([source]).flatten().min()
    }

    /// Whether a person must sign in before something that was asked for can be had.
    pub(crate) fn is_shut_out(&self) -> bool {
        self.all().iter().any(|place| place.is_shut_out())
    }

    /// Wakes whoever waits for a person to sign in, if that is what is missing.
    pub(crate) fn tell_if_shut_out(&self) {
        if self.is_shut_out() {
            self.shut_out.notify_one();
        }
    }

    /// Fetches everything that is at hand anew, because it may not count any longer.
    pub(crate) async fn renew(&self) {
        let renewed = self.renew_where(|place| place.is_at_hand()).await;
        for error in renewed.iter().filter_map(|outcome| outcome.as_ref().err()) {
            tracing::warn!(%error, code = error.code(), "what was handed out may not count any longer");
        }
        self.tell_if_shut_out();
    }

    /// Asks for everything again of which it was said that a person must sign in first; what is at hand stays.
    pub(crate) async fn ask_again(&self) {
        self.renew_where(|place| place.is_shut_out()).await;
        self.changed.notify_one();
        self.filled.notify_one();
        self.tell_if_shut_out();
    }

    async fn renew_where(&self, is_meant: impl Fn(&dyn Place) -> bool) -> Vec<Result<(), ClientError>> {
        let all = self.all();
        join_all(all.iter().filter(|place| is_meant(place.as_ref())).map(|place| place.renew())).await
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        lock(&self.credentials).clear();
        lock(&self.tokens).clear();
    }

    /// Forgets what `agent` has had.
    pub(crate) fn forget_agent(&self, agent: &AgentName) {
        let is_other = |whose: &Option<AgentName>| whose.as_ref() != Some(agent);
        lock(&self.credentials).retain(|(_, whose), _| is_other(whose));
        lock(&self.tokens).retain(|(_, whose), _| is_other(whose));
    }

    /// Whether anything is at hand.
    pub(crate) fn has_anything(&self) -> bool {
        self.all().iter().any(|place| place.is_at_hand())
    }

    /// How it is with the JWTs, as if they were one: one at hand is enough, and what a person must do comes first.
    pub(crate) fn tokens_together(&self) -> Condition<DaemonToken> {
        let mut together = Condition::default();
        for Condition { at_hand, failure, is_wanted } in lock(&self.tokens).values().map(|kept| kept.condition()) {
            together.at_hand = together.at_hand.or(at_hand);
            let comes_first = failure.as_ref().is_some_and(ClientError::needs_sign_in);
            together.failure = if comes_first { failure } else { together.failure.or(failure) };
            together.is_wanted |= is_wanted;
        }
        together
    }

    /// How it is with each role.
    pub(crate) fn roles(&self) -> Vec<RoleStatus> {
        let status = |((role, agent), kept): (&(RoleName, Option<AgentName>), &Arc<Cached<FetchCredentials>>)| {
            let Condition { at_hand, failure, .. } = kept.condition();
            RoleStatus {
                role: role.clone(),
                agent: agent.clone(),
                expires_at: at_hand.map(|item| item.expires_at),
                last_error: failure.map(|error| error.to_string()),
            }
        };
        let mut roles: Vec<RoleStatus> = lock(&self.credentials).iter().map(status).collect();
        roles.sort_by(|one, other| (&one.agent, &one.role).cmp(&(&other.agent, &other.role)));
        roles
    }

    /// Every place, whatever is kept there.
    fn all(&self) -> Vec<Arc<dyn Place>> {
        let credentials: Vec<Arc<dyn Place>> =
            lock(&self.credentials).values().map(|kept| Arc::clone(kept) as Arc<dyn Place>).collect();
        let tokens = lock(&self.tokens).values().map(|kept| Arc::clone(kept) as Arc<dyn Place>).collect();
        [credentials, tokens].concat()
    }
}

/// A place of the shelf, for what is done alike with credentials and JWTs.
#[async_trait]
trait Place: Send + Sync {
    /// As [`Cached::refresh_if_due`].
    async fn refresh_if_due(&self) -> Option<Timestamp>;

    /// As [`Cached::renew`].
    async fn renew(&self) -> Result<(), ClientError>;

    /// As [`Cached::is_at_hand`].
    fn is_at_hand(&self) -> bool;

    /// As [`Cached::is_shut_out`].
    fn is_shut_out(&self) -> bool;
}

#[async_trait]
impl<F: Fetch> Place for Cached<F> {
    async fn refresh_if_due(&self) -> Option<Timestamp> {
        self.refresh_if_due().await
    }

    async fn renew(&self) -> Result<(), ClientError> {
        self.renew().await.map(drop)
    }

    fn is_at_hand(&self) -> bool {
        self.is_at_hand()
    }

    fn is_shut_out(&self) -> bool {
        self.is_shut_out()
    }
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
