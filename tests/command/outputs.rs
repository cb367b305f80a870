//! No file and no row of a person is lost: by a place for the output that is the input's, a disk that fills, a folder
//! that goes, a file that changes.

use std::{
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, SystemTime},
};

use penstock_model::Status;
use reqwest::Method;

use super::{
    Dev, GOOD, Running, SOME_BAD,
    gate::{Fate, Gate},
    names, penstock, run, stderr, stdout,
    support::{Stack, TOKEN},
    text,
};

/// A file with bad rows all through it, larger than what is read and written at once.
fn rows() -> String {
    let rows: String =
        (0..20_000).map(|row| format!("SKU-{row},{},brand\n", if row % 3 == 0 { "" } else { "name" })).collect();
    format!("sku,name,brand\n{rows}")
}

#[test]
fn an_output_is_never_the_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, other) = (folder.path().join("rows.csv"), folder.path().join("rows.csv.rejected.csv"));
    let (soft, hard) = (folder.path().join("soft.csv"), folder.path().join("hard.csv"));
    let roundabout = folder.path().join(".").join("rows.csv");
    let content = rows();
    std::fs::write(&file, &content).expect("a file");
    symlink(&file, &soft).expect("a link");
    std::fs::hard_link(&file, &hard).expect("a link");
    let mut calls: Vec<Vec<&str>> = Vec::new();
    for output in [&file, &soft, &hard, &roundabout] {
        for input in [&file, &soft] {
            calls.push(vec!["check", text(input), "--rejected", text(output)]);
            calls.push(vec!["check", text(input), "--threads", "1", "--rejected", text(output)]);
            calls.push(vec!["import", text(input), "--rejected", text(output)]);
        }
    }
    for arguments in &calls {
        let output = run(arguments);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{arguments:?}");
        assert!(stderr(&output).contains("is a file that is read"), "{arguments:?}: {}", stderr(&output));
        assert!(std::fs::read_to_string(&file).expect("the input") == content, "{arguments:?}");
    }
    // One file's rejected rows would go where another file of the same call is.
    std::fs::write(&other, &content).expect("a file");
    let output = run(&["import", text(&file), text(&other)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is a file that is read"), "{}", stderr(&output));
    assert!(std::fs::read_to_string(&other).expect("the input") == content);
    // Standard input that is redirected from a file is that file.
    let mut command = penstock(&["import", "-", "--rejected", text(&file)]);
    let output = command.stdin(std::fs::File::open(&file).expect("a file")).output().expect("the command runs");
    assert!(stderr(&output).contains("is a file that is read"), "{}", stderr(&output));
    assert!(std::fs::read_to_string(&file).expect("the input") == content);
    assert_eq!(names(folder.path()), ["hard.csv", "rows.csv", "rows.csv.rejected.csv", "soft.csv"]);
}

#[test]
fn what_is_rejected_is_there_when_it_is_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, rejected) = (folder.path().join("a.csv"), folder.path().join("bad.csv"));
    std::fs::write(&file, SOME_BAD).expect("a file");
    for command in ["check", "import"] {
        std::fs::write(&rejected, "old").expect("a file");
        std::fs::set_permissions(&rejected, PermissionsExt::from_mode(0o640)).expect("permissions");
        let output = run(&[command, text(&file), "--rejected", text(&rejected)]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(std::fs::read_to_string(&rejected).expect("the rows").starts_with("_row,_line,_errors,"));
        let mode = std::fs::metadata(&rejected).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "{command}");
        assert_eq!(names(folder.path()), ["a.csv", "bad.csv", "bad.csv.old"], "{command}");
        let old = folder.path().join("bad.csv.old");
        assert_eq!(std::fs::read_to_string(&old).expect("what was there"), "old", "{command}");
        std::fs::remove_file(old).expect("removed");
    }
    // Into a folder, under the name that it would have beside the file.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).expect("a folder");
    assert_eq!(run(&["import", text(&file), "--rejected", text(&other)]).status.code(), Some(2));
    assert_eq!(names(&other), ["a.csv.rejected.csv"]);
    // What is no file is written to, and stays what it is.
    for command in ["check", "import"] {
        let output = run(&[command, text(&file), "--rejected", "/dev/null"]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        // What a trial cannot write there it writes elsewhere.
        let mut full = penstock(&[command, text(&file), "--rejected", "/dev/full"]);
        let output = full.env("TMPDIR", &other).output().expect("the command runs");
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert!(said.contains("/dev/full cannot be written: No space left"), "{said}");
        assert_eq!(
            (output.status.code(), names(&other).len()),
            if command == "check" { (Some(1), 1) } else { (Some(2), 2) }
        );
    }
    use std::os::unix::fs::FileTypeExt;
    assert!(std::fs::metadata("/dev/null").expect("a device").file_type().is_char_device());
}

