//! `penstock serve` in front of a stack.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use super::support::Stack;

/// A process that serves the API; it ends with this value.
pub(super) struct FrontDoor {
    process: Child,
    /// `http://<address>`
    pub(super) url: String,
}

impl FrontDoor {
    /// Starts `penstock serve` on a free port, with these arguments too, and waits until it listens.
    pub(super) fn open(stack: &Stack, arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_penstock"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .envs(stack.cloud.environment().iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("Penstock listens on ").expect("its address").to_owned();
        Self { process, url }
    }

    /// The process's id.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for FrontDoor {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
