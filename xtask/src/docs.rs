mod http_api;

use std::{fs, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    console::{say, step},
    invocation,
    workspace::Workspace,
};

/// A page of `docs/reference`, made from what our binaries say about themselves.
struct Page {
    path: &'static str,
    /// What is run, one after the other.
    commands: &'static [(&'static str, &'static [&'static str])],
    /// From what the binary prints to Markdown.
    render: fn(&str) -> Result<String>,
}

const PAGES: [Page; 4] = [
    Page { path: "docs/reference/commands.md", commands: &[("agentkeys", &["docs", "commands"])], render: as_printed },
    Page {
        path: "docs/reference/http-api.md",
        commands: &[("agentkeys-broker", &["docs", "openapi"])],
        render: http_api::render,
    },
    Page {
        path: "docs/reference/settings.md",
        commands: &[("agentkeys-broker", &["docs", "settings"]), ("agentkeys-tee-worker", &["docs", "settings"])],
        render: as_printed,
    },
    Page {
        path: "docs/reference/signer-api.md",
        commands: &[("agentkeys-tee-worker", &["docs", "openapi"])],
        render: http_api::render,
    },
];

/// The flags of `cargo xtask docs`.
#[derive(Args)]
pub(crate) struct Docs {
    /// Write nothing, and fail when a page is out of date
    #[arg(long)]
    check: bool,
}

impl Docs {
    /// `cargo xtask docs`: writes or checks the reference.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<ExitCode> {
        workspace.build()?;
        step("reference", || if self.check { check(workspace) } else { write(workspace) })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Fails when a page is not what the binaries, already built, say.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut outdated = Vec::new();
    for page in &PAGES {
        let written = fs::read_to_string(workspace.path(page.path)).unwrap_or_default();
        if written != page.make(workspace)? {
            outdated.push(page.path);
        }
    }
    if !outdated.is_empty() {
        bail!("out of date: {}\nby hand: cargo xtask docs", outdated.join(", "));
    }
    Ok(())
}

fn write(workspace: &Workspace) -> Result<()> {
    for page in &PAGES {
        let path = workspace.path(page.path);
        fs::create_dir_all(path.parent().context("a page lies in a folder")?)?;
        fs::write(&path, page.make(workspace)?).with_context(|| format!("cannot write {}", path.display()))?;
        say(&format!("   {}", page.path));
    }
    Ok(())
}

impl Page {
    fn make(&self, workspace: &Workspace) -> Result<String> {
        let mut printed = Vec::new();
        for (binary, arguments) in self.commands {
            let binary = workspace.binary(binary);
            printed.push(invocation::output_of(&mut workspace.command(&binary.to_string_lossy(), arguments))?);
        }
        let rendered = (self.render)(&printed.join("\n")).with_context(|| self.path)?;
        Ok(format!("<!-- Made by `cargo xtask docs`: change the code instead. -->\n\n{}\n", rendered.trim()))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "stands beside renderers that can fail")]
fn as_printed(printed: &str) -> Result<String> {
    Ok(printed.to_owned())
}