#[test]
fn a_place_that_cannot_be_written_is_found_out_before_anything_is_imported() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.csv");
    std::fs::write(&file, SOME_BAD).expect("a file");
    let dev = Dev::start(&[]);
    let (nowhere, no_folder) = (folder.path().join("nowhere/bad.csv"), file.join("bad.csv"));
    let dangling = folder.path().join("dangling");
    symlink(folder.path().join("gone"), &dangling).expect("a link");
    for place in [text(&nowhere), text(&no_folder), text(&dangling), "/proc/bad.csv"] {
        let output = dev.run("local.secret", &["import", text(&file), "--rejected", place]);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{place}");
        assert!(stderr(&output).contains(place), "{}", stderr(&output));
        assert_eq!(run(&["check", text(&file), "--rejected", place]).status.code(), Some(1), "{place}");
    }
    // A place that nobody named is said together with how to name one.
    let mut command = penstock(&["import", "-", "--url", &dev.url, "--token", "local.secret"]);
    let output = command.current_dir("/proc").output().expect("the command runs");
    assert!(output.status.code() == Some(1) && stderr(&output).contains("--rejected PATH"), "{}", stderr(&output));
    assert_eq!(stdout(&dev.run("local.secret", &["list"])), "");
    // So is a file that is not there.
    let output = dev.run("local.secret", &["import", text(&folder.path().join("b.csv"))]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(stdout(&dev.run("local.secret", &["list"])), "");
    assert_eq!(names(folder.path()), ["a.csv", "dangling"]);
}

/// Runs the command where no file can have more than some kilobytes, as on a disk that fills.
fn run_on_a_full_disk(arguments: &[&str]) -> Output {
    let command = penstock(arguments);
    // Beyond the limit a write fails, and the signal that comes with it is ignored.
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.stdin(Stdio::null()).output().expect("a shell")
}

#[test]
fn a_disk_that_fills_leaves_the_old_file_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, rejected) = (folder.path().join("a.csv"), folder.path().join("bad.csv"));
    std::fs::write(&file, rows()).expect("a file");
    std::fs::write(&rejected, "the old one").expect("a file");
    let dev = Dev::start(&[]);
    let service = ["--url", &dev.url, "--token", "local.secret"];
    let place = ["--rejected", text(&rejected)];
    let is_as_it_was = |output: &Output, what: &str| {
        assert_eq!(output.status.code(), Some(1), "{what}: {output:?}");
        assert!(stderr(output).contains("bad.csv cannot be written: File too large"), "{what}: {}", stderr(output));
        assert_eq!(std::fs::read_to_string(&rejected).expect("the old file"), "the old one", "{what}");
        assert_eq!(names(folder.path()), ["a.csv", "bad.csv"], "{what}");
    };
    is_as_it_was(&run_on_a_full_disk(&[&["check", text(&file)][..], &place].concat()), "check");
    let output = run_on_a_full_disk(&[&["import", text(&file)][..], &place, &service].concat());
    is_as_it_was(&output, "import");
    // What was imported is said, and how the rows can be had.
    assert!(stdout(&output).contains("6667 failed"), "{}", stdout(&output));
    let id = stdout(&output).lines().next().and_then(|line| line.split_whitespace().next()).expect("an id").to_owned();
    let fetch = format!("`penstock rejected {id} -o PATH --url {}` fetches them", dev.url);
    assert!(stderr(&output).contains(&fetch), "{}", stderr(&output));
    for command in ["rejected", "errors"] {
        let output = run_on_a_full_disk(&[&[command, &id, "-o", text(&rejected)][..], &service].concat());
        is_as_it_was(&output, command);
        let output = run(&[&[command, &id, "-o", text(&rejected)][..], &service].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(std::fs::metadata(&rejected).expect("a file").len() > 100_000, "{command}");
        // Rejected rows are what people mend, so that what was there is kept.
        let old = folder.path().join("bad.csv.old");
        assert_eq!(std::fs::read_to_string(&old).ok().as_deref(), (command == "rejected").then_some("the old one"));
        let _ = std::fs::remove_file(old);
        std::fs::write(&rejected, "the old one").expect("a file");
    }
}

