//! Which service is asked, with which key: flags over the environment over the profiles, and never a key for another
//! service.

use std::{
    io::Write,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use super::{Dev, GOOD, folder_with, names, penstock, run, stderr, stdout};

/// The command with profiles of its own.
fn with_profiles(home: &Path, arguments: &[&str]) -> Command {
    let mut command = penstock(arguments);
    command.env("XDG_CONFIG_HOME", home);
    command
}

fn output(command: &mut Command) -> Output {
    command.output().expect("the command runs")
}

#[test]
fn a_token_without_a_url_imports_nothing() {
    let (folder, file) = folder_with("good.csv", GOOD);
    for mut command in [
        penstock(&["import", &file, "--token", "a.b"]),
        {
            let mut command = penstock(&["import", &file]);
            command.env("PENSTOCK_TOKEN", "a.b");
            command
        },
        penstock(&["import", &file, "--token", "a.b", "--preview"]),
        penstock(&["list", "--token", "a.b"]),
    ] {
        let output = output(&mut command);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{command:?}");
        assert!(stderr(&output).contains("a token without a URL"), "{command:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("importing"), "{}", stderr(&output));
    }
    for mut command in [penstock(&["import", &file, "--url", "127.0.0.1:1"]), {
        let mut command = penstock(&["import", &file]);
        command.env("PENSTOCK_URL", "127.0.0.1:1");
        command
    }] {
        let output = output(&mut command);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{command:?}");
        assert!(stderr(&output).contains("a URL without a key"), "{command:?}: {}", stderr(&output));
    }
    let output = run(&["status", "imp_1"]);
    assert!(stderr(&output).contains("penstock login"), "{}", stderr(&output));
    // What is set and empty is not set.
    let mut command = penstock(&["import", &file]);
    let output = command.env("PENSTOCK_TOKEN", "").output().expect("the command runs");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(names(folder.path()), ["good.csv"]);
}

#[test]
fn services_and_keys_are_written_as_people_write_them() {
    let dev = Dev::start(&["--key", "me.pass:word"]);
    let host = dev.url.strip_prefix("http://").expect("HTTP");
    for url in [&*dev.url, host, &format!("{}/", dev.url)] {
        for token in ["me:pass:word", "me.pass:word"] {
            let output = run(&["list", "--url", url, "--token", token]);
            assert_eq!(output.status.code(), Some(0), "{url} {token}: {}", stderr(&output));
        }
    }
    let port = host.rsplit_once(':').expect("a port").1;
    for (url, part) in [(port, "127.0.0.1:PORT"), ("ftp://127.0.0.1", "https://HOST"), ("", "https://HOST")] {
        let output = run(&["list", "--url", url, "--token", "me:pass:word"]);
        assert_eq!(output.status.code(), Some(1), "{url}");
        assert!(stderr(&output).contains(part), "{url}: {}", stderr(&output));
    }
    let output = run(&["list", "--url", host, "--token", "me"]);
    assert!(stderr(&output).contains("<id>.<secret> or <id>:<secret>"), "{}", stderr(&output));
    // So are addresses to listen on; one that is taken is said as it is.
    let taken = TcpListener::bind("127.0.0.1:0").and_then(|listener| Ok((listener.local_addr()?.port(), listener)));
    let (port, _listener) = taken.expect("a port");
    for listen in [port.to_string(), format!("localhost:{port}")] {
        let output = run(&["dev", "--listen", &listen]);
        assert!(stderr(&output).contains(&format!("listening on 127.0.0.1:{port}")), "{}", stderr(&output));
    }
    let output = run(&["dev", "--listen", "everywhere:80"]);
    assert!(stderr(&output).contains("write an address and a port"), "{}", stderr(&output));
}

#[test]
fn a_hint_can_be_run_as_it_stands() {
    let home = tempfile::tempdir().expect("a folder");
    let dev = Dev::start(&["--key", "one:first"]);
    let rows: String = (1..=13).map(|row| format!("S-{row},name,brand,x{row}\n")).collect();
    let (_folder, file) = folder_with("bad.csv", &format!("sku,name,brand,cost\n{rows}"));
    let stored = output(&mut with_profiles(
        home.path(),
        &["login", "--profile", "Anna's shop", "--url", &dev.url, "--token", "one:first"],
    ));
    assert_eq!(stored.status.code(), Some(0), "{}", stderr(&stored));
    let imported = output(&mut with_profiles(home.path(), &["import", &file, "--profile", "Anna's shop"]));
    assert_eq!(imported.status.code(), Some(2), "{}", stderr(&imported));
    let words = stdout(&imported).split_once("`penstock ").and_then(|(_, rest)| rest.split_once('`'));
    let (words, _) = words.unwrap_or_else(|| panic!("no hint: {}", stdout(&imported)));
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec \"$0\" {words}"), env!("CARGO_BIN_EXE_penstock")]).stdin(Stdio::null());
    for name in ["PENSTOCK_URL", "PENSTOCK_TOKEN", "PENSTOCK_PROFILE"] {
        shell.env_remove(name);
    }
    let shown = output(shell.env("XDG_CONFIG_HOME", home.path()));
    assert_eq!((shown.status.code(), stdout(&shown).lines().count()), (Some(0), 13), "{words}: {}", stderr(&shown));
}

