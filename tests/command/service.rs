//! The command against a service.

use std::{net::TcpListener, path::Path};

use penstock_client::Client;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Dev, GOOD, SOME_BAD, folder_with, import_of, penstock, run, stderr, stdout,
    support::http::{self, send},
    text,
};

#[test]
fn the_command_works_against_a_running_service() {
    let (_folder, file) = folder_with("some bad.csv", SOME_BAD);
    let mut dev = Dev::start(&["--key", "me:pass.word", "--account", "shop"]);
    let token = "me.pass.word";
    assert!(dev.said.iter().any(|line| line.contains(&format!("curl {}/health", dev.url))), "{:?}", dev.said);
    let output = dev.run(token, &["import", &file, "--json"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let import = import_of(&output);
    let id = import["id"].as_str().expect("an id");
    assert!(Path::new(&format!("{file}.rejected.csv")).exists());

    let output = dev.run(token, &["status", id]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(import_of(&output), import);

    let output = dev.run(token, &["errors", id]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let errors: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let shown: Vec<_> = errors.iter().map(|error| (error["row"].as_u64(), error["code"].as_str())).collect();
    assert_eq!(shown, [(Some(2), Some("ragged_row")), (Some(3), Some("required"))]);
    let output = dev.run(token, &["errors", id, "--summary"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let summary: Value = serde_json::from_str(stdout(&output)).expect("one document");
    assert_eq!((&summary["errors"], &summary["groups"][0]["examples"][0]), (&2.into(), &errors[0]));

    let second = import_of(&dev.run(token, &["import", &file, "--json"]));
    let output = dev.run(token, &["list"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines: Vec<&str> = stdout(&output).lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, import) in lines.iter().zip([&second, &import]) {
        assert!(line.starts_with(import["id"].as_str().expect("an id")), "{lines:?}");
        assert!(line.contains("completed_with_errors") && line.contains("some bad.csv"), "{line}");
    }
    assert_eq!(stdout(&dev.run(token, &["list", "--limit", "1"])).lines().count(), 1);

    // The same by the environment.
    let output = penstock(&["status", id]).env("PENSTOCK_URL", &dev.url).env("PENSTOCK_TOKEN", token).output();
    assert_eq!(import_of(&output.expect("the command runs")), import);
    let output =
        penstock(&["import", &file, "--json"]).env("PENSTOCK_URL", &dev.url).env("PENSTOCK_TOKEN", token).output();
    let third = import_of(&output.expect("the command runs"));
    assert_eq!(dev.run(token, &["status", third["id"].as_str().expect("an id")]).status.code(), Some(0));

    for wrong in ["me.pass.wore", "local.secret"] {
        for call in [&["import", &file][..], &["status", id], &["errors", id], &["list"]] {
            let output = dev.run(wrong, call);
            assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{call:?}");
            assert!(stderr(&output).contains("401"), "{}", stderr(&output));
        }
    }
    let output = dev.run(token, &["status", "imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no such import"), "{}", stderr(&output));
    assert_eq!(dev.end("TERM").code(), Some(0));
}

#[test]
fn two_instances_run_side_by_side() {
    let (_folder, file) = folder_with("good.csv", GOOD);
    let (mut one, mut two) = (Dev::start(&[]), Dev::start(&[]));
    assert_ne!(one.url, two.url);
    let first = import_of(&one.run("local.secret", &["import", &file, "--json"]));
    let second = import_of(&two.run("local.secret", &["import", &file, "--json"]));
    for import in [&first, &second] {
        // Neither has seen the other's records.
        assert_eq!(import["rows"]["created"], 2);
    }
    for (dev, own, other) in [(&one, &first, &second), (&two, &second, &first)] {
        let output = dev.run("local.secret", &["list"]);
        let list = stdout(&output);
        assert!(list.contains(own["id"].as_str().expect("an id")), "{list}");
        assert!(!list.contains(other["id"].as_str().expect("an id")), "{list}");
    }
    assert_eq!(one.end("TERM").code(), Some(0));
    // One's end is not the other's.
    assert_eq!(two.run("local.secret", &["import", &file]).status.code(), Some(0));
    assert_eq!(two.end("INT").code(), Some(0));
}

#[test]
fn a_port_that_is_taken_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = run(&["dev", "--listen", &address]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""));
    assert!(stderr(&output).contains(&address), "{}", stderr(&output));
}

#[test]
fn what_is_in_the_data_folder_survives_a_restart() {
    let (folder, file) = folder_with("some bad.csv", SOME_BAD);
    let data = folder.path().join("deep").join("data");
    let data = data.to_str().expect("UTF-8");
    let mut dev = Dev::start(&["--data", data]);
    let import = import_of(&dev.run("local.secret", &["import", &file, "--json"]));
    assert_eq!(import["status"], "completed_with_errors");
    assert_eq!(dev.end("TERM").code(), Some(0));

    let mut dev = Dev::start(&["--data", data]);
    let id = import["id"].as_str().expect("an id");
    assert_eq!(import_of(&dev.run("local.secret", &["status", id])), import);
    assert_eq!(stdout(&dev.run("local.secret", &["errors", id])).lines().count(), 2);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let client = Client::new(&dev.url, "local.secret").expect("a client");
        let record = client.record("products", "A").await.expect("answers").expect("is there");
        assert_eq!(record["fields"]["name"], "a");
        let path = folder.path().join("rejected again.csv");
        client.save_rejected(id, &path).await.expect("the rejected rows are there");
        let again = std::fs::read_to_string(path).expect("text");
        assert_eq!(again, std::fs::read_to_string(format!("{file}.rejected.csv")).expect("text"));
        let request = http::client().request(Method::GET, format!("{}/health", dev.url));
        assert_eq!(send(request).await.status, 200);
    });
    // The rows that are there already are found.
    let again = import_of(&dev.run("local.secret", &["import", &file, "--json"]));
    assert_eq!((&again["rows"]["created"], &again["rows"]["unchanged"]), (&0.into(), &1.into()));
    assert_eq!(dev.end("INT").code(), Some(0));
}

#[test]
fn imports_are_cancelled_deleted_and_their_rejected_rows_fetched() {
    let dev = Dev::start(&[]);
    let (folder, file) = folder_with("some bad.csv", SOME_BAD);
    let id =
        import_of(&dev.run("local.secret", &["import", &file, "--json"]))["id"].as_str().expect("an id").to_owned();
    let whole = std::fs::read(format!("{file}.rejected.csv")).expect("the rejected rows");
    let output = dev.run("local.secret", &["rejected", &id]);
    assert_eq!((output.status.code(), &output.stdout), (Some(0), &whole), "{}", stderr(&output));
    let place = folder.path().join("again.csv");
    let output = dev.run("local.secret", &["rejected", &id, "-o", text(&place)]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), ""), "{}", stderr(&output));
    assert_eq!(std::fs::read(&place).expect("a file"), whole);
    let output = dev.run("local.secret", &["errors", &id, "--output", text(&place)]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), ""), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(&place).expect("a file"), stdout(&dev.run("local.secret", &["errors", &id])));
    let output = dev.run("local.secret", &["watch", &id]);
    assert_eq!((output.status.code(), &import_of(&output)["id"]), (Some(2), &json!(id)));

    // One that has ended is not cancelled, one that waits is, and both can go.
    let output = dev.run("local.secret", &["cancel", &id]);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("409"), "{}", stderr(&output));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let waiting = runtime.block_on(async {
        let client = Client::new(&dev.url, "local.secret").expect("a client");
        client.create(&penstock_client::NewImport::default(), None).await.expect("an import").id
    });
    let output = dev.run("local.secret", &["cancel", &waiting, "--json"]);
    assert_eq!((output.status.code(), &import_of(&output)["status"]), (Some(0), &json!("cancelled")));
    let output = dev.run("local.secret", &["cancel", &waiting]);
    assert!(stdout(&output).starts_with(&format!("{waiting}  cancelled")), "{}", stdout(&output));
    let listed = |arguments: &[&str]| -> Vec<String> {
        let output = dev.run("local.secret", &[&["list", "--json"][..], arguments].concat());
        stdout(&output)
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["id"].as_str().expect("an id").to_owned())
            .collect()
    };
    assert_eq!(listed(&[]), [waiting.clone(), id.clone()]);
    assert_eq!(listed(&["--status", "cancelled"]), [&*waiting]);
    assert_eq!(listed(&["--status", "completed_with_errors", "--kind", "products"]), [&*id]);
    assert_eq!(listed(&["--kind", "orders"]), [""; 0]);
    for gone in [&waiting, &id] {
        let output = dev.run("local.secret", &["delete", gone, "--json"]);
        assert_eq!(import_of(&output), json!({ "id": gone, "deleted": true }), "{}", stderr(&output));
    }
    assert_eq!(listed(&[]), [""; 0]);
    assert_eq!(dev.run("local.secret", &["rejected", &id]).status.code(), Some(1));
}

