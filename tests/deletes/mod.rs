//! Deletes of records: what a client sees of them, that each rule behind them is needed, and that random schedules of
//! imports, deletes and replaces leave the catalogue that one event after the other leaves.

mod api;
mod replaces;
mod rules;
mod schedules;

use crate::support::{self, tables::ask_table};
