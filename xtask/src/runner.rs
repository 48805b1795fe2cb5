use std::process::Command;

use crate::workspace::Workspace;

/// The integration tests that hold a crate against real parts, a module for each part.
const REAL_PARTS: &str = "real_parts";

/// What leaves the development signer out of whatever is built.
pub(crate) const WITHOUT_DEVELOPMENT_SIGNER: [&str; 1] = ["--no-default-features"];

/// What runs the tests: nextest where it is installed, cargo otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    Cargo,
    Nextest,
}

impl Runner {
    /// The best one on this machine.
    pub(crate) fn installed(workspace: &Workspace) -> Self {
        let version = workspace.cargo(&["nextest", "--version"]).output();
        if version.is_ok_and(|output| output.status.success()) { Self::Nextest } else { Self::Cargo }
    }

    /// Every test that needs no real part.
    pub(crate) fn without_parts(self, workspace: &Workspace) -> Command {
        workspace.cargo(self.every_binary())
    }

    /// Every test, but for those modules of `real_parts` whose part is missing.
    ///
    /// `#[ignore]` is for tests that need a part, and for nothing else, since all of them run here.
    pub(crate) fn everything(self, workspace: &Workspace, left_out: &[&str]) -> Command {
        let mut command = self.without_parts(workspace);
        match self {
            Self::Cargo => {
                command.args(["--", "--include-ignored"]);
                command.args(left_out.iter().flat_map(|module| ["--skip".to_owned(), format!("{module}::")]));
            }
            Self::Nextest => {
                command.args(["--run-ignored", "all"]);
                if !left_out.is_empty() {
                    let modules = left_out.join("|");
                    command.arg("-E").arg(format!("not (binary({REAL_PARTS}) & test(/^({modules})::/))"));
                }
            }
        }
        command
    }

    /// The tests that start the real binaries.
    pub(crate) fn end_to_end(self, workspace: &Workspace) -> Command {
        let mut command = workspace.cargo(match self {
            Self::Cargo => &["test", "--workspace"],
            Self::Nextest => &["nextest", "run", "--workspace"],
        });
        command.args(["--test", "end_to_end"]);
        command
    }

    /// The same with the TEE worker as the signer, and binaries in which there is no development signer.
    ///
    /// `agentkeys dev` is left out: it is a development signer, and more.
    pub(crate) fn end_to_end_with_worker(self, workspace: &Workspace) -> Command {
        let mut command = self.end_to_end(workspace);
        command.args(WITHOUT_DEVELOPMENT_SIGNER).env("AGENTKEYS_TEST_SIGNER", "worker");
        command.args(match self {
            Self::Cargo => ["--", "--skip", "dev::", "--skip", "another_signer::"].as_slice(),
            Self::Nextest => &["-E", "not test(/^(dev|another_signer)::/)"],
        });
        command
    }

    fn every_binary(self) -> &'static [&'static str] {
        match self {
            Self::Cargo => &["test", "--workspace", "--tests", "--no-fail-fast"],
            Self::Nextest => &["nextest", "run", "--workspace"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invocation::by_hand;

    #[test]
    fn with_all_parts_every_test_runs() {
        let workspace = Workspace::find().unwrap();

        let [cargo, nextest] = [Runner::Cargo, Runner::Nextest].map(|runner| runner.everything(&workspace, &[]));

        assert_eq!(by_hand(&cargo), "cargo test --workspace --tests --no-fail-fast -- --include-ignored");
        assert_eq!(by_hand(&nextest), "cargo nextest run --workspace --run-ignored all");
    }

    #[test]
    fn the_worker_is_tested_end_to_end_without_a_development_signer() {
        let workspace = Workspace::find().unwrap();

        let command = by_hand(&Runner::Nextest.end_to_end_with_worker(&workspace));

        assert!(command.starts_with("AGENTKEYS_TEST_SIGNER=worker cargo nextest run"), "{command}");
        assert!(
            command.ends_with("--test end_to_end --no-default-features -E 'not test(/^(dev|another_signer)::/)'"),
            "{command}"
        );
    }

    #[test]
    fn the_tests_of_a_missing_part_are_left_out() {
        let workspace = Workspace::find().unwrap();

        let cargo = Runner::Cargo.everything(&workspace, &["ceph", "boto3"]);
        let nextest = Runner::Nextest.everything(&workspace, &["ceph", "boto3"]);

        assert!(by_hand(&cargo).ends_with("-- --include-ignored --skip ceph:: --skip boto3::"));
        assert!(by_hand(&nextest).ends_with("-E 'not (binary(real_parts) & test(/^(ceph|boto3)::/))'"));
    }
}
