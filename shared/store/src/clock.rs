//! The one clock.

#[cfg(feature = "faults")]
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// The variable that names the file that shifts the clock.
#[cfg(feature = "faults")]
pub const FILE: &str = "PENSTOCK_CLOCK";

/// Tells the time: the system's. With the feature `faults` it may be shifted by what a file says, so that the local
/// cloud can advance time for itself and for the functions that it runs.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    #[cfg(feature = "faults")]
    shift: Option<PathBuf>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// The system's clock plus the milliseconds that the file holds in decimal. It is read again at every look.
    #[cfg(feature = "faults")]
    pub fn shifted(file: PathBuf) -> Self {
        Self { shift: Some(file) }
    }

    /// Now, in Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        let system_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        system_ms + self.shift_ms()
    }

    #[cfg(feature = "faults")]
    fn shift_ms(&self) -> i64 {
        let text = self.shift.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    #[cfg(not(feature = "faults"))]
    fn shift_ms(&self) -> i64 {
        0
    }
}
