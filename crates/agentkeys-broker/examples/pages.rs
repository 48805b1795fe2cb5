//! Writes every page into a folder, to be looked at without a broker.

use std::{fs, path::PathBuf};

use agentkeys_broker::pages::{
    Asking, CodeFault, Confirm, ConfirmErrand, Device, DeviceFault, Done, EmailCode, EmailFault, EmailField, Errand,
    ErrorPage, Failure, Hidden, Page, ProviderChoice, STYLE_PATH, Shown, ShownIdentity, SignIn, When,
};
use anyhow::Result;
use clap::Parser;

#[path = "../src/pages/samples.rs"]
mod samples;

#[derive(Parser)]
struct Arguments {
    /// The folder, which is made if it is not there
    folder: PathBuf,
}

fn main() -> Result<()> {
    let Arguments { folder } = Arguments::parse();
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("style.css"), include_str!("../templates/pages/style.css"))?;
    let words = samples::Words {
        machine: "build-7",
        label: "Acme",
        value: "ada@example.com",
        detail: "temporarily unavailable",
        typed: "K7Q4-MF2X",
        hidden: "1",
    };
    for (name, page) in words.pages() {
        fs::write(folder.join(name + ".html"), page.html().replace(STYLE_PATH, "style.css"))?;
    }
    Ok(())
}
