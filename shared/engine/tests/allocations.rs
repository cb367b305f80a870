//! What reading rows takes of the heap: nothing for a cell, and no more for a longer file.

#[allow(dead_code)]
#[path = "../benches/work/mod.rs"]
mod work;

use allocation_counter::{AllocationInfo, measure};
use penstock_engine::named::NamedKeys;
use penstock_model::limits::NAMED_KEYS;

const ROWS: u64 = 20_000;

fn taken(name: &str, rows: u64) -> AllocationInfo {
    let mut run = work::prepare(name, rows);
    measure(|| {
        run();
    })
}

#[test]
fn a_good_row_takes_its_key_and_a_place_for_its_cells_and_nothing_where_no_row_is_wanted() {
    // One row in 200 is bad, and its errors are some thirty allocations.
    let bad = ROWS / 200 * 30;
    let (parsed, validated) = (taken("csv/parse", ROWS).count_total, taken("csv/validate", ROWS).count_total);
    assert!(parsed < 2 * ROWS + bad, "{parsed} allocations for {ROWS} rows of 19 cells");
    assert!(validated < bad, "{validated} allocations for {ROWS} rows of 19 cells");
}

#[test]
fn memory_does_not_grow_with_the_file() {
    const MIB: u64 = 1024 * 1024;
    for name in ["csv/split and validate", "csv/split and parse", "ndjson/split and parse", "array/split and parse"] {
        for rows in [ROWS, 4 * ROWS] {
            let most = taken(name, rows).bytes_max;
            assert!(most < 4 * MIB, "{name} of {rows} rows holds {most} bytes");
        }
    }
}

/// What a replace holds of a file's keys fits a function of 1,024 MB with as much left over, also while the table
/// grows: the old one and the new one are there then. A table has a power of two of places and is filled to seven
/// eighths.
#[test]
fn named_keys_take_what_their_limit_says() {
    const PART: usize = 64;
    let most = NAMED_KEYS / PART;
    let keys: Vec<String> = (0..most).map(|key| format!("SKU-{key}")).collect();
    let mut held = 0;
    let taken = measure(|| {
        let mut named = NamedKeys::of(0..=255, most);
        keys.iter().for_each(|key| named.add(key).expect("room"));
        held = named.len();
    });
    assert_eq!((held, taken.bytes_current), (most, 0));
    let each = taken.bytes_max as f64 / most as f64;
    println!("{each:.1} bytes a key at the peak, {:.0} MB for {NAMED_KEYS}", each * NAMED_KEYS as f64 / 1e6);
    assert!(taken.bytes_max as usize * PART < 512 * 1024 * 1024, "{each} bytes a key");
}