#[test]
fn the_rejected_rows_of_a_trial_are_stored_elsewhere_if_their_folder_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (going, temporary) = (folder.path().join("going"), folder.path().join("temporary"));
    std::fs::create_dir(&going).expect("a folder");
    std::fs::create_dir(&temporary).expect("a folder");
    let mut command = penstock(&["import", "-", "--rejected", text(&going.join("bad.csv"))]);
    command.env("TMPDIR", &temporary).stdin(Stdio::piped());
    let mut running = Running::start(command);
    // By then it has found that it can write there.
    running.says("reading standard input");
    std::fs::remove_dir_all(&going).expect("removed");
    let mut input = running.child.stdin.take().expect("piped");
    input.write_all(SOME_BAD.as_bytes()).expect("it is read");
    drop(input);
    let (code, printed, said) = running.ends();
    assert_eq!(code, Some(2), "{said:?}");
    let line = printed.lines().find_map(|line| line.strip_prefix("rejected rows: ")).expect("where they are");
    assert!(line.contains("bad.csv cannot be written"), "{line}");
    let (path, _) = line.split_once(" (").expect("a path and a reason");
    assert!(path.starts_with(text(&temporary)), "{path}");
    let rejected = std::fs::read_to_string(path).expect("the rejected rows");
    assert!(rejected.contains(",B,b\n") && rejected.contains(",C,,d,red\n"), "{rejected}");
    // They are a customer's.
    assert_eq!(std::fs::metadata(path).expect("a file").permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_clean_run_moves_away_what_an_earlier_one_rejected() {
    for command in ["import", "check"] {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, rejected) = (folder.path().join("a.csv"), folder.path().join("a.csv.rejected.csv"));
        let call = || run(&[command, text(&file), "--rejected", text(&rejected)]);
        std::fs::write(&file, SOME_BAD).expect("a file");
        assert_eq!(call().status.code(), Some(2));
        let old = std::fs::read(&rejected).expect("the rejected rows");
        std::fs::write(&file, GOOD).expect("a file");
        let output = call();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert!(said.contains(&format!("{0} was there before, and is {0}.old now", text(&rejected))), "{said}");
        assert_eq!(names(folder.path()), ["a.csv", "a.csv.rejected.csv.old"], "{command}");
        assert_eq!(std::fs::read(format!("{}.old", text(&rejected))).expect("the old one"), old);
        // Nothing is said of nothing.
        let output = call();
        assert!(!format!("{}{}", stdout(&output), stderr(&output)).contains("before"), "{output:?}");
        // What fails writes no rows either: those of another run would be taken for its own.
        std::fs::write(&rejected, &old).expect("a file");
        std::fs::write(&file, "sku\nA\n").expect("a file");
        let output = call();
        assert_eq!(output.status.code(), Some(1));
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert!(said.contains(&format!("{0} was there before, and is {0}.old2 now", text(&rejected))), "{said}");
        assert!(!said.contains("no row"), "{said}");
        assert_eq!(names(folder.path()), ["a.csv", "a.csv.rejected.csv.old", "a.csv.rejected.csv.old2"], "{command}");
        assert_eq!(std::fs::read(format!("{}.old2", text(&rejected))).expect("the old one"), old);
    }
}

#[test]
fn rows_that_somebody_has_mended_are_kept() {
    for command in ["import", "check"] {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, rejected) = (folder.path().join("b.csv"), folder.path().join("b.csv.rejected.csv"));
        let call = || {
            let place = if command == "check" { vec!["--rejected", text(&rejected)] } else { vec![] };
            let output = run(&[&[command, text(&file)][..], &place].concat());
            assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
            stderr(&output).to_owned()
        };
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a file");
        std::fs::write(&file, SOME_BAD).expect("a file");
        call();
        let rows = read("b.csv.rejected.csv");
        let mended = rows.replace(",C,,d,red", ",C,c,d,red");
        assert_ne!(mended, rows);
        std::fs::write(&rejected, &mended).expect("a file");
        let said = call();
        let kept = format!("{0} was there before, and is {0}.old now", text(&rejected));
        assert!(said.contains(&kept), "{said}");
        assert_eq!((read("b.csv.rejected.csv"), read("b.csv.rejected.csv.old")), (rows.clone(), mended.clone()));
        // What holds the same need not be kept.
        assert!(!call().contains("before"));
        assert_eq!(names(folder.path()), ["b.csv", "b.csv.rejected.csv", "b.csv.rejected.csv.old"]);
        std::fs::write(&rejected, "notes\n").expect("a file");
        assert!(call().contains("b.csv.rejected.csv.old2 now"));
        assert_eq!((read("b.csv.rejected.csv.old"), read("b.csv.rejected.csv.old2")), (mended, "notes\n".to_owned()));
        assert_eq!(read("b.csv.rejected.csv"), rows);
    }
}

