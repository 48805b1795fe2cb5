//! `agentkeys aws configure`: what it writes, and what it leaves alone.

use std::{fs, path::PathBuf, process::Command};

use crate::bench::{Ended, Home};

const ROLE: &str = "[aws]\nrole_arn = \"arn:aws:iam::123456789012:role/agents\"\nregion = \"eu-west-1\"\nendpoint_url = \"http://127.0.0.1:9\"\n\
    [aws.roles.read]\nrole_arn = \"arn:aws:iam::123456789012:role/read\"\n";
const MINE: &str = "; mine\r\n[default]\r\nregion = eu-west-1\r\n[profile work]\r\nsso_session = w";

/// A home with a role, and an AWS configuration file.
struct Bench(Home);

impl Bench {
    fn with(file: Option<&str>) -> Self {
        let home = Home::new();
        fs::create_dir_all(home.path("config/agentkeys")).unwrap();
        fs::write(home.path("config/agentkeys/config.toml"), ROLE).unwrap();
        fs::create_dir_all(home.path("home/.aws")).unwrap();
        if let Some(text) = file {
            fs::write(home.path("home/.aws/config"), text).unwrap();
        }
        Self(home)
    }

    fn configure(&self, flags: &[&str]) -> Ended {
        let mut command = self.0.command(&["aws", "configure"]);
        Ended::of(command.args(flags).env_remove("AWS_CONFIG_FILE"))
    }

    fn file(&self) -> PathBuf {
        self.0.path("home/.aws/config")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }
}

#[test]
fn a_profile_is_written_once_and_undone_to_the_last_byte() {
    let bench = Bench::with(Some(MINE));

    let first = bench.configure(&["--yes"]);
    let written = bench.text();
    let second = bench.configure(&["--no-input"]);
    let third = bench.text();
    let undone = bench.configure(&["--undo", "--yes"]);

    assert_eq!(first.code(), Some(0), "{}", first.stderr());
    assert!(first.stderr().contains("  + [profile agentkeys]\n"), "{}", first.stderr());
    let ours = written.strip_prefix(MINE).unwrap();
    assert!(ours.contains("aws credential-process\r\nregion = eu-west-1\r\nendpoint_url = http://127.0.0.1:9\r\n"));
    assert_eq!((second.code(), second.stdout()), (Some(0), "There is nothing to change.\n".to_owned()));
    assert_eq!(written, third);
    assert_eq!((undone.code(), bench.text()), (Some(0), MINE.to_owned()));
    assert_eq!(bench.configure(&["--undo"]).stdout(), "There is nothing to change.\n");
}

#[test]
fn a_file_that_was_not_there_is_gone_again() {
    let bench = Bench::with(None);

    let first = bench.configure(&["--yes", "--role", "read"]);
    let written = bench.text();
    let undone = bench.configure(&["--yes", "--undo", "--role", "read"]);

    assert_eq!((first.code(), undone.code()), (Some(0), Some(0)));
    assert!(written.contains("[profile agentkeys-read]\n"));
    assert!(written.contains(" aws credential-process --role read\n"));
    assert!(!bench.file().exists());
}

#[test]
fn nobody_is_written_for_who_was_not_asked() {
    let bench = Bench::with(Some(MINE));

    let asked = bench.configure(&["--no-input"]);
    let theirs = bench.configure(&["--yes", "--aws-profile", "work"]);
    let not_theirs = bench.configure(&["--yes", "--undo", "--aws-profile", "work"]);

    assert_eq!((asked.code(), theirs.code(), not_theirs.code()), (Some(2), Some(1), Some(1)));
    assert!(asked.stderr().contains("`--yes` says so"), "{}", asked.stderr());
    assert!(theirs.stderr().contains("hint: `--aws-profile` takes another name"), "{}", theirs.stderr());
    assert_eq!(bench.text(), MINE);
    assert_eq!(bench.configure(&["--yes", "--force", "--aws-profile", "work"]).code(), Some(0));
    assert!(!bench.text().contains("sso_session"));
}

#[test]
fn the_variable_of_aws_programs_names_another_file() {
    let bench = Bench::with(None);
    let path = bench.0.path("elsewhere");

    let ended = Ended::of(bench.0.command(&["--json", "aws", "configure", "--yes"]).env("AWS_CONFIG_FILE", &path));

    let document = ended.document();
    assert_eq!((&document["changed"], &document["aws_profile"]), (&true.into(), &"agentkeys".into()));
    assert!(fs::read_to_string(path).unwrap().contains("[profile agentkeys]"));
    assert!(!bench.file().exists());
}

#[test]
fn a_program_whose_path_has_spaces_is_found_again() {
    let bench = Bench::with(None);
    let folder = bench.0.path("a folder of 'ada'");
    fs::create_dir(&folder).unwrap();
    let program = folder.join("agentkeys");
    fs::copy(env!("CARGO_BIN_EXE_agentkeys"), &program).unwrap();

    let mut configure = Command::new(&program);
    let ended = Ended::of(
        configure.args(["aws", "configure", "--yes"]).envs(bench.0.environment()).env_remove("AWS_CONFIG_FILE"),
    );
    let text = bench.text();
    let line = text.lines().find_map(|line| line.strip_prefix("credential_process = ")).unwrap();
    // AWS programs split it as a shell does, and so does a shell.
    let mut words = Command::new("sh");
    let words = words.args(["-c", &format!("printf '%s\\n' {line}")]).output().unwrap();

    assert_eq!(ended.code(), Some(0), "{}", ended.stderr());
    let expected = format!("{}\naws\ncredential-process\n", program.canonicalize().unwrap().display());
    assert_eq!(String::from_utf8(words.stdout).unwrap(), expected);
}
