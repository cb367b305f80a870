//! `measure COMMAND [ARGUMENT]...` runs a command and prints, as a line of JSON on standard error, what it used:
//! seconds of CPU (user and system) and of the clock, the most memory it held at once in bytes, and its exit code.
//!
//! It is small, and stands between whoever measures and what is measured: a process starts with the peak of the one
//! that started it.

use std::{process::Command, time::Instant};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::{TimeVal, TimeValLike},
};

fn seconds(time: TimeVal) -> f64 {
    time.num_microseconds() as f64 / 1e6
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().ok_or("usage: measure COMMAND [ARGUMENT]...")?;
    let started = Instant::now();
    let status = Command::new(program).args(arguments).status()?;
    let wall = started.elapsed().as_secs_f64();
    // Of the children that have been waited for, which is that one alone.
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let code = status.code().map_or("null".to_owned(), |code| code.to_string());
    let cpu = seconds(used.user_time()) + seconds(used.system_time());
    eprintln!("{{\"cpu\":{cpu:.4},\"wall\":{wall:.4},\"peak\":{},\"code\":{code}}}", used.max_rss() * 1024);
    Ok(())
}
