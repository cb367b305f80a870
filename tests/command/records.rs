//! `penstock records`: the catalogue on a screen and in a pipe.

use serde_json::{Value, json};

use super::{Dev, folder_with, import_of, stderr, stdout, terminal::on_terminal, text};

const TOKEN: &str = "local:secret";

/// More digits than a float has.
const COST: &str = "12345678901234567890123456789012.345678";

/// The keys of the JSON lines that a list printed.
fn keys(lines: &str) -> Vec<String> {
    let key = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["key"].as_str().expect("text").to_owned();
    let mut keys: Vec<String> = lines.lines().map(key).collect();
    keys.sort();
    keys
}

#[test]
fn records_are_listed_page_by_page_and_told_where_they_come_from() {
    let dev = Dev::start(&[]);
    let call = |arguments: &[&str]| dev.run(TOKEN, arguments);
    let rows = |numbers: std::ops::Range<u32>, cost: &str| -> String {
        numbers.map(|number| format!("S-{number},name,brand,{cost}\n")).collect()
    };
    let (_folder, first) = folder_with("first.csv", &format!("sku,name,brand,cost\n{}", rows(0..230, "1.50")));
    let (folder, second) = folder_with("second.csv", &format!("sku,name,brand,cost\n{}", rows(0..3, COST)));
    let imported = |file: &str| {
        let import = import_of(&call(&["import", file, "--json"]));
        import["id"].as_str().expect("an id").to_owned()
    };
    let (first, second) = (imported(&first), imported(&second));

    // Not on a terminal: a JSON object a line, every record once, with every digit.
    let output = call(&["records", "list", "products"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let mut all: Vec<String> = (0..230).map(|number| format!("S-{number}")).collect();
    all.sort();
    assert_eq!(keys(stdout(&output)), all);
    let line = stdout(&output).lines().find(|line| line.contains("\"S-1\"")).expect("the record");
    assert!(line.starts_with("{\"key\":\"S-1\",\"fields\":{") && line.contains(&format!("\"cost\":{COST},")), "{line}");
    for more in [&[][..], &["--provenance"]] {
        let output = call(&[&["records", "get", "products", "S-1"][..], more].concat());
        assert!(stdout(&output).contains(&format!("    \"cost\": {COST},\n")), "{}", stdout(&output));
    }
    assert_eq!(stdout(&call(&["records", "list", "products", "--limit", "120"])).lines().count(), 120);
    let of_second = ["S-0", "S-1", "S-2"];
    assert_eq!(keys(stdout(&call(&["records", "list", "products", "--changed-by", &second]))), of_second);
    assert_eq!(keys(stdout(&call(&["records", "list", "products", "--changed-after", &first, "--json"]))), of_second);
    let place = folder.path().join("records.ndjson");
    assert_eq!(call(&["records", "list", "products", "-o", text(&place)]).status.code(), Some(0));
    assert_eq!(keys(&std::fs::read_to_string(&place).expect("a file")), all);

    // A person sees the key and the fields.
    let service = ["--url", &dev.url, "--token", TOKEN];
    let list = ["records", "list", "products", "--changed-by", &second];
    let (code, shown) = on_terminal(&[&list[..], &service].concat());
    assert!(code == Some(0) && shown.lines().count() == 3, "{shown}");
    assert!(shown.lines().all(|line| line.starts_with("S-") && line.contains("  {\"active\":true,")), "{shown}");

    let traced = import_of(&call(&["records", "get", "products", "S-1", "--provenance"]));
    assert_eq!(traced["provenance"]["made"], json!({ "import": first, "row": 2 }));
    assert_eq!(traced["provenance"]["fields"]["cost"], json!({ "import": second, "row": 2 }));
    assert_eq!(traced["fields"]["sku"], "S-1");
    assert_eq!(import_of(&call(&["records", "get", "products", "S-1"])).get("provenance"), None);

    let output = call(&["records", "list", "nothing"]);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("there is no such kind"), "{output:?}");
    let output = call(&["records", "list", "products", "--changed-by", &first, "--changed-after", &second]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
