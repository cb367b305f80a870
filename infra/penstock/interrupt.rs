//! Interruptions: SIGINT, SIGTERM and SIGHUP, which a terminal sends when it is closed.

use crate::output;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
};

/// Interruptions as they come. From [`Interrupts::catch`] on they no longer end the process.
#[derive(Debug)]
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where it is ignored, as under `nohup`, whose users mean it.
    hangup: Option<Signal>,
}

impl Interrupts {
    /// # Errors
    /// The signals cannot be caught.
    pub(crate) fn catch() -> anyhow::Result<Self> {
        let hangup = if is_ignored(SignalKind::hangup()) { None } else { Some(signal(SignalKind::hangup())?) };
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, hangup })
    }

    /// Resolves at the next of them. Dropped before, it has lost none.
    pub(crate) async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }
}

/// Has a write to a file that may not become larger (`ulimit -f`) fail as one to a full disk does, instead of ending
/// the process without a word: from here on the signal that comes with it does nothing.
///
/// # Errors
/// The signal cannot be caught.
pub(crate) fn outlive_full_files() -> anyhow::Result<Signal> {
    Ok(signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?)
}

/// Catches interruptions for a command that says nothing of its own then: what it was writing goes, and the process
/// ends, whatever its other threads wait for.
///
/// # Errors
/// The signals cannot be caught.
pub(crate) fn end_when_interrupted() -> anyhow::Result<()> {
    end_saying("nothing is written")?;
    Ok(())
}

/// As [`end_when_interrupted`], for a command that has asked a service to change something.
///
/// # Errors
/// The signals cannot be caught.
pub(crate) fn end_when_interrupted_in_a_change() -> anyhow::Result<()> {
    end_saying("the service may have done what it was asked for")?;
    Ok(())
}

/// Asks a person, who may interrupt instead of answering: the command ends as after a no, which `no` tells.
///
/// # Errors
/// The signals cannot be caught, or the question failed.
pub(crate) fn while_asking<T>(no: &str, ask: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let watching = end_saying(no)?;
    let answer = ask();
    watching.abort();
    answer
}

fn end_saying(what: &str) -> anyhow::Result<JoinHandle<()>> {
    let (mut interrupts, what) = (Interrupts::catch()?, what.to_owned());
    Ok(tokio::spawn(async move {
        interrupts.next().await;
        output::discard_pending();
        note!("penstock: interrupted; {what}");
        std::process::exit(1);
    }))
}

/// Whether whoever started this process had it ignore a signal: proc_pid_status(5), `SigIgn`. Where there is no such
/// file, it did not.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}