#[test]
fn kinds_and_records_are_shown() {
    let dev = Dev::start(&[]);
    let call = |arguments: &[&str]| dev.run("local.secret", arguments);
    let output = call(&["kinds", "list"]);
    assert!(
        stdout(&output).lines().any(|line| line.starts_with("products ") && line.contains("bundled")),
        "{output:?}"
    );
    let output = call(&["kinds", "template", "inventory"]);
    assert!(stdout(&output).starts_with("skuId,locationId,"), "{}", stdout(&output));
    let (folder, schema) = folder_with(
        "gadgets.json",
        r#"{"name":"gadgets","title":"Gadgets","primaryKey":["id","colour"],"fields":[{"name":"id"},{"name":"colour","constraints":{"required":false}},
           {"name":"weight","type":"number"}]}"#,
    );
    let output = call(&["kinds", "put", &schema, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(import_of(&output), json!({ "name": "gadgets", "title": "Gadgets", "version": 1 }));
    let output = call(&["kinds", "list", "--json"]);
    assert!(
        stdout(&output).contains("{\"name\":\"gadgets\",\"title\":\"Gadgets\",\"version\":1}\n"),
        "{}",
        stdout(&output)
    );
    let place = folder.path().join("shown.json");
    assert_eq!(call(&["kinds", "show", "gadgets", "-o", text(&place)]).status.code(), Some(0));
    let shown: Value = serde_json::from_slice(&std::fs::read(&place).expect("a file")).expect("JSON");
    assert_eq!(shown, import_of(&call(&["kinds", "show", "gadgets"])));
    assert_eq!(shown["primaryKey"], json!(["id", "colour"]));
    std::fs::write(&place, "{\"name\":\"gadgets\",\"fields\":7}").expect("a file");
    let output = call(&["kinds", "put", text(&place)]);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("/fields"), "{}", stderr(&output));

    let (_folder, file) = folder_with("rows.csv", "id,colour,weight\n\"50 %, x\",red,1.50\nB,,2\n");
    let output = call(&["import", &file, "--kind", "gadgets"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    let record = import_of(&call(&["records", "get", "gadgets", "50 %, x", "red"]));
    assert_eq!((&record["fields"]["id"], &record["fields"]["colour"]), (&json!("50 %, x"), &json!("red")));
    assert_eq!(import_of(&call(&["records", "get", "gadgets", "B", ""]))["fields"]["id"], "B");
    let output = call(&["records", "delete", "gadgets", "B,", "C,red", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(import_of(&output), json!({ "kind": "gadgets", "deleted": 1, "not_found": ["C,red"] }));
    // What has a comma in a value is written as the service writes it; as two keys it names nothing.
    let output = call(&["records", "delete", "gadgets", "50 %, x", "red"]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), "0 records deleted\n"));
    assert!(stderr(&output).contains("there is no record red of the kind gadgets"), "{}", stderr(&output));
    let output = call(&["records", "delete", "gadgets", "50 %25%2C x,red"]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), "1 record deleted\n"));
    let output = call(&["records", "get", "gadgets", "C", "red"]);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("there is no record"), "{}", stderr(&output));

    let (_folder, unused) = folder_with("widgets.json", r#"{"primaryKey":"id","fields":[{"name":"id"}]}"#);
    assert_eq!(call(&["kinds", "put", &unused]).status.code(), Some(0));
    let output = call(&["kinds", "delete", "widgets", "--json"]);
    assert_eq!(import_of(&output), json!({ "kind": "widgets", "deleted": true }), "{}", stderr(&output));
    for (kind, said) in [("widgets", "there is no such kind"), ("products", "is a bundled kind")] {
        let output = call(&["kinds", "delete", kind]);
        assert!(output.status.code() == Some(1) && stderr(&output).contains(said), "{}", stderr(&output));
    }
}
