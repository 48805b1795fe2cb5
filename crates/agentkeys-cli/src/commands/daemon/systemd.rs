//! Units of systemd's user manager.

use std::path::Path;

use super::service::{Job, Service};

/// What seccomp and resource limits can do for a process of a person without a namespace: in one, the daemon would not
/// see which programs ask it.
const HARDENING: &str = "\
NoNewPrivileges=yes
LimitCORE=0
UMask=0077
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
";

pub(super) fn service(job: &Job, folder: &Path) -> Service {
    let (service, socket) = (format!("{}.service", job.name()), format!("{}.socket", job.name()));
    let systemctl = |words: &[&str]| ["systemctl", "--user"].iter().chain(words).map(|&word| word.to_owned()).collect();
    Service {
        files: vec![(folder.join(&socket), socket_unit(job)), (folder.join(&service), service_unit(job, &socket))],
        start: vec![systemctl(&["daemon-reload"]), systemctl(&["enable", "--now", &socket])],
        stop: vec![systemctl(&["disable", "--now", &socket, &service])],
        forget: vec![systemctl(&["daemon-reload"])],
        is_enabled: systemctl(&["is-enabled", &socket]),
    }
}

fn socket_unit(job: &Job) -> String {
    let folder = if job.profile.is_default() { String::new() } else { format!("{}/", job.profile) };
    format!(
        "# {mark}\n[Unit]\nDescription=Socket of the AgentKeys daemon ({profile})\n\n[Socket]\n\
         ListenStream=%t/agentkeys/{folder}agent.sock\nSocketMode=0600\nDirectoryMode=0700\nRemoveOnStop=yes\n\n\
         [Install]\nWantedBy=sockets.target\n",
        mark = Service::MARK,
        profile = job.profile,
    )
}

fn service_unit(job: &Job, socket: &str) -> String {
    let credential = job.session_key.as_deref().map(credential).unwrap_or_default();
    let command: Vec<String> = job.command.iter().map(|word| quoted(word)).collect();
    format!(
        "# {mark}\n[Unit]\nDescription=AgentKeys daemon ({profile})\nRequires={socket}\nAfter={socket}\n\n[Service]\n\
         Type=notify\nExecStart={command}\nExecReload=/bin/kill -HUP $MAINPID\nRestart=on-failure\nRestartSec=10\n\
         {credential}{HARDENING}\n[Install]\nAlso={socket}\n",
        mark = Service::MARK,
        profile = job.profile,
        command = command.join(" "),
    )
}

fn credential(path: &Path) -> String {
    format!("LoadCredential=agentkeys-session-key:{}\n", path.display().to_string().replace('%', "%%"))
}

/// One word of a command line, in which nothing stands for anything else.
fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', r"\\").replace('"', r#"\""#).replace('%', "%%").replace('$', "$$");
    let is_plain = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'\\;".contains(&byte));
    if is_plain { escaped } else { format!("\"{escaped}\"") }
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    fn job(profile: &str, program: &str) -> Job {
        let command = [program, "--profile", profile, "daemon", "run"].map(str::to_owned).to_vec();
        Job { profile: profile.parse().unwrap(), command, session_key: Some("/etc/a b%/key".into()) }
    }

    #[test]
    fn each_profile_has_its_units_and_its_socket() {
        let service = service(&job("acme", "/usr/bin/agentkeys"), Path::new("/u"));

        let names: Vec<&Path> = service.files.iter().map(|(path, _)| path.as_path()).collect();
        assert_eq!(names, [Path::new("/u/agentkeys-acme.socket"), Path::new("/u/agentkeys-acme.service")]);
        assert!(service.files[0].1.contains("ListenStream=%t/agentkeys/acme/agent.sock\n"));
        let unit = &service.files[1].1;
        assert!(unit.contains("ExecStart=/usr/bin/agentkeys --profile acme daemon run\n"), "{unit}");
        assert!(unit.contains("LoadCredential=agentkeys-session-key:/etc/a b%%/key\n"), "{unit}");
    }

    #[test]
    fn no_word_of_the_command_stands_for_anything_else() {
        assert_eq!(quoted("/usr/bin/agentkeys"), "/usr/bin/agentkeys");
        assert_eq!(quoted("/home/a b/50%/$x"), "\"/home/a b/50%%/$$x\"");
        assert_eq!(quoted(r#"a"\;"#), r#""a\"\\;""#);
    }

    /// Where systemd is, it reads the units without a word.
    #[test]
    fn systemd_takes_the_units_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("agent keys");
        fs::copy("/bin/true", &program).unwrap();
        let service = service(&job("work", program.to_str().unwrap()), folder.path());
        for (path, text) in &service.files {
            fs::write(path, text).unwrap();
        }

        let mut verify = Command::new("systemd-analyze");
        verify.args(["--user", "--man=no", "verify"]).args(service.files.iter().map(|(path, _)| path));
        let Ok(ended) = verify.env("XDG_RUNTIME_DIR", folder.path()).output() else { return };

        let said = String::from_utf8_lossy(&ended.stderr);
        let about_ours: Vec<&str> = said.lines().filter(|line| line.contains("agentkeys-work")).collect();
        assert_eq!(about_ours, Vec::<&str>::new(), "{said}");
        assert!(ended.status.success(), "{said}");
    }
}
