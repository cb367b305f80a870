//! Imports of files through a local cloud of their own.

use std::{
    io::Write,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::{Value, json};

use super::{GOOD, HOPELESS, Running, SOME_BAD, folder_with, import_of, names, penstock, run, stderr, stdout, text};

#[test]
fn an_import_of_good_rows_exits_with_0() {
    let (_folder, file) = folder_with("good.csv", GOOD);
    let output = run(&["import", &file]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("completed\n"), "{text}");
    assert!(text.contains("2 rows: 2 created, 0 updated, 0 unchanged, 0 skipped, 0 failed, 0 unprocessed\n"), "{text}");
    assert!(text.contains("rows/s"), "{text}");
    // No terminal: progress in plain lines, and not on standard output.
    assert!(stderr(&output).lines().any(|line| line.contains("uploading")), "{}", stderr(&output));
    assert!(!stderr(&output).contains('\u{1b}'), "{:?}", stderr(&output));
    assert!(!Path::new(&format!("{file}.rejected.csv")).exists());
}

#[test]
fn an_import_with_bad_rows_exits_with_2_and_writes_them_beside_the_input() {
    let (_folder, file) = folder_with("some bad.csv", SOME_BAD);
    let output = run(&["import", &file]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("3 rows: 1 created, 0 updated, 0 unchanged, 0 skipped, 2 failed, 0 unprocessed\n"), "{text}");
    assert!(text.contains("row 2, line 3: ") && text.contains("(ragged_row)"), "{text}");
    assert!(text.contains("row 3, line 4: ") && text.contains("(required)"), "{text}");
    assert!(text.contains("ignored columns: colour"), "{text}");
    let path = format!("{file}.rejected.csv");
    assert!(text.contains(&path), "{text}");
    let rejected = std::fs::read_to_string(path).expect("the rejected rows");
    let lines: Vec<&str> = rejected.lines().collect();
    assert_eq!(lines.len(), 3, "{rejected}");
    assert_eq!(lines[0], "_row,_line,_errors,sku,name,brand,colour");
    assert!(lines[1].starts_with("2,3,") && lines[1].ends_with(",B,b"), "{rejected}");
    assert!(lines[2].starts_with("3,4,") && lines[2].ends_with(",C,,d,red"), "{rejected}");
}

#[test]
fn an_import_that_fails_exits_with_1_and_says_why() {
    let (_folder, file) = folder_with("hopeless.csv", HOPELESS);
    let output = run(&["import", &file]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains("missing_column: "), "{}", stdout(&output));
    assert!(stdout(&output).contains("`brand`"), "{}", stdout(&output));
}

#[test]
fn json_prints_the_import_and_nothing_else() {
    for (content, code, status) in
        [(GOOD, 0, "completed"), (SOME_BAD, 2, "completed_with_errors"), (HOPELESS, 1, "failed")]
    {
        let (folder, file) = folder_with("file.csv", content);
        let rejected = folder.path().join("else where.csv");
        let output = run(&["import", &file, "--json", "--rejected", rejected.to_str().expect("UTF-8")]);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        let import = import_of(&output);
        assert_eq!(import["status"], status);
        assert_eq!(import["filename"], "file.csv");
        // Credentials are not for a log.
        assert!(import.get("upload").is_none() && import.get("form").is_none(), "{import}");
        assert_eq!(rejected.exists(), code == 2);
        assert!(!Path::new(&format!("{file}.rejected.csv")).exists());
    }
}

#[test]
fn the_options_of_an_import_reach_the_service() {
    let (_folder, file) = folder_with("semicolons.csv", "sku;name;brand\nA;a,1;b\n");
    let output = run(&["import", &file, "--json", "--delimiter", ";", "--dry-run", "--kind", "products"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let import = import_of(&output);
    assert_eq!((&import["options"]["delimiter"], &import["options"]["dry_run"]), (&";".into(), &true.into()));
    assert_eq!(import["rows"]["created"], 1);
    let output = run(&["import", &file, "--kind", "unicorns"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("unicorns"), "{}", stderr(&output));
}

#[test]
fn what_cannot_be_imported_is_said_with_exit_code_1() {
    let (folder, file) = folder_with("good.csv", GOOD);
    let missing = folder.path().join("missing.csv").to_str().expect("UTF-8").to_owned();
    let directory = folder.path().to_str().expect("UTF-8").to_owned();
    // A port on which nobody listens any more.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let nobody = format!("http://127.0.0.1:{port}");
    for (arguments, parts) in [
        (&["import", &missing][..], &["missing.csv", "No such file"][..]),
        (&["import", &directory], &[&*directory, "not a file"]),
        (&["import", &file, "--url", &nobody, "--token", "a.b"], &["no answer from the service"]),
        (&["import", &file, "--url", "nonsense", "--token", "a.b"], &[]),
        (&["status", "imp_1", "--url", &nobody, "--token", "a.b"], &["no answer from the service"]),
        (&["list", "--url", &nobody, "--token", "a.b"], &["no answer from the service"]),
        (&["errors", "imp_1", "--url", &nobody, "--token", "a.b"], &["no answer from the service"]),
        (&["dev", "--listen", "127.0.0.1:0", "--key", "no-secret"], &["--key"]),
        (&["dev", "--listen", "127.0.0.1:0", "--key", "bad id:secret"], &["key"]),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
        let message = stderr(&output);
        let last = message.lines().last().unwrap_or_default();
        assert!(last.starts_with("penstock: ") && !message.contains("panicked"), "{arguments:?}: {message}");
        for part in parts {
            assert!(last.contains(part), "{part:?} is not in {last:?}");
        }
    }
}

#[test]
fn a_call_that_is_none_exits_with_1_and_not_as_if_rows_had_failed() {
    for arguments in [&["import"][..], &["import", "x.csv", "--url", "http://127.0.0.1:1"], &["fly"], &[]] {
        let output = run(arguments);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{arguments:?}: {}", stderr(&output));
    }
    assert_eq!(run(&["--help"]).status.code(), Some(0));
    assert_eq!(run(&["--version"]).status.code(), Some(0));
}

#[test]
fn output_that_nobody_reads_on_is_no_failure() {
    let (_folder, file) = folder_with("products.csv", GOOD);
    let mut child =
        penstock(&["import", &file]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    // As `head` does when it has enough.
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
}

#[test]
fn a_preview_tells_what_a_file_would_be_taken_for() {
    let (_folder, file) = folder_with("export.csv", "Artikel;Titel;brand\nA;a;b\nB;;b\n");
    let output = run(&["import", &file, "--preview", "--map", "Artikel=sku", "--map", "Titel=name"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines: Vec<&str> = stdout(&output).lines().collect();
    assert_eq!(
        lines,
        [
            "csv, UTF-8, delimiter ';'",
            "  \"Artikel\" is sku",
            "  \"Titel\" is name",
            "  \"brand\" is brand",
            r#"row 1: {"brand":"b","name":"a","sku":"A"}"#,
            "row 2, line 3: `name` must hold a value (required); key \"B\"; cell \"\"",
        ]
    );
    let output = run(&["import", &file, "--preview"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("missing_column"), "{}", stdout(&output));
}

#[test]
fn every_option_of_an_import_has_an_argument() {
    let (_folder, file) = folder_with("rows.txt", "sku;Title;brand\nA;a;b\nB;;b\n");
    let output = run(&[
        "import",
        &file,
        "--json",
        "--delimiter",
        ";",
        "--no-quoting",
        "--encoding",
        "windows-1252",
        "--map",
        "Title=name",
        "--mode",
        "create",
        "--empty-cells",
        "clear",
        "--abort",
        "10:50%",
        "--dry-run",
        "--filename",
        "rows.csv",
        "--format",
        "csv",
    ]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let import = import_of(&output);
    let options = json!({
        "delimiter": ";", "quoting": false, "encoding": "windows-1252", "mapping": { "Title": "name" }, "mode": "create",
        "empty_cells": "clear", "abort": { "rows": 10, "percent": 50 }, "dry_run": true,
    });
    assert_eq!(import["options"], options);
    assert_eq!((&import["filename"], &import["format"]), (&"rows.csv".into(), &"csv".into()));
    let output = run(&["import", &file, "--json", "--delimiter", ";", "--map", "Title=name", "--abort", "2:0"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(import_of(&output)["failure"]["code"], "too_many_rejected");
    for (option, wrong, part) in [
        ("--abort", "10", "ROWS:PERCENT"),
        ("--abort", "0:5", "ROWS:PERCENT"),
        ("--abort", "10:100", "ROWS:PERCENT"),
        ("--mode", "replaces", "upsert"),
        ("--empty-cells", "drop", "clear"),
    ] {
        let output = run(&["import", &file, option, wrong]);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{option} {wrong}");
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
}

#[test]
fn the_first_line_and_the_last_say_where_the_rows_are() {
    let (_folder, file) = folder_with("good.csv", GOOD);
    let cloud = "a local cloud in memory, which ends with this command";
    for more in [&[][..], &["--json"], &["--dry-run"]] {
        let output = run(&[&["import", &file][..], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(stderr(&output).lines().next(), Some(&*format!("importing into {cloud}")));
        // Where standard output is JSON and nothing else, the last line is beside it.
        let last = if more == ["--json"] { stderr(&output) } else { stdout(&output) }.lines().last();
        let told = if more == ["--dry-run"] {
            format!("a dry run: nothing was written into {cloud}")
        } else {
            format!("imported into {cloud}: nothing of it is kept")
        };
        assert_eq!(last, Some(&*told), "{more:?}");
    }
    let (_folder, file) = folder_with("hopeless.csv", HOPELESS);
    assert_eq!(stdout(&run(&["import", &file])).lines().last(), Some(&*format!("nothing was imported into {cloud}")));
}

#[test]
fn an_import_that_failed_is_not_said_to_be_imported() {
    let (_folder, file) = folder_with("half.csv", "sku,name,brand\n,a,b\nA,a,b\n");
    let output = run(&["import", &file, "--abort", "1:5"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains("1 created"), "{}", stdout(&output));
    let last = stdout(&output).lines().last().expect("a line");
    assert!(last.starts_with("not everything was imported; what was is in a local cloud in memory"), "{last}");
}

#[test]
fn who_reads_json_reads_of_every_failure() {
    let (_folder, file) = folder_with("good.csv", GOOD);
    for (arguments, part) in [
        (&["import", "missing.csv", "--json"][..], "missing.csv"),
        (&["import", &file, "--json", "--rejected", "gone/bad.csv"], "gone/bad.csv"),
        (&["import", &file, "--json", "--token", "a.b"], "a token without a URL"),
        (&["import", &file, "--json", "--url", "127.0.0.1:1", "--token", "a.b"], ""),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let line = import_of(&output);
        assert!(line["error"].as_str().is_some_and(|error| error.contains(part)), "{arguments:?}: {line}");
        assert_eq!((&line["id"], &line["import"]), (&json!(null), &json!(null)), "{arguments:?}");
    }
}

#[test]
fn several_files_are_an_import_each_with_a_summary_of_all() {
    let (folder, good) = folder_with("good.csv", GOOD);
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        text(&path).to_owned()
    };
    let (bad, hopeless) = (file("bad.csv", SOME_BAD), file("hopeless.csv", HOPELESS));
    for (files, code, summary) in [
        (
            vec![&good, &file("more.csv", "sku,name,brand\nC,c,d\n")],
            0,
            "2 files: 2 fine, 0 with rejected rows, 0 failed",
        ),
        (vec![&good, &bad], 2, "2 files: 1 fine, 1 with rejected rows, 0 failed"),
        (vec![&hopeless, &bad, &good], 1, "3 files: 1 fine, 1 with rejected rows, 1 failed"),
    ] {
        let arguments: Vec<&str> = ["import"].into_iter().chain(files.iter().map(|file| file.as_str())).collect();
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        let printed: Vec<&str> = stdout(&output).lines().collect();
        let at = printed.iter().position(|line| *line == summary);
        let at = at.unwrap_or_else(|| panic!("{summary:?} is not in {printed:#?}"));
        for (line, file) in printed[at + 1..].iter().zip(&files) {
            assert!(line.trim_start().starts_with(file.as_str()) && line.contains("imp_"), "{printed:#?}");
        }
        assert_eq!(Path::new(&format!("{bad}.rejected.csv")).exists(), files.contains(&&bad));
    }
    // As JSON, an object a line; the second finds the first one's records, since both are one cloud's.
    let output = run(&["import", &good, &bad, "--json"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let lines: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["file"], &lines[0]["rejected_file"], &lines[0]["error"]),
        (&json!(good), &json!(null), &json!(null))
    );
    assert_eq!((&lines[1]["file"], &lines[1]["import"]["rows"]["unchanged"]), (&json!(bad), &json!(1)));
    assert_eq!(lines[1]["rejected_file"], json!(format!("{bad}.rejected.csv")));
    // What cannot be is found out before anything is imported.
    for (arguments, part) in [
        (vec!["import", &good, "missing.csv"], "missing.csv"),
        (vec!["import", &good, &good], "given twice"),
        (vec!["import", &good, &bad, "--rejected", "all.csv"], "a folder"),
        (vec!["import", &good, &bad, "--preview"], "--preview shows one file"),
    ] {
        let output = run(&arguments);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{arguments:?}");
        assert!(stderr(&output).contains(part) && !stderr(&output).contains("importing"), "{}", stderr(&output));
    }
}

#[test]
fn standard_input_is_a_file_too() {
    for name in ["-", "/dev/stdin"] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = penstock(&["import", name, "--json"]);
        let mut running = Running::start({
            command.stdin(Stdio::piped()).current_dir(folder.path());
            command
        });
        running.says("into a temporary file in");
        assert!(running.said.last().expect("a line").ends_with("at most 5368709120 bytes"), "{:?}", running.said);
        let mut input = running.child.stdin.take().expect("piped");
        input.write_all(SOME_BAD.as_bytes()).expect("it is read");
        drop(input);
        let (code, printed, said) = running.ends();
        assert_eq!(code, Some(2), "{said:?}");
        let import: Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!((&import["rows"]["total"], &import["filename"]), (&json!(3), &json!(null)));
        assert_eq!(names(folder.path()), ["stdin.rejected.csv"]);
    }
    // A file that is redirected is one, and so is a named pipe.
    let (folder, file) = folder_with("good.csv", GOOD);
    let redirected = std::fs::File::open(&file).expect("a file");
    let mut command = penstock(&["import", "/dev/stdin", "--json"]);
    let output = command.stdin(redirected).current_dir(folder.path()).output().expect("the command runs");
    assert_eq!(import_of(&output)["rows"]["created"], 2);
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let child = penstock(&["import", text(&pipe), "--json"]).stdout(Stdio::piped()).current_dir(folder.path()).spawn();
    std::fs::write(&pipe, GOOD).expect("the command reads it");
    let output = child.expect("the command runs").wait_with_output().expect("it ends");
    assert_eq!(import_of(&output)["rows"]["created"], 2);
}

#[test]
fn a_check_takes_standard_input_as_an_import_does() {
    for name in ["-", "/dev/stdin"] {
        let folder = tempfile::tempdir().expect("a folder");
        let rejected = folder.path().join("bad.csv");
        let mut command = penstock(&["check", name, "--json", "--rejected", text(&rejected)]);
        let mut running = Running::start({
            command.stdin(Stdio::piped()).current_dir(folder.path());
            command
        });
        running.says("into a temporary file in");
        assert!(running.said.last().expect("a line").ends_with("at most 5368709120 bytes"), "{:?}", running.said);
        let mut input = running.child.stdin.take().expect("piped");
        input.write_all(SOME_BAD.as_bytes()).expect("it is read");
        drop(input);
        let (code, printed, said) = running.ends();
        assert_eq!(code, Some(2), "{said:?}");
        let checked: Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!((&checked["rows"]["total"], &checked["rows"]["failed"]), (&json!(3), &json!(2)));
        assert_eq!(checked["file"], if name == "-" { "standard input" } else { name });
        assert!(std::fs::read_to_string(&rejected).expect("the rejected rows").contains(",B,b"));
        assert_eq!(names(folder.path()), ["bad.csv"]);
    }
    // A workbook shows what it is at its end, and comes through a pipe all the same.
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet();
    for (column, cells) in [["sku", "A"], ["name", "a"], ["brand", "b"]].iter().enumerate() {
        for (row, cell) in cells.iter().enumerate() {
            sheet.write_string(row as u32, column as u16, *cell).expect("a cell");
        }
    }
    let bytes = workbook.save_to_buffer().expect("a workbook");
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let child = penstock(&["check", text(&pipe)]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    std::fs::write(&pipe, bytes).expect("the command reads it");
    let output = child.expect("the command runs").wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("xlsx") && stdout(&output).contains("1 rows: 1 accepted, 0 failed"));
}

#[test]
fn a_preview_is_json_for_programs() {
    let (_folder, file) = folder_with("some bad.csv", SOME_BAD);
    let output = run(&["import", &file, "--preview", "--json"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    let preview = import_of(&output);
    assert_eq!((&preview["detected"]["format"], &preview["detected"]["delimiter"]), (&json!("csv"), &json!(",")));
    assert_eq!(
        preview["columns"][0],
        json!({ "column": "sku", "field": "sku", "filled": 3, "samples": ["A", "B", "C"] })
    );
    assert_eq!(preview["columns"][3], json!({ "column": "colour", "field": null, "filled": 2, "samples": ["red"] }));
    assert_eq!((&preview["rows"][0]["row"], &preview["rows"][0]["fields"]["sku"]), (&json!(1), &json!("A")));
    assert_eq!((&preview["rows"][2]["errors"][0]["code"], &preview["failure"]), (&json!("required"), &json!(null)));
    // A file that no import would take says why, and the exit code does too.
    let (_folder, hopeless) = folder_with("hopeless.csv", HOPELESS);
    for (file, code, rows) in [(hopeless.as_str(), "missing_column", 0), ("/dev/null", "empty_file", 0)] {
        let output = run(&["import", file, "--preview", "--json"]);
        assert_eq!(output.status.code(), Some(1), "{file}");
        let preview = import_of(&output);
        assert_eq!(preview["failure"]["code"], code, "{file}");
        assert_eq!(preview["rows"].as_array().map(Vec::len), Some(rows), "{file}");
    }
}

#[test]
fn errors_of_a_sort_show_their_count_the_first_ones_and_how_all_are_seen() {
    let rows: String = (1..=13).map(|row| format!("S-{row},name,brand,x{row}\n")).collect();
    let (_folder, file) = folder_with("bad.csv", &format!("sku,name,brand,cost\n{rows}"));
    for (command, more) in [
        ("import", format!("  13 rejected rows in all; all are in {file}.rejected.csv")),
        ("check", "  13 rejected rows in all; --errors prints all errors".to_owned()),
    ] {
        let output = run(&[command, &file]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        let shown: Vec<&str> = stdout(&output).lines().filter(|line| line.starts_with("  ")).collect();
        assert_eq!((shown[0], shown.len()), ("  13 x invalid_number of `cost`:", 6), "{shown:#?}");
        assert!(shown[1].starts_with("    row 1, line 2: `cost`: "), "{shown:#?}");
        assert!(shown[1].ends_with("; key \"S-1\"; cell \"x1\""), "{shown:#?}");
        assert_eq!((shown[4], shown[5]), ("    and 10 more; all are in the rows 1-13", &*more));
    }
}

#[test]
fn names_and_cells_cannot_speak_to_the_terminal() {
    // ESC and C1 sequences, a carriage return, an override of the direction.
    let evil = "\u{1b}[2J\u{9b}31m\u{202e}";
    let content = format!("sku,name,brand,cost,{evil}column\nS{evil},{evil},b,{evil},c\n");
    let (_folder, file) = folder_with(&format!("{evil}\r.csv"), &content);
    let flag = format!("--{evil}");
    for arguments in [
        vec!["import", &file],
        vec!["import", &file, "--json"],
        vec!["import", &file, "--preview"],
        vec!["check", &file],
        vec!["check", &file, "--errors"],
        vec!["check", &file, "--json"],
        vec!["import", evil],
        vec!["check", &file, "--kind", evil],
        vec!["login", "--url", evil, "--token", "a.b"],
        vec!["import", &file, "--mode", evil],
        vec!["import", &file, &flag],
    ] {
        let output = run(&arguments);
        for printed in [stdout(&output), stderr(&output)] {
            let hidden = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
            assert!(!printed.contains(hidden), "{arguments:?}: {printed:?}");
        }
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert!(said.contains("\\u{1b}[2J") || said.contains("\\u001b[2J"), "{arguments:?}: {said}");
    }
}

#[test]
fn who_does_not_watch_gets_a_line_every_few_seconds() {
    let rows: String = (0..60_000).map(|row| format!("SKU-{row},Product,Brand\n")).collect();
    let (_folder, file) = folder_with("long.csv", &format!("sku,name,brand\n{rows}"));
    let started = Instant::now();
    let output = run(&["import", &file]);
    let seconds = started.elapsed().as_secs();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines: Vec<&str> = stderr(&output).lines().filter(|line| line.starts_with("processing")).collect();
    assert!(!lines.is_empty() && lines.len() as u64 <= 1 + seconds / 2, "{} s: {lines:#?}", seconds);
    assert!(lines.iter().all(|line| line.contains("rows, 0 failed")), "{lines:#?}");
}

#[test]
fn help_shows_examples_and_what_exit_codes_mean() {
    let help = run(&["--help"]);
    assert!(stdout(&help).contains("Examples:") && stdout(&help).contains("Exit codes: 0 "), "{}", stdout(&help));
    for command in ["import", "check", "watch"] {
        let help = run(&[command, "--help"]);
        let printed = stdout(&help);
        assert!(printed.contains(&format!("  penstock {command} ")), "{printed}");
        assert!(printed.contains("Exit codes: 0 ") && printed.contains(" 2 ") && printed.contains(" 1 "), "{printed}");
    }
    // Every command, and every command of a command.
    let serve = run(&["serve", "--help"]);
    assert!(stdout(&serve).contains("[default: 127.0.0.1:8080]"), "{}", stdout(&serve));
    assert!(stdout(&serve).contains("penstock serve                                            at 127.0.0.1:8080,"));
    let mut groups: Vec<Vec<String>> = vec![Vec::new()];
    let mut seen = 0;
    while let Some(group) = groups.pop() {
        let words: Vec<&str> = group.iter().map(String::as_str).collect();
        let help = run(&[&words[..], &["--help"]].concat());
        let (printed, name) = (stdout(&help), [&["penstock"], &words[..]].concat().join(" "));
        let examples = printed.split_once("\nExamples:\n").unwrap_or_else(|| panic!("{name}: {printed}")).1;
        assert!(examples.lines().next().is_some_and(|line| line.contains(&name)), "{name}: {examples}");
        seen += 1;
        let commands = printed.split_once("\nCommands:\n").and_then(|(_, rest)| rest.split_once("\n\n"));
        for line in commands.map_or("", |(commands, _)| commands).lines() {
            let command = line.split_whitespace().next().expect("a name");
            if command != "help" {
                groups.push([&group[..], &[command.to_owned()]].concat());
            }
        }
    }
    assert!(seen > 25, "{seen} commands");
}
