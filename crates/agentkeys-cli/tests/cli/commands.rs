//! The command line, as data: each file of `tests/cmd` is one call and what comes of it.

use crate::bench::Home;

#[test]
fn each_call_ends_as_its_file_says() {
    let home = Home::new();
    let cases = trycmd::TestCases::new();
    for (name, value) in home.environment() {
        cases.env(name, value);
    }

    cases.case("tests/cmd/*.toml").run();
}
