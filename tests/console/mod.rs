//! The console in a real browser: what people do with it, and what must not happen to them.

mod browser;
mod figures;
mod hostile;
mod itself;
mod journeys;
mod keyboard;
mod keys;
mod large;
mod line;
mod look;
mod others;
mod shop;
mod words;

use crate::support;
