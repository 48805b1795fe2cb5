use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use agentkeys_types::Timestamp;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use tempfile::TempDir;

use super::{Ground, search::Search, token::TokenFinder};
use crate::commands::doctor::finding::{Finding, Status};

const NOW: Timestamp = Timestamp::from_unix(1_797_933_600);
const SESSION: &str = "08080808080808080808080808080808";
const PARENT: &str = "09090909090909090909090909090909";

/// A home folder in which a person works in `~/code/app`.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(home.path("home/code/app")).unwrap();
        home
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn write(&self, below: &str, content: impl AsRef<[u8]>) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn ground(&self) -> Ground {
        Ground {
            home: self.path("home"),
            current: self.path("home/code/app"),
            histfile: Some(self.path("elsewhere/history")),
            processes: self.path("proc"),
        }
    }

    fn search(&self) -> Finding {
        self.search_until(Instant::now() + Duration::from_mins(1))
    }

    fn search_until(&self, until: Instant) -> Finding {
        let search = Search::new(TokenFinder::new(NOW).unwrap(), until).over(&self.ground());
        search.finding(&self.path("home"), "agentkeys")
    }
}

fn token_with(claims: &serde_json::Value) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = format!(r#"{{"alg":"ES256","kid":"{}","typ":"agentkeys-session+jws"}}"#, "k".repeat(43));
    format!("aks_{}.{}.{}", part(&header), part(&claims.to_string()), "Sig_nature-".repeat(8).split_at(86).0)
}

fn token() -> String {
    token_with(&json!({
        "iss": "https://broker.example.com", "aud": "agentkeys", "sub": "07".repeat(32), "sid": SESSION,
        "iat": NOW.as_unix(), "exp": NOW.as_unix() + 60, "auth_time": NOW.as_unix(), "idt": "email",
    }))
}

#[test]
fn a_token_is_found_in_each_kind_of_file() {
    for (place, shown) in [
        ("home/.bash_history", "~/.bash_history:2"),
        ("home/.zsh_history", "~/.zsh_history:2"),
        ("home/.local/share/fish/fish_history", "~/.local/share/fish/fish_history:2"),
        ("home/.python_history", "~/.python_history:2"),
        ("home/.psql_history", "~/.psql_history:2"),
        ("home/.node_repl_history", "~/.node_repl_history:2"),
        ("elsewhere/history", "elsewhere/history:2"),
        ("home/code/app/.env", "~/code/app/.env:2"),
        ("home/code/app/.env.local", "~/code/app/.env.local:2"),
        ("home/code/.envrc", "~/code/.envrc:2"),
        ("home/.env", "~/.env:2"),
        ("home/other/.env", "~/other/.env:2"),
        ("home/.netrc", "~/.netrc:2"),
        ("home/.config/tool/settings.json", "~/.config/tool/settings.json:2"),
    ] {
        let home = Home::new();
        home.write(place, format!("ls\ncurl -H 'Authorization: Bearer {}'\n", token()));

        let finding = home.search();

        assert_eq!(finding.status(), Status::Failure, "{place}");
        assert!(finding.text().contains(shown), "{}", finding.text());
        assert!(finding.text().contains(&format!("agentkeys sessions revoke {SESSION}")), "{}", finding.text());
    }
}

#[test]
fn a_token_is_found_in_a_process_by_its_variable_or_its_command_line() {
    for (file, content, shown) in [
        ("environ", format!("HOME=/\0AGENTKEYS_TOKEN={}\0", token()), "variable AGENTKEYS_TOKEN of process 4000000"),
        ("cmdline", format!("curl\0-H\0Bearer {}\0", token()), "command line of process 4000000"),
    ] {
        let home = Home::new();
        home.write(&format!("proc/4000000/{file}"), content);
        home.write("proc/meminfo", token());

        let finding = home.search();

        assert_eq!(finding.status(), Status::Failure);
        assert!(finding.text().contains(shown), "{}", finding.text());
        assert!(finding.text().contains("1 processes"), "{}", finding.text());
    }
}

#[test]
fn a_wallet_session_token_names_the_session_that_it_falls_with() {
    let home = Home::new();
    let claims = json!({"iss": "https://broker.example.com", "sub": "07".repeat(32), "sid": SESSION, "psid": PARENT,
        "acc": "06".repeat(32), "exp": NOW.as_unix() + 60});
    home.write("home/.env", token_with(&claims));

    assert!(home.search().text().contains(&format!("sessions revoke {PARENT}")));
}

#[test]
fn no_piece_of_a_token_is_told_wherever_it_stands() {
    let home = Home::new();
    let token = token();
    home.write("home/.bash_history", &token);
    home.write("home/.config/a/settings", token_with(&json!({"filler": "x".repeat(200)})));
    home.write(&format!("home/.config/b/{}/settings", &token[..200]), &token);
    home.write("proc/4000000/environ", format!("{token}\0A={token}\0{token}={token}\0"));
    home.write("proc/4000000/cmdline", &token);

    let finding = home.search();

    let told = serde_json::to_string(&finding).unwrap();
    assert_eq!(finding.status(), Status::Failure);
    for piece in token.as_bytes().windows(16) {
        assert!(!told.contains(str::from_utf8(piece).unwrap()), "{told}");
    }
}

#[test]
fn a_token_that_is_over_is_a_warning() {
    let home = Home::new();
    let claims = json!({"iss": "https://broker.example.com", "sub": "07".repeat(32), "sid": SESSION,
        "exp": NOW.as_unix()});
    home.write("home/.env", token_with(&claims));

    assert_eq!(home.search().status(), Status::Warning);
}

#[test]
fn a_clean_home_is_well() {
    let home = Home::new();
    home.write("home/.bash_history", "ls\nexport TOKEN=aks_not-a-token\n");

    let finding = home.search();

    assert_eq!(finding.status(), Status::Ok);
    assert!(finding.text().contains("1 files; processes cannot be looked at here"), "{}", finding.text());
}

#[test]
fn what_is_too_large_is_said_to_be_skipped() {
    let home = Home::new();
    home.write("home/.bash_history", [token().as_bytes(), &vec![b'\n'; 1024 * 1024]].concat());

    let finding = home.search();

    assert_eq!(finding.status(), Status::Ok);
    assert!(finding.text().contains("skipped: ~/.bash_history"), "{}", finding.text());
}

#[cfg(target_os = "linux")]
#[test]
fn links_are_followed_inside_home_only_and_pipes_never() {
    let home = Home::new();
    home.write("outside/secret", token());
    std::os::unix::fs::symlink(home.path("outside/secret"), home.path("home/.env")).unwrap();
    std::os::unix::fs::symlink(home.path("outside"), home.path("home/.config")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", home.path("home/.netrc")).unwrap();
    make_pipe(&home.path("home/.bash_history"));

    assert_eq!(home.search().status(), Status::Ok);

    home.write("home/dotfiles/zsh", token());
    std::os::unix::fs::symlink(home.path("home/dotfiles/zsh"), home.path("home/.zsh_history")).unwrap();
    assert_eq!(home.search().status(), Status::Failure);
}

#[test]
fn a_search_without_time_says_that_it_stopped() {
    let home = Home::new();
    home.write("home/.bash_history", token());

    let finding = home.search_until(Instant::now());

    assert_eq!(finding.status(), Status::Warning);
    assert!(finding.text().contains("stopped early"), "{}", finding.text());
}

#[cfg(target_os = "linux")]
fn make_pipe(path: &std::path::Path) {
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}
