use std::fmt::Write;

/// `docs/reference/settings.md`: every setting with its default and meaning.
pub fn settings_page() -> String {
    let mut page =
        "# Settings of the broker\n\nOne TOML file, given by `--config`. Everything is optional on loopback; \
                    an unknown setting is refused by name.\n\n| setting | default | meaning |\n|---|---|---|\n"
            .to_owned();
    for (name, default, meaning) in SETTINGS {
        let _ = writeln!(page, "| `{name}` | {default} | {meaning} |");
    }
    page
}

pub(super) const SETTINGS: &[(&str, &str, &str)] = &[
    ("listen", "127.0.0.1:8470", "Where to listen."),
    ("metrics_listen", "127.0.0.1:9470", "Where Prometheus finds the metrics."),
    ("issuer", "that of `listen`", "The URL under which clouds find the signing keys. Off loopback: https, no port."),
    ("client_id", "agentkeys", "The deployment's namespace. Every account depends on it: it cannot be changed later."),
    ("state", "/var/lib/agentkeys", "The folder of the store and the signing keys."),
    ("keys", "`keys` inside `state`", "The folder of the signing keys, made at first start."),
    (
        "oidc_algorithm",
        "ES256",
        "How web-identity JWTs are signed: `ES256`, or `RS256` for relying parties that know nothing else.",
    ),
    ("audiences", "[\"sts.amazonaws.com\"]", "For whom web-identity JWTs may be minted."),
    ("chain_ids", "[1, 8453, 84532]", "The chains that a wallet challenge may name (EIP-155 ids)."),
    ("trusted_proxies", "[]", "The proxies whose `X-Forwarded-For` is believed."),
    (
        "sign_in.allow",
        "[]: anyone, on loopback only",
        "Who may sign in: addresses (`ada@example.com`), domains (`@example.com`), providers (`oauth2_google`), their \
         people with a verified address in a domain (`oauth2_google:@example.com`), single subjects (`oauth2_google:1234`).",
    ),
    (
        "providers.NAME.issuer",
        "must be set",
        "An OpenID Provider, such as `https://accounts.google.com`: exactly its `issuer`.",
    ),
    ("providers.NAME.client_id", "must be set", "The name that this broker has at the provider."),
    ("providers.NAME.client_secret_file", "none: a public client", "The file that holds the client secret, mode 600."),
    ("providers.NAME.label", "NAME", "What the button says."),
    ("providers.NAME.prompt", "none", "The parameter `prompt`, such as `select_account`."),
    (
        "mail.smtp",
        "smtp://127.0.0.1:8473",
        "The SMTP server: `smtp://` (loopback only), `smtp://…?tls=required` for STARTTLS, `smtps://` for TLS.",
    ),
    ("mail.from", "AgentKeys <agentkeys@localhost>", "The sender."),
    ("mail.username", "none", "The user name at the SMTP server."),
    ("mail.password_file", "none", "The file that holds the password, mode 600."),
    (
        "mail.ca_file",
        "none",
        "A PEM file of certificate authorities to trust beside those of the system, for a mail server of your own.",
    ),
    ("mail.queue", "1000", "How many mails may wait to leave before no more sign-in mails are taken."),
    ("limits.mails_per_address_and_hour", "5", "Sign-in mails to one address in an hour."),
    ("limits.mails_per_source_and_hour", "20", "Sign-in mails asked for from one network address in an hour."),
    ("limits.mails_per_hour", "1000", "Sign-in mails in an hour, all together."),
    ("limits.codes_per_source_and_hour", "100", "Codes typed from one network address in an hour, right or wrong."),
    ("limits.codes_per_hour", "10000", "Codes typed in an hour, all together."),
    (
        "limits.sign_ins_per_source_and_hour",
        "60",
        "Sign-ins in a browser and on a device begun from one network address in an hour.",
    ),
    ("limits.sign_ins_per_hour", "5000", "Sign-ins in a browser and on a device begun in an hour, all together."),
    ("limits.links_per_account_and_hour", "10", "Identities that one account asks to link in an hour."),
    (
        "limits.agents_per_account",
        "100",
        "Agents that one account may have; expired ones count until they are deleted.",
    ),
    ("limits.mints_per_account_and_minute", "600", "Web-identity JWTs of one account in a minute."),
    ("sessions.days", "30", "For how many days a token that is bound to a device key counts; 30 at most."),
    (
        "sessions.absolute_days",
        "180",
        "After how many days a person must sign in again, however often the token was renewed.",
    ),
    (
        "sessions.unbound_hours",
        "8",
        "For how many hours a session without a device key stands (`--no-bind`); 24 at most, and 0 refuses to open one.",
    ),
];
