//! `penstock export`: what it writes, where, and when it writes nothing.

use serde_json::Value;

use super::{Dev, GOOD, folder_with, import_of, names, stderr, stdout, text};

const TOKEN: &str = "local.secret";

#[test]
fn records_come_out_to_a_file_or_to_whoever_reads_and_go_in_again() {
    let (folder, file) = folder_with("good.csv", GOOD);
    let dev = Dev::start(&[]);
    let imported = import_of(&dev.run(TOKEN, &["import", &file, "--json"]));
    let created = imported["rows"]["created"].as_u64().expect("a number");
    assert!(created > 0);
    let path = folder.path().join("out.csv");
    let output = dev.run(TOKEN, &["export", "products", "--format", "csv", "-o", text(&path), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let export = import_of(&output);
    assert_eq!((export["status"].as_str(), export["records"].as_u64()), (Some("completed"), Some(created)));
    assert_eq!(std::fs::metadata(&path).expect("a file").len(), export["bytes"].as_u64().expect("a number"));
    let again = import_of(&dev.run(TOKEN, &["import", text(&path), "--json"]));
    assert_eq!(again["rows"]["unchanged"].as_u64(), Some(created));
    // Data on standard output, what is said of it beside it.
    let output = dev.run(TOKEN, &["export", "products"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let records: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(records.len() as u64, created);
    assert!(stderr(&output).contains(&format!("{created} records")), "{}", stderr(&output));
    // A difference from the last import on holds nothing.
    let last = again["id"].as_str().expect("an id");
    let output = dev.run(TOKEN, &["export", "products", "--changed-after", last]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), ""), "{}", stderr(&output));
}

#[test]
fn what_is_refused_leaves_no_file_and_what_was_there_stays() {
    let (folder, file) = folder_with("kept.csv", "kept\n");
    let dev = Dev::start(&[]);
    for (arguments, why) in [
        (&["export", "orders", "--format", "csv", "-o", &file][..], "take `ndjson`"),
        (&["export", "unicorns", "-o", &file], "there is no kind `unicorns`"),
        (&["export", "products", "--changed-after", "imp_1", "-o", &file], "imp_ and a ULID"),
        (&["export", "products", "--json"], "--output"),
        (&["export", "products", "--format", "xlsx"], "ndjson"),
    ] {
        let output = dev.run(TOKEN, arguments);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{arguments:?}");
        assert!(stderr(&output).contains(why), "{arguments:?}: {}", stderr(&output));
    }
    assert_eq!(names(folder.path()), ["kept.csv"]);
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), "kept\n");
}
