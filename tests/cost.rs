//! `penstock cost`: what imports, a review, a list and an export use of the local cloud is counted, and adds up.

use std::process::{Command, Stdio};

use serde_json::Value;

const ROWS: u64 = 600;

fn sum(run: &Value, field: &str, wanted: &[(&str, &str)]) -> f64 {
    let is_wanted = |used: &&Value| wanted.iter().all(|(name, value)| used[*name] == *value);
    let used = run["usage"].as_array().expect("what was used");
    used.iter().filter(is_wanted).map(|used| used[field].as_f64().expect("a number")).sum()
}

#[test]
fn what_imports_use_is_counted_on_the_wire_and_paid_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let measured = folder.path().join("measured.json");
    let output = Command::new(env!("CARGO_BIN_EXE_penstock"))
        .args(["cost", "--rows", &ROWS.to_string(), "--measured"])
        .arg(&measured)
        .stdin(Stdio::null())
        .output()
        .expect("the command runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let measured: Value = serde_json::from_slice(&std::fs::read(&measured).expect("a file")).expect("JSON");
    let runs = measured["runs"].as_array().expect("the runs");
    let names: Vec<&str> = runs.iter().filter_map(|run| run["name"].as_str()).collect();
    assert_eq!(names, ["new", "unchanged, the same file", "unchanged", "unchanged, all read", "updated", "all bad"]);
    let writes = [("name", "BatchExecuteStatement"), ("function", "validate")];
    let reads = [("name", "BatchGetItem"), ("resource", "penstock-records")];
    let rows = ROWS as f64;
    for run in runs {
        let name = run["name"].as_str().expect("a name");
        // New and changed records are written once each, bad rows never; a record of these rows has one unit.
        let written = (sum(run, "items", &writes), sum(run, "write_units", &writes));
        match name {
            "new" | "updated" => assert_eq!(written, (rows, rows), "{name}"),
            "all bad" => assert_eq!(written, (0.0, 0.0), "{name}"),
            _ => assert!(written.0 <= rows, "{name}: {written:?}"),
        }
        // New records are the first of their kind, which are made without being read. Rows that say again what was said
        // last are not sent, unless it is asked for.
        let read = if ["unchanged, all read", "updated"].contains(&name) { rows } else { 0.0 };
        assert_eq!((sum(run, "items", &reads), sum(run, "read_units", &reads)), (read, read), "{name}");
        let is_sent = !["unchanged", "unchanged, the same file"].contains(&name);
        for (function, is_invoked) in [("split", true), ("validate", is_sent)] {
            let invoked = [("service", "lambda"), ("function", function)];
            assert_eq!(sum(run, "requests", &invoked) >= 1.0, is_invoked, "{name}: {function}");
        }
        // What is sent is received, and deleted.
        let messages = |name| sum(run, "items", &[("name", name), ("resource", "chunks")]);
        assert_eq!(messages("ReceiveMessage") >= 1.0, is_sent, "{name}");
        assert_eq!(messages("ReceiveMessage"), messages("DeleteMessageBatch"), "{name}");
        // What the functions print is counted as well.
        let printed = [("service", "logs"), ("function", "split")];
        assert!(sum(run, "bytes", &printed) > 100.0 && sum(run, "requests", &printed) >= 1.0, "{name}");
        assert!(run["dollars_per_million"]["logs"].as_f64() > Some(0.0), "{name}");
        let dollars = run["dollars_per_million"].as_object().expect("dollars");
        let all: f64 = dollars.values().filter_map(Value::as_f64).sum();
        assert!(text.contains(&format!("| {all:.4} |")), "{name}: {all} is not in\n{text}");
        let paid_for_writes = dollars["dynamodb_writes"].as_f64().expect("a number");
        let units = sum(run, "write_units", &[("service", "dynamodb")]);
        assert!((paid_for_writes - units / rows * 0.625).abs() < 1e-9, "{name}: {paid_for_writes} for {units}");
    }

    let [created, looked_at] = measured["asked"].as_array().expect("requests").as_slice() else {
        panic!("two requests: {measured}");
    };
    for request in [created, looked_at] {
        let dollars = &request["dollars_per_million"];
        assert_eq!(request["api_gateway_per_million"], 3.5, "{request}");
        // A million invocations cost as much, and each prints a line.
        let invoked = dollars["lambda_requests"].as_f64().expect("a number");
        assert!((invoked - 0.2).abs() < 1e-9 && dollars["logs"].as_f64() > Some(0.0), "{request}");
        assert!(dollars["dynamodb_reads"].as_f64() > Some(0.0), "{request}");
    }
    let written = |request: &Value| request["dollars_per_million"]["dynamodb_writes"].as_f64().expect("a number");
    assert!(written(created) > 0.0 && written(looked_at) < written(created), "{created}, {looked_at}");
    let idle = &measured["idle"];
    let invoked = idle["sweeps_per_million"]["lambda_requests"].as_f64().expect("a number");
    assert!((invoked - 0.2).abs() < 1e-9 && idle["sweeps_per_million"]["logs"].as_f64() > Some(0.0), "{idle}");
    for heading in ["## Requests to the API", "## What an idle stack costs a month", "## Prices"] {
        assert!(text.contains(heading), "{heading} is not in\n{text}");
    }

    let [reviewed, listed, exported, again] = measured["catalogue"].as_array().expect("the records").as_slice() else {
        panic!("a review, a list, an export and an import of it: {measured}");
    };
    // A review claims each new record by one write, and makes none.
    let claims = [("name", "BatchExecuteStatement"), ("resource", "penstock-imports"), ("function", "validate")];
    assert_eq!((sum(reviewed, "items", &claims), sum(reviewed, "write_units", &claims)), (rows, rows), "{reviewed}");
    assert_eq!(sum(reviewed, "items", &[("resource", "penstock-records"), ("function", "validate")]), rows, "read");
    assert_eq!(reviewed["outcome"]["created"], ROWS, "{reviewed}");
    // A record of these rows is read by the unit of 4 KB that several share, and its own when it is compared.
    for run in [listed, exported] {
        let records = sum(run, "read_units", &[("resource", "penstock-records")]);
        assert!(records > 0.0 && records < rows / 2.0, "{records} in {run}");
        assert_eq!(sum(run, "write_units", &[("resource", "penstock-records")]), 0.0, "{run}");
    }
    assert_eq!(sum(exported, "requests", &[("service", "lambda"), ("function", "export")]), 1.0, "{exported}");
    assert_eq!((sum(again, "items", &reads), sum(again, "items", &writes)), (rows, 0.0), "{again}");
    assert_eq!(again["outcome"]["unchanged"], ROWS, "{again}");
}
