//! A property list of launchd.

use std::path::Path;

use super::service::{Job, Service};

/// In the person's `Library`.
pub(super) fn service(job: &Job, library: &Path) -> Service {
    let path = library.join("LaunchAgents").join(format!("{}.plist", job.name()));
    let log = library.join("Logs").join(format!("{}.log", job.name()));
    let domain = format!("gui/{}", rustix::process::getuid().as_raw());
    let target = format!("{domain}/{}", job.name());
    let launchctl = |words: &[&str]| ["launchctl"].iter().chain(words).map(|&word| word.to_owned()).collect();
    Service {
        start: vec![launchctl(&["bootstrap", &domain, &path.display().to_string()])],
        files: vec![(path, plist(job, &log))],
        stop: vec![launchctl(&["bootout", &target])],
        forget: Vec::new(),
        is_enabled: launchctl(&["print", &target]),
    }
}

fn plist(job: &Job, log: &Path) -> String {
    // Without a socket that launchd keeps for it, nothing starts it anew once somebody has signed in.
    let words = job.command.iter().map(String::as_str).chain(["--wait"]);
    let words = words.map(|word| format!("    <string>{}</string>\n", escaped(word)));
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- {mark} -->
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{name}</string>
  <key>ProgramArguments</key>
  <array>
{words}  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>StandardErrorPath</key>
  <string>{log}</string>
  <key>ProcessType</key>
  <string>Background</string>
  <key>HardResourceLimits</key>
  <dict>
    <key>Core</key>
    <integer>0</integer>
  </dict>
</dict>
</plist>
"#,
        mark = Service::MARK,
        name = job.name(),
        words = words.collect::<String>(),
        log = escaped(&log.display().to_string()),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    /// Where Python is, its reader of property lists reads what was meant.
    #[test]
    fn a_property_list_says_what_is_to_run() {
        const READ: &str = "import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
        let folder = tempfile::tempdir().unwrap();
        let command = ["/Applications/A & <B>/agentkeys", "daemon", "run"].map(str::to_owned).to_vec();
        let job = Job { profile: "work".parse().unwrap(), command: command.clone(), session_key: None };
        let service = service(&job, folder.path());
        let (path, text) = &service.files[0];
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();

        assert!(path.ends_with("LaunchAgents/agentkeys-work.plist"));
        let Ok(ended) = Command::new("python3").args(["-c", READ]).arg(path).output() else { return };
        let read: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!(read["ProgramArguments"], serde_json::json!([&command[..], &["--wait".to_owned()]].concat()));
        assert_eq!(read["StandardErrorPath"], folder.path().join("Logs/agentkeys-work.log").display().to_string());
        assert_eq!((&read["Label"], &read["KeepAlive"]["SuccessfulExit"]), (&"agentkeys-work".into(), &false.into()));
    }
}
