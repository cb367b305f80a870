//! Credentials: whose requests the command sends on AWS, and what signs URLs for clients.

mod chain;
mod providers;
mod signer;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::support::Stack;

/// Variables of AWS, by which the local cloud's own credentials and region are told.
const OWN: [&str; 4] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"];

/// What a stack's functions are told, but for these variables.
fn without(stack: &Stack, left_out: &[&str]) -> Vec<(String, String)> {
    stack.cloud.environment().iter().filter(|(name, _)| !left_out.contains(&name.as_str())).cloned().collect()
}

fn variables<const N: usize>(variables: [(&str, &str); N]) -> Vec<(String, String)> {
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// The command in this environment and no other, with the folder as its user's home. It does not look for an instance
/// that it runs on, unless it is told one.
fn penstock(home: &Path, arguments: &[&str], environment: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.args(arguments).env_clear().env("HOME", home);
    if !environment.iter().any(|(name, _)| name == "AWS_EC2_METADATA_SERVICE_ENDPOINT") {
        command.env("AWS_EC2_METADATA_DISABLED", "true");
    }
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

/// `penstock serve` until it is dropped.
struct Served {
    process: Child,
    url: String,
    home: TempDir,
}

impl Served {
    /// Starts it on a free port and waits until it listens.
    fn start(environment: &[(String, String)]) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let log = std::fs::File::create(home.path().join("log")).expect("a file");
        let mut command = penstock(home.path(), &["serve", "--listen", "127.0.0.1:0"], environment);
        let mut process = command.stdout(Stdio::piped()).stderr(log).spawn().expect("it runs");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("Penstock listens on ").map(str::to_owned);
        let mut served = Self { process, url: String::new(), home };
        served.url = url.unwrap_or_else(|| panic!("it does not listen: {}", served.log()));
        served
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).expect("text")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
