use std::path::Path;

/// What a machine has, as far as it decides where a person can sign in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// Whether windows can be shown.
    pub(crate) has_display: bool,
    /// Whether the person sits at another machine.
    pub(crate) is_remote: bool,
    /// Whether it is a container, whose loopback interface no browser reaches.
    pub(crate) is_container: bool,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_this_process() -> Self {
        let has_its_own = cfg!(any(target_os = "macos", windows));
        Self {
            has_display: has_its_own || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"),
            is_remote: is_set("SSH_CONNECTION") || is_set("SSH_TTY"),
            is_container: is_set("container")
                || is_set("KUBERNETES_SERVICE_HOST")
                || Path::new("/.dockerenv").exists()
                || Path::new("/run/.containerenv").exists(),
        }
    }

    /// Whether a browser that is opened here is before the person's eyes, and can come back to this process.
    pub(crate) fn have_a_browser(self) -> bool {
        self.has_display && !self.is_remote && !self.is_container
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads where this process runs: none is a setting")]
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// The commands that the person wants for browsers, each with `%s` for the URL (the convention of xdg-utils).
#[expect(clippy::disallowed_methods, reason = "the one place that reads where this process runs: none is a setting")]
pub(crate) fn wanted_browsers() -> Option<String> {
    std::env::var("BROWSER").ok().filter(|browsers| !browsers.trim().is_empty())
}
