use std::fmt::Write;

/// The worker's part of `docs/reference/settings.md`: every setting with its default and meaning.
pub fn settings_page() -> String {
    let mut page = "## Settings of the worker\n\nOne TOML file, given by `--config`; in the image it is \
                    `/etc/agentkeys/worker.toml`, and is measured. An unknown setting is refused by name, and none of \
                    them is a secret.\n\n| setting | default | meaning |\n|---|---|---|\n"
        .to_owned();
    for (name, default, meaning) in SETTINGS {
        let _ = writeln!(page, "| `{name}` | {default} | {meaning} |");
    }
    page
}

pub(super) const SETTINGS: &[(&str, &str, &str)] = &[
    ("listen", "0.0.0.0:8475", "Where to listen, over TLS alone."),
    (
        "public_url",
        "that of `listen`, where this is one address",
        "The URL under which clients know it, which the proofs of their requests name: https, with nothing after the \
         host and port.",
    ),
    ("broker_url", "must be set", "The broker whose sessions count: its `issuer` exactly as it is set there."),
    ("state", "/var/lib/agentkeys-worker", "The folder of the sealed master secret and of the signing log."),
    ("tpm", "/dev/tpmrm0", "Where the TPM is: a device, `unix:PATH` or `tcp:HOST:PORT`."),
    (
        "sealer",
        "tpm2",
        "What keeps the master secret: `tpm2`, or `none` where it is restored at each start \
         (`backup.restore_identity`).",
    ),
    ("attester", "tpm2", "What shows where the worker runs: `tpm2`, `sev-snp` or `tdx`."),
    ("epoch", "0", "How often a release before this one had to be locked out: what its approvals must be for."),
    ("approvals", "[]: with a TPM, must be set", "The files in which the release key approves this image."),
    (
        "release_key",
        "none: with a TPM, must be set",
        "The public release key: P-256, SEC1, uncompressed, 130 hex digits, as `agentkeys attestation keygen` prints it.",
    ),
    ("log_origin", "must be set", "The name of the signing log, such as `signer.example/log`."),
    ("chain_ids", "must be set, unless any message is signed", "The chains that a challenge may name (EIP-155 ids)."),
    ("allow_any_message", "false", "Signs any message, and says so in its evidence."),
    ("signings_per_minute", "600", "How many messages are signed in a minute for one account."),
    ("require_sandbox", "true", "Refuses to start where the kernel cannot confine it."),
    (
        "endorsements.ek_chain",
        "[]",
        "TPM: files of the certificates above that of the endorsement key, PEM, the issuer of that first.",
    ),
    (
        "endorsements.vcek_chain",
        "[]",
        "SEV-SNP: files of the certificate of the chip's key and those above it, PEM; shown where the host has put none \
         beside a report.",
    ),
    (
        "backup.recipients",
        "[]",
        "The public keys of those who get a share of the master secret at first boot, as `agentkeys backup keygen` prints \
         them: 64 hex digits each, 32 at most.",
    ),
    ("backup.threshold", "must be set with recipients", "How many of them it takes to restore it: at least 2."),
    (
        "backup.restore_identity",
        "none",
        "The identity that is restored here instead of making one: the `identity_pub` of a share, 66 hex digits.",
    ),
    (
        "backup.restore_without_log",
        "false",
        "Begins a new signing log after a restore, where that of the machine before is lost: all devices are forgotten.",
    ),
];

#[cfg(test)]
mod tests {
    use crate::Config;

    use super::*;

    /// The settings of a table, in the order of their declaration, as the refusal of an unknown one lists them.
    fn settings(table: &str) -> Vec<String> {
        let text = format!("broker_url = \"\"\nlog_origin = \"\"\n{table}\nmisspelt = 1");
        let refused = toml::from_str::<Config>(&text).unwrap_err().message().to_owned();
        let (_, listed) = refused.split_once("expected ").unwrap();
        // Of two names it says "`a` or `b`".
        listed
            .trim_start_matches("one of ")
            .replace(" or ", ", ")
            .split(", ")
            .map(|name| name.trim_matches('`').to_owned())
            .collect()
    }

    #[test]
    fn the_reference_names_every_setting_and_no_other() {
        let tables = ["endorsements", "backup"];
        let below = tables
            .iter()
            .flat_map(|table| settings(&format!("[{table}]")).into_iter().map(move |name| format!("{table}.{name}")));
        let top = settings("").into_iter().filter(|name| !tables.contains(&name.as_str()));
        let all: Vec<_> = top.chain(below).collect();

        let named: Vec<_> = SETTINGS.iter().map(|(name, _, _)| (*name).to_owned()).collect();

        assert_eq!(named, all);
    }

    #[test]
    fn defaults_are_those_of_a_configuration_that_says_no_more_than_it_must() {
        let config: Config = toml::from_str("broker_url = \"\"\nlog_origin = \"\"").unwrap();

        let default = |setting: &str| SETTINGS.iter().find(|(name, _, _)| *name == setting).unwrap().1;
        assert_eq!(default("listen"), config.listen.to_string());
        assert_eq!(default("state"), config.state.to_str().unwrap());
        assert_eq!(default("tpm"), config.tpm);
    }
}
