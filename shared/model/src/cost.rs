//! What the rows of an import cost, as an estimate: nothing counts what a single import asks of AWS.
//!
//! `penstock cost` counts what imports of rows that are new, changed, unchanged and bad ask of the services, and prices
//! that; these are its figures, as `infra/cost/measured.json` has them, which a test of the command holds them to.

use serde::{Deserialize, Serialize};

use crate::Rows;

/// Dollars of a million new rows, in ten-thousandths.
pub const NEW: u64 = 6_419;

/// Dollars of a million rows that change their records, in ten-thousandths.
pub const UPDATED: u64 = 7_723;

/// Dollars of a million rows whose records are read and left as they were, in ten-thousandths.
pub const READ: u64 = 1_406;

/// Dollars of a million rejected rows, in ten-thousandths.
pub const FAILED: u64 = 137;

/// The region whose prices these are.
pub const REGION: &str = "us-east-1";

/// The day of the prices.
pub const PRICES: &str = "2026-11-22";

/// What the rows of an import cost, estimated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CostEstimate {
    /// US dollars, to the millionth: those of its rows, and of records that it removed.
    pub dollars: f64,
    /// The region whose prices it takes.
    pub region: String,
    /// The day of the prices.
    pub prices: String,
}

/// What rows and removed records cost, estimated by what `penstock cost` has counted of rows of up to 1 KB. A row of a
/// dry run writes no record, so it costs what one does that changes nothing; so does a skipped one. An unchanged row is
/// taken for one whose record was read. One that the digest drops costs a small part of that, and an import does not
/// count the two apart.
///
/// Left out are storage, backups, traces and requests to the API, which do not grow with the rows.
pub fn estimate(rows: &Rows, removed: u64, dry_run: bool) -> CostEstimate {
    let written = [(rows.created, NEW), (rows.updated, UPDATED), (removed, UPDATED)];
    let read = [(rows.unchanged, READ), (rows.skipped, READ), (rows.failed, FAILED)];
    let of = |(count, price): (u64, u64)| u128::from(count) * u128::from(if dry_run { price.min(READ) } else { price });
    // Ten-thousandths of a dollar for a million rows are ten-billionths for one.
    let ten_billionths: u128 = written.into_iter().chain(read).map(of).sum();
    let millionths = ten_billionths.div_ceil(10_000);
    CostEstimate { dollars: millionths as f64 / 1e6, region: REGION.to_owned(), prices: PRICES.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLION: u64 = 1_000_000;

    #[test]
    fn each_row_is_estimated_by_what_became_of_it() {
        let rows = Rows { created: MILLION, ..Rows::default() };
        assert_eq!(estimate(&rows, 0, false).dollars, NEW as f64 / 1e4);
        assert_eq!(estimate(&rows, 0, true).dollars, READ as f64 / 1e4);
        let mixed = Rows { created: 10, updated: 20, unchanged: 30, skipped: 40, failed: 50, ..Rows::default() };
        let sum = 10 * NEW + (20 + 5) * UPDATED + (30 + 40) * READ + 50 * FAILED;
        assert_eq!(estimate(&mixed, 5, false).dollars, sum.div_ceil(10_000) as f64 / 1e6);
        // What was not processed cost nothing, and a single row something.
        let none = Rows { unprocessed: MILLION, ..Rows::default() };
        assert_eq!(estimate(&none, 0, false).dollars, 0.0);
        assert!(estimate(&Rows { failed: 1, ..Rows::default() }, 0, false).dollars > 0.0);
        let most = Rows { created: u64::MAX / 2, ..Rows::default() };
        assert!(estimate(&most, u64::MAX / 2, false).dollars.is_finite());
    }
}
