//! The AWS CLI from `PyPI`, with credentials from the eight steps.

use std::{fs, path::PathBuf};

use agentkeys_client::Walked;
use agentkeys_testing::{Home, Process, System};
use serde_json::Value;

use crate::parts::AwsClient;

#[tokio::test]
#[ignore = "needs the AWS CLI: cargo xtask test"]
async fn the_cli_is_told_whose_credentials_it_has() {
    let bench = Bench::start().await;

    let identity: Value = serde_json::from_str(&bench.ada.run(&["sts", "get-caller-identity"]).await.stdout()).unwrap();

    let wallet = bench.walked.wallet.to_lowercase();
    assert_eq!(identity["Account"], "000000000000");
    assert_eq!(identity["Arn"], format!("arn:aws:sts::000000000000:assumed-role/agentkeys-dev/{wallet}"));
}

#[tokio::test]
#[ignore = "needs the AWS CLI: cargo xtask test"]
async fn the_cli_writes_lists_reads_and_deletes_below_its_own_wallet() {
    let bench = Bench::start().await;
    let own = prefix_of(&bench.walked);

    fs::write(bench.ada.home().join("small"), "hello").unwrap();
    bench.ada.run(&["s3", "cp", "small", &format!("{own}small.txt")]).await.stdout();
    let listed = bench.ada.run(&["s3", "ls", &own]).await.stdout();
    let read = bench.ada.run(&["s3", "cp", &format!("{own}small.txt"), "-"]).await.stdout();
    bench.ada.run(&["s3", "rm", &format!("{own}small.txt")]).await.stdout();

    assert!(listed.trim_end().ends_with("5 small.txt"), "{listed}");
    assert_eq!(read, "hello");
    assert_eq!(fs::read_dir(bench.folder_of(&bench.walked)).unwrap().count(), 0);
}

#[tokio::test]
#[ignore = "needs the AWS CLI: cargo xtask test"]
async fn twelve_megabytes_go_in_several_parts_and_come_back_whole() {
    let bench = Bench::start().await;
    let object = format!("{}large.bin", prefix_of(&bench.walked));
    let content: Vec<u8> =
        (0..12 * 1024 * 1024_u32).flat_map(|index| index.to_le_bytes().into_iter().take(1)).collect();
    fs::write(bench.ada.home().join("large"), &content).unwrap();

    bench.ada.run(&["s3", "cp", "large", &object]).await.stdout();
    bench.ada.run(&["s3", "cp", &object, "back"]).await.stdout();

    assert!(fs::read(bench.ada.home().join("back")).unwrap() == content);
}

#[tokio::test]
#[ignore = "needs the AWS CLI: cargo xtask test"]
async fn another_wallets_prefix_is_closed_and_stays_as_it_was() {
    let bench = Bench::start().await;
    let grace = bench.system.walk("grace", &mut ()).await.unwrap();
    let hers = prefix_of(&grace);
    let as_grace = AwsClient::cli(&bench.system.aws_url()).with_credentials(&grace.credentials);
    fs::write(as_grace.home().join("diary"), "private").unwrap();
    as_grace.run(&["s3", "cp", "diary", &format!("{hers}diary")]).await.stdout();
    fs::write(bench.ada.home().join("large"), vec![7; 12 * 1024 * 1024]).unwrap();
    fs::write(bench.ada.home().join("small"), "overwritten").unwrap();

    for (arguments, complaint) in [
        (&["s3", "cp", "small", &format!("{hers}diary")][..], "AccessDenied"),
        (&["s3", "cp", "large", &format!("{hers}large")], "AccessDenied"),
        (&["s3", "ls", &hers], "AccessDenied"),
        (&["s3", "ls", &format!("s3://{}/", System::BUCKET)], "AccessDenied"),
        (&["s3", "rm", &format!("{hers}diary")], "AccessDenied"),
        (&["s3api", "get-object", "--bucket", System::BUCKET, "--key", &key_of(&hers, "diary"), "out"], "AccessDenied"),
        // Nothing but a status comes back where there is no body.
        (&["s3", "cp", &format!("{hers}diary"), "-"], "403"),
    ] {
        let refused = bench.ada.run(arguments).await.complaint();

        assert!(refused.contains(complaint), "{arguments:?}: {refused}");
    }

    let left: Vec<_> = fs::read_dir(bench.folder_of(&grace)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["diary"]);
    assert_eq!(fs::read(bench.folder_of(&grace).join("diary")).unwrap(), b"private");
}

