//! Laptop and mailbox are lost, and the account and its wallet are not.

use std::time::Duration;

use agentkeys_testing::{System, TestProvider};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    acme,
    machine::Machine,
    visitor::Visitor,
    waiting::{Ended, Waiting},
};

const ADA: &str = "ada@example.com";

#[tokio::test]
async fn who_loses_laptop_and_mailbox_keeps_account_and_wallet_by_another_identity() {
    let story = Story::begin().await;
    let (laptop, fresh, later) = (story.machine(), story.machine(), story.machine());

    let before = story.sign_in_by_email(&laptop).await;
    story.link_acme(&laptop).await;
    let after = story.sign_in_by_device(&fresh).await;
    assert_eq!(identity_of(&after), identity_of(&before), "another account, or another wallet");

    story.lock_out(&laptop, &fresh).await;
    story.retire_mailbox(&fresh).await;
    let refused = story.try_mailbox(&story.machine()).await;
    assert_eq!((refused.0, refused.1.as_str()), (4, "identity_retired"));
    assert!(refused.2.contains("sign in with another identity of the account"), "{}", refused.2);

    let last = story.sign_in_by_browser(&later).await;
    assert_eq!(identity_of(&last), identity_of(&before), "another account, or another wallet");
    assert_eq!(names(&last["identities"]), ["oauth2_acme:g-1001"]);
}

/// Everything that the story happens with.
struct Story {
    system: System,
    // Dropped, it would be gone.
    _provider: TestProvider,
}

impl Story {
    async fn begin() -> Self {
        let (system, provider) = acme().await;
        Self { system, _provider: provider }
    }

    fn machine(&self) -> Machine {
        let machine = Machine::with_credential();
        machine.set_role(&self.system);
        machine
    }

    fn start(&self, command: Command) -> Waiting {
        Waiting::start(self.system.used_by(command))
    }

    async fn run(&self, machine: &Machine, arguments: &[&str]) -> Ended {
        self.start(machine.agentkeys(arguments)).end().await
    }

    /// Who is signed in, whose credentials are there at once.
    async fn working(&self, machine: &Machine) -> Value {
        let credentials = self.run(machine, &["aws", "export", "--json"]).await.document();
        assert!(credentials["access_key_id"].as_str().is_some_and(|id| id.starts_with("ASIA")), "no credentials");
        self.run(machine, &["whoami", "--json"]).await.document()
    }

    async fn sign_in_by_email(&self, laptop: &Machine) -> Value {
        let mut init = self.start(laptop.init(&["--email", ADA]));
        init.told("A code was sent to ada@example.com. It works for 10 minutes, in this terminal only.").await;
        init.type_line(&self.system.mailed_code(ADA).await).await;
        let ended = init.end().await;

        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let broker = format!("  Broker   {} (on this machine)", self.system.broker_url());
        let storage = "(tested: write, read, delete)";
        for part in [broker.as_str(), storage, "Next: agentkeys whoami · agentkeys aws export", "A second way in"] {
            assert!(ended.stderr.contains(part), "no `{part}`: {ended:?}");
        }
        let lines: Vec<_> = ended.stdout.lines().collect();
        let beginnings = ["✓ Signed in as ada@example.com (email)", "✓ Wallet 0x", "✓ Wallet proved; session until "];
        assert_eq!(lines.len(), beginnings.len(), "{ended:?}");
        for (line, beginning) in lines.iter().zip(beginnings) {
            assert!(line.starts_with(beginning), "{line}");
        }
        let signer = if self.system.has_worker() { "attested" } else { "DEV, keep no funds on it" };
        assert!(lines[1].ends_with(&format!("(eip155:1; signer: {signer})")), "{}", lines[1]);
        self.working(laptop).await
    }

    async fn link_acme(&self, laptop: &Machine) {
        let list = ["identities", "list", "--json"];
        let before = self.run(laptop, &list).await.document();
        let mut add =
            self.start(laptop.agentkeys(&["identities", "add", "--oauth2", "acme", "--no-browser", "--json"]));
        let url = add.told("  Link it in a browser: open  ").await;
        let mut browser = Visitor::of(&self.system);
        let page = browser.open(&url).await;
        assert!(page.text().contains(ADA), "it does not name the account: {page:?}");
        assert_eq!(browser.approve_at_acme(&page).await.title(), "Identity confirmed");
        let added = add.end().await.document();
        let after = self.run(laptop, &list).await.document();

        assert_eq!(names(&before["identities"]), ["email:ada@example.com"]);
        assert_eq!(added["added"], true);
        assert_eq!(names(&after["identities"]), ["email:ada@example.com", "oauth2_acme:g-1001"]);
        let shown = self.run(laptop, &["identities", "list"]).await.stdout;
        assert!(shown.starts_with("* email:ada@example.com  since "), "{shown}");
        assert!(shown.contains("\n  oauth2_acme:g-1001 (ada@acme.example)  since "), "{shown}");
    }

