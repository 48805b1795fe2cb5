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

use samples::Words;

const PLAIN: Words<'_> = Words {
    machine: "build-7",
    label: "Acme",
    value: "ada@example.com",
    detail: "temporarily unavailable",
    typed: "ada@example",
    code: "K7Q4-MF2X",
    hidden: "1",
};

/// What a page must bear.
const LONG: Words<'_> = Words {
    machine: "<script>alert(1)</script> build-machine-of-the-whole-company-number-0000000000000000007",
    label: "The identity provider of a company with a very long name",
    value: "augusta.ada.king.countess.of.lovelace.0123456789@analytical-engines.department.of.a.university.example",
    detail: "AADSTS50105: the signed in user is not assigned to a role for the application; \"><b>ask</b> your administrator",
    typed: "augusta.ada.king.countess.of.lovelace.0123456789@analytical-engines",
    code: "WWWW-WWWW",
    hidden: "1",
};

#[derive(Parser)]
struct Arguments {
    /// The folder, which is made if it is not there
    folder: PathBuf,
}

fn main() -> Result<()> {
    let Arguments { folder } = Arguments::parse();
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("style.css"), include_str!("../templates/pages/style.css"))?;
    for (name, page) in PLAIN.pages() {
        fs::write(folder.join(name + ".html"), page.html().replace(STYLE_PATH, "style.css"))?;
    }
    for (name, page) in LONG.pages() {
        fs::write(folder.join(name + "-long.html"), page.html().replace(STYLE_PATH, "style.css"))?;
    }
    Ok(())
}
