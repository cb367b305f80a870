//! The clock of the local cloud: the machine's, which tests shift forward.
//!
//! Everything here that stands for AWS time (visibility timeouts, delays, schedules, retry backoff, the expiry of
//! presigned URLs) goes by it. The functions read the same shift from a file, so that one call makes half an hour pass
//! for all of them. They do so in builds with the feature `faults` alone; without it nothing can shift the clock, and
//! there is no file.

use std::collections::HashMap;
use std::io;
use std::path::Path;
#[cfg(feature = "faults")]
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::pulse::Pulse;

/// The clock. Cheap to clone; all clones are one clock.
#[derive(Clone, Debug)]
pub struct LocalClock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    #[cfg(feature = "faults")]
    file: PathBuf,
    offset_ms: watch::Sender<i64>,
    /// What is waited for, by the alarms' numbers.
    alarms: Mutex<HashMap<u64, Moment>>,
    next_alarm: AtomicU64,
    /// Beats when anything in the cloud changes.
    activity: Pulse,
}

impl LocalClock {
    /// The clock of the local cloud whose files are in `folder`. Its shift is kept there in a file `clock`, in
    /// milliseconds, as decimal text.
    ///
    /// A file that is already there is gone on from, so that time does not run backwards over a restart; otherwise it
    /// is made, with no shift.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds something else than a number.
    #[cfg(feature = "faults")]
    pub(crate) fn open(folder: &Path, activity: Pulse) -> io::Result<Self> {
        let file = folder.join("clock");
        let offset_ms = match std::fs::read_to_string(&file) {
            Ok(text) => text.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_atomically(&file, "0")?;
                0
            }
            Err(error) => return Err(error),
        };
        let (offset_ms, _) = watch::channel(offset_ms);
        let (alarms, next_alarm) = (Mutex::default(), AtomicU64::new(0));
        Ok(Self { inner: Arc::new(Inner { file, offset_ms, alarms, next_alarm, activity }) })
    }

    /// The machine's clock.
    ///
    /// # Errors
    /// None in this build, which has no clock file.
    #[cfg(not(feature = "faults"))]
    pub(crate) fn open(_folder: &Path, activity: Pulse) -> io::Result<Self> {
        let (offset_ms, _) = watch::channel(0);
        let (alarms, next_alarm) = (Mutex::default(), AtomicU64::new(0));
        Ok(Self { inner: Arc::new(Inner { offset_ms, alarms, next_alarm, activity }) })
    }

    /// The environment variable that tells the functions of the shift.
    #[cfg(feature = "faults")]
    pub(crate) fn variable(&self) -> Option<(&'static str, String)> {
        Some((penstock_store::clock::FILE, self.inner.file.to_string_lossy().into_owned()))
    }

    /// Nothing: this build's functions know no shift.
    #[cfg(not(feature = "faults"))]
    pub(crate) fn variable(&self) -> Option<(&'static str, String)> {
        None
    }

    /// Milliseconds since the Unix epoch, shift included.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        real_ms() + *self.inner.offset_ms.borrow()
    }

    /// Lets `by` pass at once, for the local cloud and its functions, and wakes whatever waits for a moment that has
    /// come by that. Two calls let twice the time pass.
    ///
    /// # Errors
    /// The file cannot be written; then no time has passed.
    #[cfg(feature = "faults")]
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

    /// An alarm at a time in milliseconds since the epoch. It is set when this returns.
    pub(crate) fn alarm(&self, at_ms: i64) -> Alarm {
        self.set(Moment::At(at_ms))
    }

    /// An alarm for when this clock is next advanced. It is set when this returns.
    pub(crate) fn next_advance(&self) -> Alarm {
        self.set(Moment::Advanced { from_ms: *self.inner.offset_ms.borrow() })
    }

    fn set(&self, moment: Moment) -> Alarm {
        let number = self.inner.next_alarm.fetch_add(1, Ordering::Relaxed);
        self.alarms().insert(number, moment);
        Alarm { clock: self.clone(), number, moment }
    }

    /// Whether the moment of an alarm that is still held has come: its work has not begun.
    pub(crate) fn is_due(&self) -> bool {
        let offset_ms = *self.inner.offset_ms.borrow();
        let now_ms = real_ms() + offset_ms;
        self.alarms().values().any(|moment| match *moment {
            Moment::At(at_ms) => at_ms <= now_ms,
            Moment::Advanced { from_ms } => from_ms != offset_ms,
        })
    }

    fn alarms(&self) -> MutexGuard<'_, HashMap<u64, Moment>> {
        self.inner.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an alarm waits for.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// A time, in milliseconds since the epoch.
    At(i64),
    /// Another shift than this one.
    Advanced { from_ms: i64 },
}

/// A moment that work waits for.
///
/// The holder drops it when the work has begun. Until then [`LocalClock::is_due`] is true, so the cloud never looks
/// quiet between a moment and its work.
#[derive(Debug)]
pub(crate) struct Alarm {
    clock: LocalClock,
    number: u64,
    moment: Moment,
}

impl Alarm {
    /// Returns once the moment has come, at once if it has already.
    pub(crate) async fn rings(&self) {
        match self.moment {
            Moment::At(at_ms) => self.clock.sleep_until(at_ms).await,
            Moment::Advanced { from_ms } => {
                let mut shifts = self.clock.inner.offset_ms.subscribe();
                shifts.wait_for(|offset_ms| *offset_ms != from_ms).await.expect("the sender lives in self");
            }
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.clock.alarms().remove(&self.number);
        self.clock.inner.activity.beat();
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

#[cfg(feature = "faults")]
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
        let clock = LocalClock::open(dir.path(), Pulse::new()).unwrap();
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
        assert_eq!(std::fs::read_to_string(dir.path().join("clock")).unwrap(), "3600000");

        let again = LocalClock::open(dir.path(), Pulse::new()).unwrap();
        assert!(again.now_ms() >= before + 3_600_000);
    }

    #[tokio::test]
    async fn a_moment_that_has_come_is_due_until_its_alarm_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let clock = LocalClock::open(dir.path(), Pulse::new()).unwrap();
        let (hour, advance) = (clock.alarm(clock.now_ms() + 3_600_000), clock.next_advance());
        assert!(!clock.is_due());
        clock.advance(Duration::from_secs(1800)).unwrap();
        assert!(clock.is_due());
        advance.rings().await;
        assert!(clock.is_due());
        drop(advance);
        assert!(!clock.is_due());
        clock.advance(Duration::from_secs(1800)).unwrap();
        hour.rings().await;
        assert!(clock.is_due());
        drop(hour);
        assert!(!clock.is_due());
    }

    #[test]
    fn a_moment_is_written_as_events_carry_it() {
        assert_eq!(rfc3339(1_700_000_000_007), "2023-11-14T22:13:20.007Z");
    }
}