#[test]
fn what_is_printed_never_goes_to_what_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, schema) = (folder.path().join("f.csv"), folder.path().join("gadgets.json"));
    symlink(&file, folder.path().join("link.csv")).expect("a link");
    let kind = r#"{"name":"gadgets","primaryKey":["sku"],"fields":[{"name":"sku","type":"string"}]}"#;
    std::fs::write(&file, SOME_BAD).expect("a file");
    std::fs::write(&schema, kind).expect("a file");
    let service = ["--url", "127.0.0.1:1", "--token", "a.b"];
    let other = ["kinds", "put", "gadgets.json", service[0], service[1], service[2], service[3]];
    let login = ["login", "--url", "127.0.0.1:1"];
    for (arguments, redirected) in [
        (&["import", "f.csv", "--json"][..], "1<> f.csv"),
        (&["import", "f.csv"], ">> f.csv"),
        (&["import", "f.csv"], "2>> f.csv"),
        (&["import", "f.csv"], ">> f.csv 2>&1"),
        (&["import", "link.csv", "--preview"], ">> f.csv"),
        (&["import", "-"], "< f.csv >> f.csv"),
        (&["check", "f.csv", "--errors"], ">> link.csv"),
        (&["check", "f.csv"], "2>> f.csv"),
        (&["check", "/dev/stdin", "--json"], "< f.csv 1<> f.csv"),
        (&["check", "f.csv", "--kind", "gadgets.json"], ">> gadgets.json"),
        (&["import", "f.csv", "--kind", "gadgets.json"], "2>> gadgets.json"),
        (&other, ">> gadgets.json"),
        (&login, "< f.csv >> f.csv"),
        (&["dev", "--key-file", "f.csv"], ">> f.csv"),
    ] {
        let command = penstock(arguments);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec \"$@\" {redirected}"), "sh"]).arg(command.get_program());
        shell.args(command.get_args()).current_dir(folder.path()).stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let output = shell.output().expect("a shell");
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert_eq!(output.status.code(), Some(1), "{arguments:?} {redirected}: {said}");
        assert_eq!(std::fs::read_to_string(&file).expect("the file"), SOME_BAD, "{arguments:?} {redirected}");
        assert_eq!(std::fs::read_to_string(&schema).expect("the schema"), kind, "{arguments:?} {redirected}");
        // Where nothing can be said without harm, nothing is.
        let is_said = said.contains("a file that is read: writing there would destroy it");
        assert_eq!(is_said, !redirected.ends_with("2>&1"), "{arguments:?} {redirected}: {said}");
        assert_eq!(names(folder.path()), ["f.csv", "gadgets.json", "link.csv"], "{arguments:?} {redirected}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_found_out_before_anything_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.csv");
    std::fs::write(&file, SOME_BAD).expect("a file");
    let id = "imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F";
    // Nobody answers there.
    let service = ["--url", "127.0.0.1:1", "--token", "a.b"];
    let calls: [(&[&str], &str); 11] = [
        (&["import", text(&file)], "--rejected"),
        (&["check", text(&file)], "--rejected"),
        (&["errors", id], "-o"),
        (&["errors", id, "--summary"], "-o"),
        (&["rejected", id], "-o"),
        (&["removals", id], "-o"),
        (&["export", "products"], "-o"),
        (&["kinds", "show", "products"], "-o"),
        (&["kinds", "template", "products"], "-o"),
        (&["records", "list", "products"], "-o"),
        (&["records", "get", "products", "A"], "-o"),
    ];
    for (arguments, option) in calls {
        for place in ["new/", "new/.", "new/.."] {
            let place = format!("{}/{place}", text(folder.path()));
            let asks = if arguments[0] == "check" { &[][..] } else { &service };
            let output = run(&[arguments, &[option, &place], asks].concat());
            let error = format!("{place} is a folder that is not there: make it first, or name a file\n");
            assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{arguments:?}");
            assert_eq!(stderr(&output), format!("penstock: {error}"), "{arguments:?}");
        }
    }
    let place = format!("{}/new/", text(folder.path()));
    let output = run(&["cost", "--rows", "1", "--measured", &place]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""));
    assert!(stderr(&output).contains("is a folder that is not there"), "{}", stderr(&output));
    assert_eq!(names(folder.path()), ["a.csv"]);
}

