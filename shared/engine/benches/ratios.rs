//! The engine's CPU time as a ratio to what others take for the same file in the same run:
//! `cargo bench -p penstock-engine --bench ratios -- 1000000 5`, rows and rounds; behind them perhaps one format, such
//! as `ndjson`.
//!
//! A machine that does other things at the same time slows whatever runs, so the works of a format take turns, and of
//! each the least CPU time of all rounds counts.

mod work;

use std::time::Duration;

/// Of a format, what the ratios are to.
const BASES: [&str; 4] = ["csv/byte records", "ndjson/values", "array/values", "xlsx/calamine"];

/// CPU time of this thread so far, of the kernel's own account in nanoseconds (proc(5), `/proc/[pid]/schedstat`).
fn cpu() -> Duration {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux keeps this account");
    let nanoseconds = account.split_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.expect("it begins with a number"))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let numbers: Vec<u64> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let (rows, rounds) = (numbers.first().copied().unwrap_or(200_000), numbers.get(1).copied().unwrap_or(5));
    println!(
        "{rows} rows, the least of {rounds} rounds\n\n| work | CPU s | to the first | to the hand-written check |\n| --- | --- | --- | --- |"
    );
    for base in BASES {
        let (format, _) = base.split_once('/').expect("a format and a name");
        if arguments.get(2).is_some_and(|wanted| wanted != format) {
            continue;
        }
        // A workbook takes a hundred times as long to make.
        let rows = if format == "xlsx" { rows / 20 } else { rows };
        let names: Vec<&str> = work::NAMES.into_iter().filter(|name| name.starts_with(format)).collect();
        let mut works: Vec<_> = names.iter().map(|name| (work::prepare(name, rows), Duration::MAX)).collect();
        for _ in 0..rounds {
            for (run, least) in &mut works {
                let before = cpu();
                std::hint::black_box(run());
                *least = (*least).min(cpu() - before);
            }
        }
        let of = |name: &str| names.iter().position(|other| *other == name).map(|at| works[at].1.as_secs_f64());
        let base = of(base).expect("each format has a base");
        for (name, (_, least)) in names.iter().zip(&works) {
            let seconds = least.as_secs_f64();
            let by_hand = of("csv/check by hand").map_or(String::new(), |hand| format!("{:.2}", seconds / hand));
            println!("| {name} | {seconds:.3} | {:.3} | {by_hand} |", seconds / base);
        }
    }
}
