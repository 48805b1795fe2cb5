//! `agentkeys-broker keys`: what an operator does to the folder of the signing keys. A running broker sees it by itself.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::Path,
    time::Duration,
};

use agentkeys_crypto::{KeyState, ListedKey, Purpose, RingName, Rotation};
use agentkeys_types::Timestamp;
use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};

/// How long whoever verifies may keep a JWK Set.
const CACHE: Duration = Duration::from_mins(5);

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Lists the keys: what for, whose turn, and since when.
    List(List),
    /// Makes the next key sign, and a new next one.
    ///
    /// What the old key signed stays good. A running broker takes the new keys within two seconds.
    Rotate(Rotate),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// Only these keys.
    #[arg(long, value_enum)]
    purpose: Option<Which>,
    /// For a leaked key: end at once whatever the present keys have signed, and replace the next key too.
    #[arg(long)]
    drop_previous: bool,
    /// Do not ask.
    #[arg(long, requires = "drop_previous")]
    yes: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// Those of session tokens.
    Session,
    /// Those of web-identity JWTs, by every algorithm that there are keys of.
    Oidc,
}

impl Keys {
    pub(crate) fn run(&self, folder: &Path, now: Timestamp) -> anyhow::Result<()> {
        match self {
            Self::List(list) => list.run(folder, now),
            Self::Rotate(rotate) => rotate.run(folder, now),
        }
    }
}

impl List {
    fn run(&self, folder: &Path, now: Timestamp) -> anyhow::Result<()> {
        let keys = ListedKey::all(folder, now)?;
        if self.json {
            return print(&serde_json::to_string_pretty(&keys)?);
        }
        print(&format!("{:8} {:5} {:9} {:43} {:21} UNTIL", "PURPOSE", "ALG", "STATE", "KID", "SINCE"))?;
        for key in keys {
            let ListedKey { purpose, algorithm, state, kid, since, until } = key;
            let [purpose, since] = [purpose.to_string(), since.to_string()];
            let until = until.map(|until| until.to_string()).unwrap_or_default();
            let line = format!("{purpose:8} {:5} {:9} {kid:43} {since:21} {until}", algorithm.as_str(), state.as_str());
            print(line.trim_end())?;
        }
        Ok(())
    }
}

impl Rotate {
    fn run(&self, folder: &Path, now: Timestamp) -> anyhow::Result<()> {
        let rotation = Rotation::begin(folder, now)?;
        let names: Vec<_> =
            RingName::ALL.into_iter().filter(|name| self.names(*name) && name.exists_in(folder)).collect();
        if names.is_empty() {
            bail!("{} holds no keys of that purpose", folder.display());
        }
        if self.drop_previous {
            self.confirm(&names)?;
        } else if let Some(key) = young_next_key(folder, &names, now)? {
            warn(&format!(
                "warning: the next {} key was published less than five minutes ago: who still keeps an older JWK Set \
                 does not know it",
                key.purpose
            ))?;
        }
        for name in names {
            let current = if self.drop_previous { rotation.replace_leaked(name) } else { rotation.rotate(name) };
            let current = current.with_context(|| format!("the {} keys were not rotated", name.purpose()))?;
            print(&format!("{} {}: {} signs now", name.purpose(), name.algorithm(), current.kid))?;
        }
        Ok(())
    }

    fn names(&self, name: RingName) -> bool {
        match self.purpose {
            None => true,
            Some(Which::Session) => name.purpose() == Purpose::Session,
            Some(Which::Oidc) => name.purpose() == Purpose::Oidc,
        }
    }

    /// Says what it will end, and asks where somebody can answer.
    fn confirm(&self, names: &[RingName]) -> anyhow::Result<()> {
        for name in names {
            warn(match name.purpose() {
                Purpose::Session => {
                    "This ends every session: everybody must sign in again. Brokers refuse the old tokens within two \
                     seconds, signers within a minute."
                }
                Purpose::Oidc => {
                    "This ends every web-identity JWT. For up to five minutes, who keeps a JWK Set goes on accepting \
                     the old key and may refuse the new one. AWS credentials that were given out live on until they \
                     expire."
                }
            })?;
        }
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            bail!("standard input is no terminal: say `--yes` to drop what the present keys have signed");
        }
        warn("Type `yes` to go on:")?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        if answer.trim() == "yes" { Ok(()) } else { bail!("nothing was changed") }
    }
}

/// A key that is about to sign before everybody who verifies can have heard of it.
fn young_next_key(folder: &Path, names: &[RingName], now: Timestamp) -> anyhow::Result<Option<ListedKey>> {
    let is_young = |key: &ListedKey| key.state == KeyState::Next && now < key.since.after(CACHE);
    let is_meant =
        |key: &ListedKey| names.iter().any(|name| (name.purpose(), name.algorithm()) == (key.purpose, key.algorithm));
    Ok(ListedKey::all(folder, now)?.into_iter().find(|key| is_young(key) && is_meant(key)))
}

fn print(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

fn warn(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stderr(), "{line}")?)
}