#[test]
fn no_message_holds_a_key() {
    for arguments in [
        &["list", "--url", "http://demo:topsecret@127.0.0.1:1"][..],
        &["list", "--url", "http://demo:topsecret@127.0.0.1:1", "--token", "a.b"],
        &["list", "--url", "demo:topsecret@127.0.0.1:1"],
        &["login", "--url", "http://demo:topsecret@127.0.0.1:1", "--token", "a.b"],
        &["list", "--url", "http://127.0.0.1:1/?key=topsecret", "--token", "a.b"],
        &["listen", "--forward-to", "http://u:topsecret@127.0.0.1:1", "--url", "127.0.0.1:1", "--token", "a.b"],
    ] {
        let output = run(arguments);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{arguments:?}");
        let said = stderr(&output);
        assert!(said.contains("is no URL of a service") && !said.contains("topsecret"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_profile_is_a_service_and_a_key_that_its_owner_alone_can_read() {
    let home = tempfile::tempdir().expect("a folder");
    let (one, two) = (Dev::start(&["--key", "one:first"]), Dev::start(&["--key", "two:second"]));
    let (_folder, file) = folder_with("good.csv", GOOD);
    let login = |arguments: &[&str], key: &str| {
        let mut command = with_profiles(home.path(), &[&["login"], arguments].concat());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        // It may have ended, having been told all.
        let _ = child.stdin.take().expect("piped").write_all(key.as_bytes());
        child.wait_with_output().expect("it ends")
    };
    // A key that is not taken is not stored.
    let refused = login(&["--url", &one.url], "one:wrong");
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("nothing is stored"), "{}", stderr(&refused));
    assert_eq!(names(home.path()), [""; 0]);

    let stored = login(&["--url", &one.url], "one:first\n");
    assert_eq!(stored.status.code(), Some(0), "{}", stderr(&stored));
    assert!(!stdout(&stored).contains("first") && !stderr(&stored).contains("first"), "{stored:?}");
    let config = home.path().join("penstock/config.toml");
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&config), mode(config.parent().expect("a folder"))), (0o600, 0o700));
    // What a person has written there stays.
    let text = std::fs::read_to_string(&config).expect("text");
    std::fs::write(&config, format!("# mine\n{text}")).expect("written");
    let stored = login(&["--profile", "second", "--url", &two.url, "--token", "two.second"], "");
    assert_eq!(stored.status.code(), Some(0), "{}", stderr(&stored));
    assert!(std::fs::read_to_string(&config).expect("text").starts_with("# mine\n"));
    assert_eq!(mode(&config), 0o600);

    let first = |output: &Output| stderr(output).lines().next().map(str::to_owned);
    let into = |dev: &Dev| Some(format!("importing into {}", dev.url));
    let import = ["import", &*file];
    // The default profile; one that is named; the environment over the default; what is named over the environment;
    // flags over all.
    assert_eq!(first(&output(&mut with_profiles(home.path(), &import))), into(&one));
    assert_eq!(
        first(&output(&mut with_profiles(home.path(), &[&import[..], &["--profile", "second"]].concat()))),
        into(&two)
    );
    assert_eq!(first(&output(with_profiles(home.path(), &import).env("PENSTOCK_PROFILE", "second"))), into(&two));
    let in_environment = |arguments: &[&str]| {
        let mut command = with_profiles(home.path(), &[&import[..], arguments].concat());
        output(command.env("PENSTOCK_URL", &two.url).env("PENSTOCK_TOKEN", "two:second"))
    };
    assert_eq!(first(&in_environment(&[])), into(&two));
    assert_eq!(first(&in_environment(&["--profile", "default"])), into(&one));
    assert_eq!(first(&in_environment(&["--url", &one.url, "--token", "one:first"])), into(&one));
    let trial = in_environment(&["--local"]);
    assert_eq!(first(&trial).as_deref(), Some("importing into a local cloud in memory, which ends with this command"));
    let last = |output: &Output| stdout(output).lines().last().map(str::to_owned);
    assert_eq!(last(&in_environment(&[])), Some(format!("imported into {}", two.url)));

    // A profile's key is for its own service: a URL that is another's does not get it.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("it does not wait");
    let other = listener.local_addr().expect("an address").to_string();
    let output = output(&mut with_profiles(home.path(), &["list", "--url", &other]));
    assert!(stderr(&output).contains("a URL without a key"), "{}", stderr(&output));
    assert!(listener.accept().is_err(), "somebody has connected");
    let output = with_profiles(home.path(), &["list", "--url", &one.url]).output().expect("the command runs");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));

    // Others may read it: that is said.
    std::fs::set_permissions(&config, PermissionsExt::from_mode(0o644)).expect("permissions");
    let output = with_profiles(home.path(), &["list"]).output().expect("the command runs");
    assert!(output.status.success() && stderr(&output).contains("chmod 600"), "{}", stderr(&output));
    // What is wrong with it is said without what is in it.
    std::fs::write(&config, "[profiles.default]\nurl = \"http://127.0.0.1\"\ntoken = one.first\n").expect("written");
    let output = with_profiles(home.path(), &["list"]).output().expect("the command runs");
    assert!(stderr(&output).contains("is no TOML") && !stderr(&output).contains("first"), "{}", stderr(&output));
    std::fs::write(&config, "[profiles.default]\nurl = \"http://127.0.0.1\"\n").expect("written");
    let output = with_profiles(home.path(), &["list"]).output().expect("the command runs");
    assert!(stderr(&output).contains("has no token"), "{}", stderr(&output));

    let output = with_profiles(home.path(), &["logout"]).output().expect("the command runs");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for gone in [&["logout"][..], &["list", "--profile", "default"]] {
        let output = with_profiles(home.path(), gone).output().expect("the command runs");
        assert!(stderr(&output).contains("there is no profile"), "{}", stderr(&output));
    }
}