    async fn sign_in_by_device(&self, fresh: &Machine) -> Value {
        let mut init = self.start(fresh.init(&["--device", "--json"]));
        let (url, code) = (init.told("  Open     ").await, init.told("  Code     ").await);
        let mut browser = Visitor::of(&self.system);
        let page = browser.type_user_code(&url, &code).await;
        assert_eq!(browser.approve_at_acme(&page).await.title(), "The machine is signed in");
        let signed_in = init.end().await.document();

        assert_eq!(signed_in["signed_in"], true);
        self.working(fresh).await
    }

    /// Whoever has the laptop now is signed out of it.
    async fn lock_out(&self, laptop: &Machine, fresh: &Machine) {
        let stolen = self.run(laptop, &["whoami", "--json"]).await.document()["session"]["session_id"].clone();
        let list = ["sessions", "list", "--json"];
        let before = self.run(fresh, &list).await.document();
        let revoked = self.run(fresh, &["sessions", "revoke", stolen.as_str().unwrap(), "--json"]).await.document();
        let after = self.run(fresh, &list).await.document();
        let export = self.run(laptop, &["aws", "export", "--json"]).await.failure();

        let count = |list: &Value| list["sessions"].as_array().unwrap().len();
        assert_eq!((count(&before), count(&after)), (2, 1));
        assert_eq!(revoked, json!({"revoked": stolen}));
        assert_eq!((export.0, export.1.as_str()), (3, "token_revoked"));
    }

    async fn retire_mailbox(&self, fresh: &Machine) {
        let remove = ["identities", "remove", "email:ada@example.com", "--yes", "--json"];
        let removed = self.run(fresh, &remove).await.document();
        let identity = json!({"type": "email", "value": ADA});
        assert_eq!(removed, json!({"removed": identity, "revoked_sessions": [], "signed_out": false}));

        for notice in [
            "signed in to your AgentKeys account as Acme: ada@acme.example.",
            "Acme: ada@acme.example opens your AgentKeys account from now on.",
            "ada@example.com no longer opens your AgentKeys account.",
        ] {
            self.notice(notice).await;
        }
    }

    /// Waits for a mail that says this.
    async fn notice(&self, text: &str) {
        let arrival = async { while !self.system.mails_to(ADA).await.iter().any(|mail| mail.contains(text)) {} };
        let outcome = tokio::time::timeout(Duration::from_secs(20), arrival).await;
        assert!(outcome.is_ok(), "no mail says `{text}`: {:#?}", self.system.mails_to(ADA).await);
    }

    async fn try_mailbox(&self, stranger: &Machine) -> (i32, String, String) {
        let mut init = self.start(stranger.init(&["--email", ADA, "--json"]));
        init.type_line(&self.system.mailed_code(ADA).await).await;
        init.end().await.failure()
    }

    async fn sign_in_by_browser(&self, later: &Machine) -> Value {
        let mut init = self.start(later.init(&["--oauth2", "acme", "--no-browser", "--json"]));
        let url = init.told("  Sign in in a browser on this machine: open  ").await;
        let mut browser = Visitor::of(&self.system);
        let page = browser.open(&url).await;
        assert_eq!(browser.approve_at_acme(&page).await.title(), "You are signed in");
        init.end().await.document();
        self.working(later).await
    }
}

/// The account and its wallets.
fn identity_of(whoami: &Value) -> (&Value, &Value) {
    assert_eq!(whoami["wallets"].as_array().unwrap().len(), 1, "{whoami}");
    (&whoami["account"], &whoami["wallets"])
}

fn names(identities: &Value) -> Vec<String> {
    let identities = identities.as_array().unwrap().iter();
    identities.map(|one| format!("{}:{}", one["type"].as_str().unwrap(), one["value"].as_str().unwrap())).collect()
}
