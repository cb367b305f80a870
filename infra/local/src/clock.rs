//! The clock of the local cloud: the machine's, shifted forward by as much as its owner asks.
//!
//! Everything here that stands for AWS time (visibility timeouts, delays, schedules, retry backoff, the expiry of presigned URLs) goes
//! by it. The functions read the same shift from a file, so that one call makes half an hour pass for all of them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// The owner of the shifted clock. Cheap to clone; all clones are one clock.
#[derive(Clone, Debug)]
pub struct LocalClock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    offset_ms: watch::Sender<i64>,
}

impl LocalClock {
    /// A clock whose shift is kept in `file`, in milliseconds, as decimal text.
    ///
    /// A file that is already there is gone on from, so that time does not run backwards over a restart; otherwise it is made, with
    /// no shift.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds something else than a number.
    pub fn open(file: PathBuf) -> io::Result<Self> {
        let offset_ms = match std::fs::read_to_string(&file) {
            Ok(text) => text.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_atomically(&file, "0")?;
                0
            }
            Err(error) => return Err(error),
        };
        let (offset_ms, _) = watch::channel(offset_ms);
        Ok(Self { inner: Arc::new(Inner { file, offset_ms }) })
    }

    /// The file that tells the functions the shift; they get its path as `PENSTOCK_CLOCK`.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.inner.file
    }

    /// Milliseconds since the Unix epoch, shift included.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        real_ms() + *self.inner.offset_ms.borrow()
    }

    /// Lets `by` pass at once, for the local cloud and its functions, and wakes whatever waits for a moment that has come by that.
    /// Two calls let twice the time pass.
    ///
    /// # Errors
    /// The file cannot be written; then no time has passed.
    pub fn advance(&self, by: Duration) -> io::Result<()> {
        let by_ms =
            i64::try_from(by.as_millis()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut result = Ok(());
        self.inner.offset_ms.send_if_modified(|offset_ms| {
            let shifted = offset_ms.saturating_add(by_ms);
            result = write_atomically(&self.inner.file, &shifted.to_string());
            if result.is_ok() {
                *offset_ms = shifted;
            }
            result.is_ok()
        });
        result
    }

    /// Returns once this clock shows `deadline_ms`, at once if it does already. Dropping the future forgets the wait.
    pub async fn sleep_until(&self, deadline_ms: i64) {
        let mut shifts = self.inner.offset_ms.subscribe();
        loop {
            shifts.mark_unchanged();
            let Ok(left_ms) = u64::try_from(deadline_ms.saturating_sub(self.now_ms())) else { return };
            if left_ms == 0 {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(left_ms)) => {}
                changed = shifts.changed() => changed.expect("the sender lives in self"),
            }
        }
    }

    /// Resolves at the next call of [`LocalClock::advance`] made after this one was called.
    pub fn advanced(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut shifts = self.inner.offset_ms.subscribe();
        async move {
            // An error means that the clock is gone: then it will never be advanced.
            if shifts.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// The machine's time in milliseconds since the Unix epoch.
pub(crate) fn real_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `ms` since the epoch as RFC 3339 with milliseconds, as AWS events carry it.
pub(crate) fn rfc3339(ms: i64) -> String {
    let format =
        time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .ok()
        .and_then(|at| at.format(format).ok())
        .unwrap_or_default()
}

fn write_atomically(file: &Path, text: &str) -> io::Result<()> {
    let temporary = file.with_extension("new");
    std::fs::write(&temporary, text)?;
    std::fs::rename(&temporary, file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn advancing_wakes_a_sleeper_and_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let clock = LocalClock::open(dir.path().join("clock")).unwrap();
        let before = clock.now_ms();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(before + 3_600_000).await }
        });
        clock.advance(Duration::from_secs(1800)).unwrap();
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1800)).unwrap();
        sleeper.await.unwrap();
        assert!(clock.now_ms() >= before + 3_600_000);
        assert_eq!(std::fs::read_to_string(clock.file()).unwrap(), "3600000");

        let again = LocalClock::open(clock.file().to_owned()).unwrap();
        assert!(again.now_ms() >= before + 3_600_000);
    }

    #[test]
    fn a_moment_is_written_as_events_carry_it() {
        assert_eq!(rfc3339(1_700_000_000_007), "2023-11-14T22:13:20.007Z");
    }
}