#[tokio::test]
#[ignore = "needs the AWS CLI: cargo xtask test"]
async fn the_cli_exchanges_a_minted_jwt_by_itself() {
    let bench = Bench::start().await;
    let flow = bench.system.flow();
    let proof = flow.prove_wallet(&bench.walked.session, bench.walked.wallet, &mut ()).await.unwrap();
    let jwt = flow.mint_oidc_jwt(&proof, &mut ()).await.unwrap();
    let cli = AwsClient::cli(&bench.system.aws_url());
    let file = cli.home().join("jwt");
    fs::write(&file, jwt.expose()).unwrap();
    let cli = cli
        .with("AWS_WEB_IDENTITY_TOKEN_FILE", &file.display().to_string())
        .with("AWS_ROLE_ARN", System::ROLE_ARN)
        .with("AWS_ROLE_SESSION_NAME", "agent");

    let identity: Value = serde_json::from_str(&cli.run(&["sts", "get-caller-identity"]).await.stdout()).unwrap();

    assert_eq!(identity["Arn"], "arn:aws:sts::000000000000:assumed-role/agentkeys-dev/agent");
}

#[tokio::test]
#[ignore = "needs the AWS CLI: cargo xtask test"]
async fn the_first_command_runs_the_cli_and_passes_its_exit_code_on() {
    let home = Home::default();
    let cli = AwsClient::program("aws").display().to_string();
    let run = async |arguments: &[&str]| {
        home.dev(&[&["--", &cli], arguments].concat()).env("AWS_EC2_METADATA_DISABLED", "true").output().await.unwrap()
    };

    let identity = run(&["sts", "get-caller-identity", "--query", "Account", "--output", "text"]).await;
    let refused = run(&["s3", "ls", "s3://agentkeys-dev/bots/0x0000000000000000000000000000000000000000/"]).await;

    assert_eq!(identity.status.code(), Some(0), "{}", String::from_utf8_lossy(&identity.stderr));
    assert_eq!(identity.stdout, b"000000000000\n");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("AccessDenied"));
    assert!(matches!(refused.status.code(), Some(1..=255)), "{:?}", refused.status);
}

#[tokio::test]
#[ignore = "needs the AWS CLI: cargo xtask test"]
async fn the_cli_asks_agentkeys_for_credentials_by_itself() {
    let home = Home::default();
    let mut dev = Process::start(home.dev(&[]));
    let aws = dev.line_with("AWS stand-in").await;
    let url = aws.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
    dev.line_with("Ctrl-C stops it").await;
    let agentkeys = Process::binary("agentkeys").display().to_string();
    let cli = AwsClient::cli(url);
    let cli = home.environment().iter().fold(cli, |cli, (name, value)| cli.with(name, value));
    let profile = format!("[profile agent]\ncredential_process = {agentkeys} --profile dev aws credential-process\n");
    fs::write(cli.home().join("config"), profile).unwrap();
    let identity = cli.run(&["--profile", "agent", "sts", "get-caller-identity"]).await.stdout();
    let identity: Value = serde_json::from_str(&identity).unwrap();
    let (_, wallet) = identity["Arn"].as_str().unwrap().rsplit_once('/').unwrap();
    let own = format!("s3://agentkeys-dev/bots/{wallet}/");

    let listed = cli.run(&["--profile", "agent", "s3", "ls", &own]).await.stdout();
    dev.kill().await;
    let without_dev = cli.run(&["--profile", "agent", "s3", "ls", &own]).await.complaint();

    assert!(listed.trim_end().ends_with("hello.txt"), "{listed}");
    assert!(without_dev.contains("error: no daemon answered"), "{without_dev}");
}

/// The servers, and the CLI with the credentials of somebody who has walked the eight steps.
struct Bench {
    system: System,
    walked: Walked,
    ada: AwsClient,
}

impl Bench {
    async fn start() -> Self {
        let system = System::start().await;
        let walked = system.walk("ada", &mut ()).await.unwrap();
        let ada = AwsClient::cli(&system.aws_url()).with_credentials(&walked.credentials);
        Self { system, walked, ada }
    }

    fn folder_of(&self, walked: &Walked) -> PathBuf {
        self.system.bucket_folder().join("bots").join(walked.wallet.to_lowercase())
    }
}

fn prefix_of(walked: &Walked) -> String {
    format!("s3://{}/bots/{}/", System::BUCKET, walked.wallet.to_lowercase())
}

fn key_of(prefix: &str, name: &str) -> String {
    format!("{}{name}", prefix.strip_prefix(&format!("s3://{}/", System::BUCKET)).unwrap())
}
