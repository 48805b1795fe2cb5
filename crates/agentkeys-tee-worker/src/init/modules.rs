use std::{
    fs::{self, File},
    path::Path,
};

use anyhow::{Context, Result};
use rustix::system::finit_module;

/// The modules of the image, and the file that lists them, each after those that it needs.
const FOLDER: &str = "/lib/modules";
const ORDER: &str = "order";

/// Loads the kernel's modules in the order in which the image lists them.
pub(super) fn load() -> Result<()> {
    let folder = Path::new(FOLDER);
    let order = fs::read_to_string(folder.join(ORDER)).context("the image does not list its modules")?;
    for name in order.lines() {
        let module = File::open(folder.join(name)).with_context(|| format!("the image has no module {name}"))?;
        finit_module(module, c"", 0).with_context(|| format!("the kernel does not take the module {name}"))?;
    }
    Ok(())
}
