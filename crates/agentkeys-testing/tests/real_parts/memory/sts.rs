//! An STS that remembers the last web identity that it was shown.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agentkeys_types::{Clock, SystemClock};
use axum::Router;

/// Long enough that a daemon renews nothing while its memory is looked at.
const LIFE: Duration = Duration::from_mins(15);

pub(crate) struct Sts {
    pub(crate) address: SocketAddr,
    last: Arc<Mutex<String>>,
}

impl Sts {
    /// Starts it on a free port.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, last) = (listener.local_addr().unwrap(), Arc::<Mutex<String>>::default());
        let request = Arc::clone(&last);
        let router = Router::new().fallback(async move |body: String| {
            *request.lock().unwrap_or_else(PoisonError::into_inner) = body;
            answer()
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, last }
    }

    /// The web identity of the last request.
    pub(crate) fn last_web_identity(&self) -> String {
        let form = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        form.split('&').find_map(|field| field.strip_prefix("WebIdentityToken=")).unwrap().to_owned()
    }
}

fn answer() -> String {
    let expires_at = SystemClock.now().after(LIFE);
    format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
         <SessionToken>session</SessionToken><SecretAccessKey>secret</SecretAccessKey>\
         <Expiration>{expires_at}</Expiration><AccessKeyId>ASIAEXAMPLE</AccessKeyId>\
         </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    )
}
