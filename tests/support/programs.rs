//! Programs that some tests need and a machine may lack.

use std::{
    io::ErrorKind,
    os::unix::process::CommandExt,
    process::{Child, Command},
};

/// Says why a test is not run. It fails where `CI` is `true`: there nothing may be left out.
pub fn left_out(why: &str) {
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{why}, and CI leaves nothing out");
    println!("NOT RUN: {why}");
}

/// A program with all the processes that it has started, until it is dropped.
pub struct Group(pub Child);

impl Group {
    /// Starts a program; `None` where the machine does not have it.
    pub fn start(command: &mut Command) -> Option<Self> {
        match command.process_group(0).spawn() {
            Ok(child) => Some(Self(child)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => panic!("{command:?}: {error}"),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).status();
        let _ = self.0.wait();
    }
}
