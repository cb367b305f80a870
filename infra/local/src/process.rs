//! One child process: started, watched, killed, reaped.

use std::io;
use std::process::Stdio;

use tokio::process::Command;
use tokio::sync::watch;

/// A child process, or in tests something outside that plays its part. Dropping it kills the child.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    /// How it ended, once it has.
    ended: watch::Receiver<Option<String>>,
    kill: watch::Sender<bool>,
}

impl Process {
    /// Starts `command` with nothing on its standard input. A task of its own waits for its end, so that it never stays
    /// a zombie.
    ///
    /// # Errors
    /// The program cannot be started.
    pub(crate) fn spawn(mut command: Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::null()).kill_on_drop(true).spawn()?;
        let pid = child.id().expect("a child that was not waited for has an id");
        let (kill, mut killed) = watch::channel(false);
        let (end, ended) = watch::channel(None);
        tokio::spawn(async move {
            let status = tokio::select! {
                status = child.wait() => status,
                () = told_to_end(&mut killed) => {
                    if let Err(error) = child.start_kill() {
                        tracing::debug!(%error, pid, "killing a child");
                    }
                    child.wait().await
                }
            };
            end.send_replace(Some(status.map_or_else(|error| error.to_string(), |status| status.to_string())));
        });
        Ok(Self { pid, ended, kill })
    }

    /// A stand-in for a child process, for tests: it ends when it is killed and not before.
    pub(crate) fn outside() -> Self {
        let (kill, mut killed) = watch::channel(false);
        let (end, ended) = watch::channel(None);
        tokio::spawn(async move {
            told_to_end(&mut killed).await;
            end.send_replace(Some("signal: 9 (SIGKILL)".to_owned()));
        });
        Self { pid: 0, ended, kill }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Kills it (SIGKILL) without waiting; a repeat, or one after its end, changes nothing.
    pub(crate) fn kill(&self) {
        self.kill.send_replace(true);
    }

    pub(crate) fn alive(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// Waits for its end and returns how it ended; it is reaped then.
    pub(crate) async fn ended(&self) -> String {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(status) => status.clone().unwrap_or_default(),
            Err(_) => "the runtime has stopped".to_owned(),
        }
    }

    /// The most memory it has held at once, in bytes (`VmHWM`), where the system tells.
    pub(crate) fn peak_rss_bytes(&self) -> Option<u64> {
        if self.pid == 0 {
            return None;
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    }
}

/// An error means that the process's owner is gone: the same.
async fn told_to_end(killed: &mut watch::Receiver<bool>) {
    let _ = killed.wait_for(|kill| *kill).await;
}
