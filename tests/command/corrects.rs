//! `penstock import --corrects` and `penstock history`: rejected rows are mended and sent again, and told as one story.

use serde_json::json;

use super::{Dev, folder_with, import_of, run, stderr, stdout};

const TOKEN: &str = "local:secret";

/// Five rows, of which two are rejected.
const FILE: &str = "sku,name,brand\nA,a,x\nB,,x\nC,c,x\nD,,x\nE,e,x\n";

#[test]
fn rejected_rows_are_mended_and_sent_as_the_command_says() {
    let dev = Dev::start(&[]);
    let (folder, file) = folder_with("stock.csv", FILE);
    let first = dev.run(TOKEN, &["import", &file]);
    assert_eq!(first.status.code(), Some(2), "{}", stderr(&first));
    let rejected = format!("{file}.rejected.csv");
    let id = stdout(&first).lines().find_map(|line| line.split_whitespace().find(|word| word.starts_with("imp_")));
    let id = id.expect("an id").to_owned();
    // The command is said as it is to be given, but for the key.
    let hint = format!("mended, they go in by `penstock import {rejected} --corrects {id} --url {}`", dev.url);
    assert!(stdout(&first).lines().any(|line| line == hint), "{hint}\n{}", stdout(&first));
    let rows = std::fs::read_to_string(&rejected).expect("the rejected rows");
    std::fs::write(&rejected, rows.replacen(",B,,", ",B,b,", 1)).expect("mended");
    let second = dev.run(TOKEN, &["import", &rejected, "--corrects", &id]);
    assert_eq!(second.status.code(), Some(2), "{}", stderr(&second));
    assert!(stdout(&second).contains("2 rows: 1 created"), "{}", stdout(&second));
    assert!(stdout(&second).contains("  row 2, line 3 (row 4 of the first file): "), "{}", stdout(&second));
    let mended = folder.path().join("mended.csv");
    let rows = std::fs::read_to_string(format!("{rejected}.rejected.csv")).expect("the rejected rows");
    std::fs::write(&mended, rows.replacen(",D,,", ",D,d,", 1)).expect("mended");
    let mended = mended.to_str().expect("UTF-8");
    // An import is corrected by one other.
    let again = dev.run(TOKEN, &["import", mended, "--corrects", &id]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains(&format!("corrects {id} already")), "{}", stderr(&again));
    let history = dev.run(TOKEN, &["history", &id]);
    let told = import_of(&history);
    let last = told["rounds"][1]["id"].as_str().expect("an id").to_owned();
    let third = dev.run(TOKEN, &["import", mended, "--corrects", &last, "--json"]);
    assert_eq!(third.status.code(), Some(0), "{}", stderr(&third));
    assert_eq!((&import_of(&third)["corrects"], &import_of(&third)["kind"]), (&json!(last), &json!("products")));
    let told = import_of(&dev.run(TOKEN, &["history", &last, "--json"]));
    let sum = json!({ "total": 5, "whole": true, "added": 0, "created": 5, "updated": 0, "unchanged": 0, "skipped": 0,
        "failed": 0, "unprocessed": 0 });
    assert_eq!((&told["sum"], told["rounds"].as_array().map(Vec::len)), (&sum, Some(3)));
    let missing = dev.run(TOKEN, &["history", "imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("no such import"), "{}", stderr(&missing));
}

#[test]
fn what_cannot_correct_is_refused_before_anything_is_sent() {
    let (_folder, file) = folder_with("a.csv", "sku,name,brand\n");
    let (_other_folder, other) = folder_with("b.csv", "sku,name,brand\n");
    let id = "imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F";
    for (more, said) in [
        (&[][..], "--corrects names an import at a service"),
        (&["--local"], "--local"),
        (&["--preview"], "--preview"),
        (&["--dry-run"], "--dry-run"),
        (&["--mode", "replace"], "would remove every record that the mended rows do not name"),
        (&[other.as_str()], "--corrects is for one file, not 2"),
    ] {
        let output = run(&[&["import", &file, "--corrects", id], more].concat());
        assert_eq!(output.status.code(), Some(1), "{more:?}");
        assert!(stderr(&output).contains(said), "{more:?}: {}", stderr(&output));
    }
    // A trial is gone with the command, and nothing of it is corrected.
    let (_folder, bad) = folder_with("bad.csv", FILE);
    let trial = run(&["import", &bad, "--local"]);
    assert_eq!(trial.status.code(), Some(2));
    assert!(!stdout(&trial).contains("--corrects"), "{}", stdout(&trial));
}