#[test]
fn a_folder_for_temporary_files_that_is_missing_is_said_as_such() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, missing) = (folder.path().join("a.csv"), folder.path().join("missing"));
    std::fs::write(&file, GOOD).expect("a file");
    for arguments in [&["import", text(&file)][..], &["check", "-"], &["dev", "--listen", "127.0.0.1:0"]] {
        let mut command = penstock(arguments);
        command.env("TMPDIR", &missing).stdin(Stdio::piped());
        let output = command.output().expect("the command runs");
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        let place = format!("{}, the folder for temporary files (TMPDIR), takes no ", text(&missing));
        assert!(said.contains(&place) && said.contains("No such file or directory"), "{arguments:?}: {said}");
        assert!(!said.contains("at path"), "{arguments:?}: {said}");
    }
}

/// What happens to a file while it is uploaded.
type Change<'a> = &'a dyn Fn(&Path);

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_while_it_is_uploaded_is_not_imported() {
    // More than the sockets between the command and the gate hold, so that it cannot have read all before the gate
    // opens.
    let sockets = ["tcp_rmem", "tcp_wmem"].map(|name| {
        let limits = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).expect("the system's limits");
        limits.split_whitespace().next_back().and_then(|most| most.parse::<u64>().ok()).expect("a number")
    });
    let bytes = sockets.iter().sum::<u64>() + (8 << 20);
    let open = |file: &Path| std::fs::OpenOptions::new().append(true).open(file).expect("a file");
    let changes: [(Change<'_>, &str); 6] = [
        (&|file| open(file).write_all(b"more").expect("written"), "and has"),
        (&|file| open(file).set_len(bytes - 1).expect("cut"), "and has"),
        (
            &|file| {
                let later = SystemTime::now() + Duration::from_secs(1);
                open(file).set_modified(later).expect("as after a write");
            },
            "it was written to",
        ),
        (
            &|file| {
                let other = file.with_extension("new");
                std::fs::write(&other, GOOD).expect("a file");
                std::fs::rename(other, file).expect("renamed");
            },
            "another file has taken its place",
        ),
        (&|file| std::fs::remove_file(file).expect("removed"), "not in its place any more"),
        (
            &|file| {
                let opened = std::fs::OpenOptions::new().write(true).open(file).expect("a file");
                let before = opened.metadata().and_then(|found| found.modified()).expect("a time");
                (&opened).write_all(b"S").expect("written");
                opened.set_modified(before).expect("put back");
            },
            "it was written to, or its time",
        ),
    ];
    let stack = Stack::start().await;
    for (change, how) in changes {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.csv");
        // A hole: nobody gets as far as looking into it.
        std::fs::File::create(&file).and_then(|file| file.set_len(bytes)).expect("a file");
        let gate = Gate::before(stack.cloud.url()).await;
        gate.rule(Method::PUT, "/", Fate::HeldBefore);
        let running = Running::start(penstock(&["import", text(&file), "--url", gate.url(), "--token", TOKEN]));
        gate.met(1).await;
        change(&file);
        gate.open();
        let (code, printed, said) = tokio::task::spawn_blocking(|| running.ends()).await.expect("it ends");
        assert_eq!((code, &*printed), (Some(1), ""), "{how}: {said:?}");
        let last = said.last().expect("a line");
        assert!(last.contains("changed while it was uploaded") && last.contains(how), "{how}: {last}");
        assert!(last.contains("is cancelled, and nothing of it was imported"), "{how}: {last}");
        let import = stack.client.list(None, 1).await.expect("a list").imports.remove(0);
        assert_eq!((import.status, import.rows.processed), (Status::Cancelled, 0), "{how}");
        assert!(last.contains(&import.id), "{last}");
    }
    stack.stop().await;
}
