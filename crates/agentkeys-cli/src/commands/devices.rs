use std::{fmt, time::Duration};

use agentkeys_api::{DeviceState, DeviceView, Devices, PinnedBy};
use agentkeys_client::{Session, SignerClient};
use agentkeys_types::KeyThumbprint;
use clap::Subcommand;
use serde_json::json;

use crate::{commands::code::confirm, context::Context, duration, error::CliError, interruption, output::Output};

/// The longest time that a device can be made to wait.
const LONGEST_WAIT: Duration = Duration::from_hours(30 * 24);

/// What can be done with the account's devices.
#[derive(Debug, Subcommand)]
pub(crate) enum DevicesCommand {
    /// List them, those that wait last; `*` marks this one
    List,
    /// Let another device have messages signed for the account
    Approve {
        /// Its key, as `agentkeys whoami` shows it there; or the beginning, where `list` shows it here
        #[arg(value_name = "KEY")]
        key: String,

        /// Do not ask whether that is meant
        #[arg(long, short)]
        yes: bool,
    },
    /// Take a device away, or stop one that waits
    Remove {
        /// Its key, or the beginning
        #[arg(value_name = "KEY")]
        key: String,

        /// Do not ask whether that is meant
        #[arg(long, short)]
        yes: bool,
    },
    /// Have devices wait that nobody approves, so that they can be stopped
    Wait {
        /// For how long, such as 7d, at most 30d; 0 lets them in at once
        #[arg(value_name = "DURATION", value_parser = wait)]
        wait: Duration,

        /// Do not ask whether that is meant
        #[arg(long, short)]
        yes: bool,
    },
}

impl DevicesCommand {
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        // A passphrase may be asked for, where Ctrl-C has a meaning of its own.
        let session = context.session().await?;
        let desk = Desk { signer: context.signer()?, session, context, output };
        interruption::or(async {
            match self {
                Self::List => desk.list().await,
                Self::Approve { key, yes } => desk.approve(key, *yes).await,
                Self::Remove { key, yes } => desk.remove(key, *yes).await,
                Self::Wait { wait, yes } => desk.wait(*wait, *yes).await,
            }
        })
        .await
    }
}

/// Where a person decides on devices.
struct Desk<'c> {
    signer: SignerClient,
    session: Session,
    context: &'c Context,
    output: &'c Output,
}

impl Desk<'_> {
    async fn list(&self) -> Result<(), CliError> {
        let devices = self.signer.devices(&self.session).await?;
        self.output.result(&devices, |output| {
            for device in &devices.devices {
                let mark = if device.is_this { '*' } else { ' ' };
                output.line(format_args!("{mark} {}  {}", Fingerprint(device.key), state(device)));
            }
            output.line(format_args!("{}", wait_in_words(devices.recovery_wait_seconds)));
        });
        Ok(())
    }

    async fn approve(&self, key: &str, yes: bool) -> Result<(), CliError> {
        let key = self.find(key).await?;
        let question = format!("Let the device {} have messages signed for this account?", Fingerprint(key));
        if !self.is_meant(&question, yes).await? {
            return Ok(());
        }
        let devices = self.signer.approve_device(&self.session, key).await?;
        self.output.result(&devices, |output| output.done(format_args!("Device {} is pinned", Fingerprint(key))));
        Ok(())
    }

    async fn remove(&self, key: &str, yes: bool) -> Result<(), CliError> {
        let key = self.find(key).await?;
        let is_own = self.session.device_key.as_ref().is_some_and(|own| own.thumbprint() == key);
        let which = if is_own { "this device, " } else { "the device " };
        if !self.is_meant(&format!("Take {which}{} away?", Fingerprint(key)), yes).await? {
            return Ok(());
        }
        self.signer.remove_device(&self.session, key).await?;
        self.output.result(&json!({"removed": key}), |output| {
            output.done(format_args!("Device {} has nothing signed any more", Fingerprint(key)));
            if !is_own {
                let command = self.context.command();
                output.line(format_args!(
                    "  Its session at the broker is another thing: `{command} sessions list`, `{command} sessions revoke ID`."
                ));
            }
        });
        Ok(())
    }

    async fn wait(&self, wait: Duration, yes: bool) -> Result<(), CliError> {
        let question = match wait.as_secs() {
            0 => "Let whoever signs in to this account have messages signed at once?".to_owned(),
            _ => format!("Have devices wait for {} that nobody approves?", duration::display(wait)),
        };
        if !self.is_meant(&question, yes).await? {
            return Ok(());
        }
        let devices = self.signer.set_recovery_wait(&self.session, wait.as_secs()).await?;
        self.output.result(&devices, |output| {
            output.done(format_args!("{}", wait_in_words(devices.recovery_wait_seconds)));
            if devices.recovery_wait_seconds > wait.as_secs() {
                output.line("  A shorter wait counts when the one so far has passed.");
            }
        });
        Ok(())
    }

    async fn is_meant(&self, question: &str, yes: bool) -> Result<bool, CliError> {
        if yes || confirm(question, self.context.no_input, self.output).await? {
            return Ok(true);
        }
        self.output.result(&json!({"changed": null}), |output| output.line("Nothing was changed."));
        Ok(false)
    }

    /// The key that is meant: whole, or the beginning of one that the signer knows.
    async fn find(&self, text: &str) -> Result<KeyThumbprint, CliError> {
        let text: String = text.split_whitespace().collect();
        if let Ok(key) = text.parse() {
            return Ok(key);
        }
        find(&text, &self.signer.devices(&self.session).await?)
    }
}

