use anyhow::Result;

use super::{Parts, python::Python};
use crate::{
    console::{say, step},
    invocation::run,
    workspace::Workspace,
};

/// Fails when `testdata/vectors.json` is not what the independent implementations make.
pub(crate) fn check(workspace: &Workspace, parts: &Parts) -> Result<()> {
    if !parts.have(&Python) {
        say("   left out for want of Python: whether testdata/vectors.json is what vectors.py makes");
        return Ok(());
    }
    let python = workspace.target("parts/venv/bin")?.join("python");
    let mut script = workspace.command(&python.to_string_lossy(), &["testdata/vectors.py", "--check"]);
    step("vectors", || run(&mut script))
}
