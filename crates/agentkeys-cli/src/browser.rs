use std::{process::Stdio, time::Duration};

use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::{child::Environment, surroundings};

/// What ends badly does so sooner; what goes on for longer is the browser itself.
const LONGEST_START: Duration = Duration::from_secs(2);

/// Opens `url` in a browser of this machine, and says whether that went well.
///
/// The browser gets the URL and nothing else: no secret of the environment, not our input, and no word on our screen.
pub(crate) async fn open(url: &str) -> bool {
    for command in commands(surroundings::wanted_browsers().as_deref(), url) {
        if let Ok(child) = start(&command)
            && has_opened(child).await
        {
            return true;
        }
    }
    false
}

/// The programs to try, in order, with their arguments.
fn commands(wanted: Option<&str>, url: &str) -> Vec<Vec<String>> {
    let wanted = wanted.map(|browsers| browsers.split(':').filter_map(|browser| filled_in(browser, url)).collect());
    wanted.unwrap_or_else(|| {
        let program: &[&str] = if cfg!(target_os = "macos") { &["open"] } else { &["xdg-open"] };
        vec![program.iter().copied().chain([url]).map(str::to_owned).collect()]
    })
}

/// One command of `$BROWSER`: the URL stands where `%s` does, or at its end.
fn filled_in(browser: &str, url: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = browser.split_whitespace().map(|word| word.replace("%s", url)).collect();
    words.first()?;
    if !browser.contains("%s") {
        words.push(url.to_owned());
    }
    Some(words)
}

fn start(words: &[String]) -> std::io::Result<Child> {
    let (program, arguments) = words.split_first().ok_or(std::io::ErrorKind::NotFound)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.env_clear().envs(Environment::inherited().into_variables());
    // Of its own: Ctrl-C in this terminal is not for the browser.
    #[cfg(unix)]
    command.process_group(0);
    command.spawn()
}

async fn has_opened(mut child: Child) -> bool {
    match timeout(LONGEST_START, child.wait()).await {
        Ok(ended) => ended.is_ok_and(|status| status.success()),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://broker.example.com/oauth/authorize?a=1&b=2";

    #[test]
    fn the_browsers_that_a_person_wants_come_first_and_alone() {
        assert_eq!(
            commands(Some("firefox --new-tab:w3m %s -o x:"), URL),
            [vec!["firefox", "--new-tab", URL], vec!["w3m", URL, "-o", "x"]]
        );
        assert_eq!(commands(None, URL).len(), 1);
    }

    #[tokio::test]
    async fn a_program_that_is_missing_or_fails_opens_nothing() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();

        assert!(start(&words("/nonexistent/browser")).is_err());
        assert!(!has_opened(start(&words("false")).unwrap()).await);
        assert!(has_opened(start(&words("true")).unwrap()).await);
    }

    #[tokio::test]
    async fn a_browser_gets_no_secret_and_cannot_read_what_is_typed() {
        let script = "test \"$(cat | wc -c)\" -eq 0 && test -z \"$AWS_SECRET_ACCESS_KEY\" && test -n \"$PATH\"";

        let child = start(&["sh".to_owned(), "-c".to_owned(), script.to_owned()]).unwrap();

        assert!(has_opened(child).await);
    }
}
