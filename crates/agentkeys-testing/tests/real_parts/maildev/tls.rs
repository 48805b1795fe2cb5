//! TLS from the start (maildev) and STARTTLS (smtp-server, on which maildev is built), each with a password.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use agentkeys_broker::Config;
use agentkeys_crypto::{private_file, random};
use agentkeys_testing::{Process, ReservedPort, TestBroker, code_in};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use super::{Maildev, fresh_address};

const USER: &str = "broker";

#[tokio::test]
#[ignore = "needs maildev: cargo xtask test"]
async fn mail_leaves_over_tls_from_the_start_for_whoever_says_the_password() {
    let (maildev, server) = (Maildev::at_hand(), Identity::new());
    let (_process, secured) = maildev.start_secured(&server).await;
    let smtps = format!("smtps://127.0.0.1:{}", secured.smtp);
    let broker = TestBroker::start_with(|config| server.configure(config, &smtps)).await;
    let address = fresh_address();

    broker.get("/readyz").await.expect(200);
    let started = broker.start_sign_in(&address).await.expect(202);
    let mail = secured.mail_to(&address).await;

    let code = code_in(mail["text"].as_str().unwrap());
    assert!(mail["html"].as_str().unwrap().contains(&code), "{mail}");
    broker.verify_code(started.text("request_id"), &code).await.expect(200);
}

#[tokio::test]
#[ignore = "needs maildev: cargo xtask test"]
async fn mail_leaves_over_starttls_for_whoever_says_the_password() {
    let server = Identity::new();
    let (mut process, address) = server.start_starttls(&Maildev::at_hand().modules).await;
    let smtp = format!("smtp://{address}?tls=required");
    let broker = TestBroker::start_with(|config| server.configure(config, &smtp)).await;

    broker.get("/readyz").await.expect(200);
    broker.start_sign_in("ada@example.com").await.expect(202);

    let line = process.line_with("taken ").await;
    let taken: Value = serde_json::from_str(line.split_once(' ').unwrap().1).unwrap();
    assert_eq!((&taken["user"], &taken["tls"]), (&USER.into(), &true.into()), "{taken}");
    assert_eq!(taken["to"], serde_json::json!(["ada@example.com"]));
    assert!(taken["source"].as_str().unwrap().contains("multipart/alternative"), "{taken}");
}

#[tokio::test]
#[ignore = "needs maildev: cargo xtask test"]
async fn a_mail_server_that_proves_nothing_or_another_password_gets_no_mail() {
    let server = Identity::new();
    let (process, address) = server.start_starttls(&Maildev::at_hand().modules).await;
    let smtp = format!("smtp://{address}?tls=required");
    let stranger = Identity::new();
    let distrusted = |config: &mut Config| {
        server.configure(config, &smtp);
        config.mail.ca_file = Some(stranger.path("ca.pem"));
    };
    let mistaken = |config: &mut Config| {
        server.configure(config, &smtp);
        config.mail.password_file = Some(stranger.path("password"));
    };
    for broker in [TestBroker::start_with(distrusted).await, TestBroker::start_with(mistaken).await] {
        broker.start_sign_in("ada@example.com").await.expect(202);

        let answer = broker.get("/readyz").await.expect(503);

        assert_eq!(answer.body["reasons"], serde_json::json!(["mail cannot leave"]));
    }
    assert!(!String::from_utf8_lossy(&process.output()).contains("taken "));
}

/// A mail server's certificate, the authority behind it, and the password that it wants, all in files.
struct Identity {
    folder: TempDir,
    password: String,
}

impl Identity {
    fn new() -> Self {
        let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_certificate = authority.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(authority, authority_key);
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let (folder, password) = (tempfile::tempdir().unwrap(), hex::encode(random::<12>()));
        let identity = Self { folder, password };
        for (name, tag, der) in [
            ("ca.pem", "CERTIFICATE", authority_certificate.der().to_vec()),
            ("certificate.pem", "CERTIFICATE", certificate.der().to_vec()),
            ("key.pem", "PRIVATE KEY", key.serialize_der()),
        ] {
            fs::write(identity.path(name), pem::encode(&pem::Pem::new(tag, der))).unwrap();
        }
        private_file::replace(&identity.path("password"), identity.password.as_bytes()).unwrap();
        identity
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Has a broker use the mail server.
    fn configure(&self, config: &mut Config, smtp: &str) {
        config.mail.smtp = smtp.parse().unwrap();
        config.mail.username = Some(USER.to_owned());
        config.mail.password_file = Some(self.path("password"));
        config.mail.ca_file = Some(self.path("ca.pem"));
    }

    async fn start_starttls(&self, modules: &Path) -> (Process, SocketAddr) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/npm/starttls.cjs");
        let mut command = Process::command("node");
        command.arg(script).arg(modules).args([self.path("certificate.pem"), self.path("key.pem")]);
        command.env("SMTP_USER", USER).env("SMTP_PASSWORD", &self.password);
        let mut process = Process::start(command);
        let address = process.address_in("listening").await;
        (process, address)
    }
}

impl Maildev {
    /// Starts another maildev, which speaks nothing but TLS and wants the password.
    async fn start_secured(&self, identity: &Identity) -> (Process, Self) {
        let (smtp, web) = (ReservedPort::take().address().port(), ReservedPort::take().address().port());
        let mut command = Process::command(self.modules.join(".bin/maildev"));
        command.args(["--ip", "127.0.0.1", "--smtp", &smtp.to_string()]);
        command.args(["--web-ip", "127.0.0.1", "--web", &web.to_string()]);
        command.arg("--mail-directory").arg(identity.path("mail"));
        command.arg("--incoming-secure").arg("--incoming-cert").arg(identity.path("certificate.pem"));
        command.arg("--incoming-key").arg(identity.path("key.pem"));
        command.env("MAILDEV_INCOMING_USER", USER).env("MAILDEV_INCOMING_PASS", &identity.password);
        let process = Process::start(command);
        let secured = Self::at(smtp, web, self.modules.clone());
        for port in [smtp, web] {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::task::yield_now().await;
            }
        }
        (process, secured)
    }
}
