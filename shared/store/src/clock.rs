//! The one clock.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

/// Tells the time: the system's, or the system's shifted by what a file says, so that the local cloud can advance time for itself and for
/// the functions that it runs.
#[derive(Debug, Clone)]
pub struct Clock {
    shift: Option<PathBuf>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self { shift: None }
    }

    /// The system's clock plus the milliseconds that the file holds in decimal. It is read again at every look.
    pub fn shifted(file: PathBuf) -> Self {
        Self { shift: Some(file) }
    }

    /// Now, in Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        let system = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let shift = self.shift.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        system + shift.and_then(|text| text.trim().parse::<i64>().ok()).unwrap_or(0)
    }
}
