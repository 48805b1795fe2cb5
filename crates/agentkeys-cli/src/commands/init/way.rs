use agentkeys_types::EmailAddress;

use super::InitArgs;
use crate::surroundings::Surroundings;

/// How a person signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// In a browser of this machine, which comes back to this process.
    Browser {
        /// Whether it is opened for them.
        opens: bool,
    },
    /// On a page, on any machine, where they type a code that is shown here.
    Device,
    /// In this terminal, where they type a code from a mail.
    Email(EmailAddress),
}

impl Way {
    /// The one that was asked for, or else the one that works in `surroundings`.
    pub(super) fn choose(args: &InitArgs, surroundings: Surroundings) -> Self {
        match &args.email {
            Some(email) => Self::Email(email.clone()),
            None if args.device => Self::Device,
            None if args.no_browser => Self::Browser { opens: false },
            None if surroundings.have_a_browser() => Self::Browser { opens: true },
            None => Self::Device,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn chosen(flags: &str, surroundings: Surroundings) -> Way {
        let words = ["agentkeys", "init"].into_iter().chain(flags.split_whitespace());
        let Command::Init(args) = Cli::try_parse_from(words).unwrap().command else { panic!("{flags}") };
        Way::choose(&args, surroundings)
    }

    #[test]
    fn the_way_is_the_one_that_was_asked_for_or_that_works_here() {
        let bare = Surroundings::default();
        let desktop = Surroundings { has_display: true, ..bare };
        let over_ssh = Surroundings { is_remote: true, ..bare };
        let forwarded = Surroundings { is_remote: true, ..desktop };
        let container = Surroundings { is_container: true, ..bare };
        let toolbox = Surroundings { is_container: true, ..desktop };
        let email = || Way::Email("ada@example.com".parse().unwrap());
        let (opened, shown) = (Way::Browser { opens: true }, Way::Browser { opens: false });

        for (flags, surroundings, way) in [
            ("", desktop, opened.clone()),
            ("", bare, Way::Device),
            ("", over_ssh, Way::Device),
            ("", forwarded, Way::Device),
            ("", container, Way::Device),
            ("", toolbox, Way::Device),
            ("--oauth2 acme", desktop, opened),
            ("--oauth2 acme", over_ssh, Way::Device),
            ("--device", desktop, Way::Device),
            ("--device --oauth2 acme", desktop, Way::Device),
            ("--no-browser", desktop, shown.clone()),
            ("--no-browser", over_ssh, shown.clone()),
            ("--no-browser --oauth2 acme", container, shown),
            ("--email ada@example.com", desktop, email()),
            ("--email ada@example.com", over_ssh, email()),
        ] {
            assert_eq!(chosen(flags, surroundings), way, "{flags:?} {surroundings:?}");
        }
    }

    #[test]
    fn ways_that_exclude_each_other_are_not_asked_for_at_once() {
        for flags in [
            "--email ada@example.com --device",
            "--email ada@example.com --no-browser",
            "--email ada@example.com --oauth2 acme",
            "--device --no-browser",
        ] {
            let words = ["agentkeys", "init"].into_iter().chain(flags.split_whitespace());
            assert!(Cli::try_parse_from(words).is_err(), "{flags}");
        }
    }
}