fn find(text: &str, devices: &Devices) -> Result<KeyThumbprint, CliError> {
    let keys = devices.devices.iter().map(|device| device.key);
    let mut meant = keys.filter(|key| !text.is_empty() && key.to_string().starts_with(text));
    match (meant.next(), meant.next()) {
        (Some(key), None) => Ok(key),
        (None, _) => Err(CliError::NoDevice(text.to_owned())),
        _ => Err(CliError::Usage(format!("more than one device has a key that begins with `{text}`"))),
    }
}

/// A key's thumbprint in groups, as two people compare it.
pub(super) struct Fingerprint(pub(super) KeyThumbprint);

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, character) in self.0.to_string().chars().enumerate() {
            if index > 0 && index % 6 == 0 {
                write!(formatter, " ")?;
            }
            write!(formatter, "{character}")?;
        }
        Ok(())
    }
}

/// What stands with a device, for a person.
pub(super) fn state(device: &DeviceView) -> String {
    match (device.state, device.pinned_by, device.pinned_at) {
        (DeviceState::Waiting, _, Some(at)) => format!("waits since {}, pinned at {at} unless stopped", device.since),
        (DeviceState::Waiting, _, None) => format!("waits since {}", device.since),
        (DeviceState::Pinned, by, _) => {
            let by = match by {
                Some(PinnedBy::FirstUse) => ", the first",
                Some(PinnedBy::Approval) => ", approved",
                Some(PinnedBy::Recovery) => ", by a sign-in",
                None => "",
            };
            format!("pinned since {}{by}", device.since)
        }
    }
}

fn wait_in_words(seconds: u64) -> String {
    if seconds == 0 {
        return "A device that has just signed in is pinned at once.".to_owned();
    }
    format!("A device that nobody approves waits for {}.", duration::display(Duration::from_secs(seconds)))
}

fn wait(text: &str) -> Result<Duration, &'static str> {
    let wait = duration::parse(text)?;
    if wait <= LONGEST_WAIT { Ok(wait) } else { Err("a device can be made to wait for at most 30d") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(keys: &[&str]) -> Devices {
        let device = |key: &&str| DeviceView {
            key: key.parse().unwrap(),
            state: DeviceState::Pinned,
            since: "2026-12-22T10:00:00Z".parse().unwrap(),
            pinned_by: None,
            pinned_at: None,
            is_this: false,
        };
        Devices { devices: keys.iter().map(device).collect(), recovery_wait_seconds: 0, revision: 1 }
    }

    const ONE: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    const OTHER: &str = "NzbAsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

    #[test]
    fn a_device_is_found_by_as_much_of_its_key_as_tells_it_apart() {
        let devices = devices(&[ONE, OTHER]);

        assert_eq!(find("NzbL", &devices).unwrap().to_string(), ONE);
        assert!(matches!(find("Nzb", &devices), Err(CliError::Usage(_))));
        for text in ["nzbl", "x", ""] {
            assert!(matches!(find(text, &devices), Err(CliError::NoDevice(_))), "{text}");
        }
    }

    #[test]
    fn a_fingerprint_is_the_whole_key_in_groups() {
        let key: KeyThumbprint = ONE.parse().unwrap();

        let shown = Fingerprint(key).to_string();

        assert_eq!(shown, "NzbLsX h8uDCc d-6MNw XF4W_7 noWXFZ AfHkxZ sRGC9X s");
        assert_eq!(shown.replace(' ', ""), ONE);
    }

    #[test]
    fn a_wait_is_at_most_30_days() {
        assert_eq!(wait("30d"), Ok(LONGEST_WAIT));
        assert_eq!(wait("0"), Ok(Duration::ZERO));
        assert!(wait("31d").is_err());
    }
}
