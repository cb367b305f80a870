//! `penstock webhooks`: endpoints from the command line.

use serde_json::Value;

use super::{Dev, GOOD, folder_with, import_of, stderr, stdout};

const TOKEN: &str = "local.secret";

/// What a call prints, of one that succeeds.
fn printed(dev: &Dev, arguments: &[&str]) -> String {
    let output = dev.run(TOKEN, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    stdout(&output).to_owned()
}

fn lines(dev: &Dev, arguments: &[&str]) -> Vec<Value> {
    printed(dev, arguments).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn an_endpoint_is_added_changed_and_deleted() {
    let dev = Dev::start(&[]);
    let output = dev.run(TOKEN, &["webhooks", "add", "https://example.com/hooks", "--events", "import.failed"]);
    let (secret, told) = (stdout(&output).trim(), stderr(&output));
    assert!(secret.starts_with("whsec_") && !told.contains(secret), "{secret} {told}");
    let id = told.split(':').next().expect("an id").to_owned();
    assert!(told.contains("shown this once") && id.starts_with("whk_"), "{told}");
    let listed = printed(&dev, &["webhooks", "list"]);
    assert_eq!(listed.trim_end(), format!("{id}  enabled  https://example.com/hooks  import.failed"));
    let shown: Value = serde_json::from_str(&printed(&dev, &["webhooks", "show", &id])).expect("JSON");
    assert_eq!((shown["id"].as_str(), shown["secret"].as_str()), (Some(&*id), None));

    let change = ["webhooks", "change", &id, "--events", "all", "--kinds", "products,orders", "--disable"];
    let changed = printed(&dev, &change);
    assert!(changed.contains("disabled (asked)") && changed.contains("every event of orders,products"), "{changed}");
    let changed = printed(&dev, &["webhooks", "change", &id, "--kinds", "all", "--events", "none", "--enable"]);
    assert!(changed.contains("enabled") && changed.contains("imports that name it"), "{changed}");

    let rotated = printed(&dev, &["webhooks", "rotate", &id]);
    assert!(rotated.starts_with("whsec_") && rotated.trim() != secret, "another secret");
    let asymmetric = printed(&dev, &["webhooks", "add", "https://example.com/", "--signature", "v1a"]);
    assert!(asymmetric.starts_with("whpk_"), "{asymmetric}");
    assert_eq!(lines(&dev, &["webhooks", "list", "--json"]).len(), 2);
    assert_eq!(printed(&dev, &["webhooks", "delete", &id]).trim(), format!("{id}  deleted"));
    let gone = dev.run(TOKEN, &["webhooks", "show", &id]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(stderr(&gone).contains("no such webhook"), "{}", stderr(&gone));
}

#[test]
fn deliveries_are_shown_and_ordered_again() {
    let dev = Dev::start(&[]);
    // Nobody listens there.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let url = format!("http://{nobody}/hooks");
    let added: Value = serde_json::from_str(&printed(&dev, &["webhooks", "add", &url, "--json"])).expect("JSON");
    let id = added["id"].as_str().expect("an id");
    let (_folder, file) = folder_with("good.csv", GOOD);
    let import = ["import", &file, "--json", "--metadata", "batch=7", "--metadata", "a=b=c", "--webhook", id];
    let import = import_of(&dev.run(TOKEN, &import));
    assert_eq!((&import["metadata"]["batch"], &import["metadata"]["a"]), (&"7".into(), &"b=c".into()));
    assert_eq!(import["webhook"].as_str(), Some(id));
    // Until an attempt of each of its two events has ended.
    let deliveries = super::until("two attempts", || {
        let found = lines(&dev, &["webhooks", "deliveries", id, "--json"]);
        let tried = found.iter().filter(|delivery| !delivery["attempts"][0]["error"].is_null()).count();
        (tried == 2).then_some(found)
    });
    assert_eq!(deliveries[0]["event"]["type"], "import.completed");
    assert_eq!(deliveries[0]["event"]["data"]["import"]["metadata"]["batch"], "7");
    let event = deliveries[0]["id"].as_str().expect("an id");
    let shown = printed(&dev, &["webhooks", "deliveries", id, "--limit", "1"]);
    assert_eq!(shown.lines().count(), 1);
    for part in [event, "pending", "import.completed", import["id"].as_str().expect("an id"), "connection_failed"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let resent = printed(&dev, &["webhooks", "resend", id, event]);
    assert!(resent.starts_with(event) && resent.contains("pending"), "{resent}");
    let range = ["webhooks", "resend", id, "--after", "2020-01-01T00:00:00Z", "--before", "2020-01-02T00:00:00Z"];
    assert_eq!(printed(&dev, &range).trim(), format!("{id}  0 deliveries are ordered again"));
    let test = printed(&dev, &["webhooks", "test", id]);
    assert!(test.starts_with("evt_"), "{test}");
}

#[test]
fn what_is_wrong_is_said() {
    let dev = Dev::start(&[]);
    for (arguments, why) in [
        (&["webhooks", "add", "http://example.com/"][..], "https://HOST"),
        (&["webhooks", "add", "https://example.com/", "--events", "import.done"], "import.completed"),
        (&["webhooks", "add", "https://example.com/", "--signature", "v2"], "v1a"),
        (&["webhooks", "resend", "whk_1"], "<EVENT>"),
        (&["webhooks", "resend", "whk_1", "--after", "2020-01-01T00:00:00Z"], "--before"),
        (&["webhooks", "test", "whk_1"], "no such webhook"),
        (&["listen", "--secret", "whsec_AAAA", "--forward-to", "127.0.0.1:9"], "24 to 64"),
        (&["import", "none.csv", "--metadata", "batch"], "NAME=TEXT"),
    ] {
        let output = dev.run(TOKEN, arguments);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(why), "{arguments:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("whsec_AAAA"), "a secret is repeated: {}", stderr(&output));
    }
}
