//! Signs people in and mints the tokens that clouds trust.
//!
//! [`Broker`] decides; it knows nothing of HTTP. [`routes`] translates HTTP to and from it. [`Config`] is the
//! only way settings get in. [`pages`] are what people see in a browser. [`start`] puts all of it together and
//! serves it.

mod agents;
mod allow_list;
mod authorization;
mod broker;
mod browser;
mod caller;
mod code;
mod config;
mod error;
mod grants;
mod issuer;
mod key_watch;
mod linking;
mod mail;
mod mint;
pub mod pages;
mod providers;
mod renewal;
pub mod routes;
mod sessions;
mod sign_in;
mod signing;
mod standing;
mod start;
mod wallets;
mod witness;

pub use agents::AgentError;
pub use allow_list::AllowList;
pub use authorization::{AuthorizationError, AuthorizationRequest, RedirectUri};
pub use broker::Broker;
pub use browser::{Asking, BrowserError, Ending, Errand, ProviderAnswer, Question};
pub use caller::{AuthError, Caller, SessionCaller, WalletCaller};
pub use config::{Config, ConfigError, Limits, Mail, ProviderConfig, Sessions, settings_page};
pub use grants::{GrantError, RevocationError, StartedDevice};
pub use issuer::Issuer;
pub use linking::{LinkError, Linked, PageLink};
pub use mail::{MailError, Mailer, RenderedMail, SmtpMailer};
pub use mint::MintError;
pub use renewal::RenewalError;
pub use sessions::SessionError;
pub use sign_in::SignInError;
pub use start::{Running, StartError, start, start_with_mailer};
pub use wallets::WalletError;
pub use witness::WitnessError;
