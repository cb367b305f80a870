//! Instructions that each work takes for 5,000 rows, counted by callgrind (<https://valgrind.org>), which no other load
//! on the machine changes, and compared with those in `counts.tsv`:
//!
//! ```sh
//! cargo bench -p penstock-engine --bench counts                # fails where one takes 2 % more
//! cargo bench -p penstock-engine --bench counts -- --accept    # writes the counts of today
//! cargo bench -p penstock-engine --bench counts -- --profile csv/parse
//! ```
//!
//! Another compiler, processor or libc counts otherwise; the file says whose counts they are.

mod work;

use std::{collections::BTreeMap, path::Path, process::Command};

const ROWS: u64 = 5_000;

/// Percent by which a count may differ.
const TOLERANCE: f64 = 2.0;

/// Where callgrind counts, and nowhere else.
#[inline(never)]
fn measured(run: &mut dyn FnMut() -> u64) -> u64 {
    run()
}

/// Runs this program again under callgrind with one work, which is counted from its second run on: the first finds its
/// memory.
fn count(name: &str, profile: &str) -> u64 {
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=counts::measured", &format!("--callgrind-out-file={profile}")])
        .arg(std::env::current_exe().expect("this program is somewhere"))
        .args(["--run", name])
        .output()
        .expect("valgrind is installed");
    let said = String::from_utf8_lossy(&run.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, count)| count.trim());
    match collected.and_then(|count| count.parse().ok()) {
        Some(count) if run.status.success() => count,
        _ => panic!("{name} was not counted: {said}"),
    }
}

fn compiler() -> String {
    let version = Command::new("rustc").arg("--version").output().expect("rustc is installed");
    String::from_utf8_lossy(&version.stdout).trim().to_owned()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--run", name] => {
            let mut run = work::prepare(name, ROWS);
            let first = run();
            assert_eq!(first, measured(&mut run), "the same work twice");
        }
        ["--profile", name] => {
            let profile = format!("{}/callgrind.{}.out", env!("CARGO_TARGET_TMPDIR"), name.replace(['/', ' '], "-"));
            println!("{} instructions for {name}; callgrind_annotate {profile}", count(name, &profile));
        }
        ["--accept"] => {
            let mut file = format!("# {}, {}\n", compiler(), std::env::consts::ARCH);
            for name in work::NAMES {
                file.push_str(&format!("{name}\t{}\n", count(name, "/dev/null")));
            }
            std::fs::write(committed(), file).expect("the file can be written");
        }
        _ => compare(),
    }
}

fn committed() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/counts.tsv")
}

fn compare() {
    let file = std::fs::read_to_string(committed()).expect("counts have been accepted");
    let committed: BTreeMap<&str, f64> = file
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(name, count)| Some((name, count.parse().ok()?)))
        .collect();
    println!("committed by {}, here {}", file.lines().next().unwrap_or_default(), compiler());
    let mut worse = Vec::new();
    for name in work::NAMES {
        let now = count(name, "/dev/null") as f64;
        let percent = committed.get(name).map(|before| (now / before - 1.0) * 100.0);
        println!("{name:24} {now:>14} {:+.2} %", percent.unwrap_or(f64::NAN));
        if percent.is_none_or(|percent| percent > TOLERANCE) {
            worse.push(name);
        }
    }
    assert!(worse.is_empty(), "more than {TOLERANCE} % more instructions, or not counted before: {}", worse.join(", "));
}
