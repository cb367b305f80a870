//! `penstock presets`, and `penstock import --preset`.

use serde_json::{Value, json};

use super::{Dev, folder_with, import_of, run, stderr, stdout};

const TOKEN: &str = "local:secret";

#[test]
fn a_preset_is_put_and_imports_are_made_by_it() {
    let dev = Dev::start(&[]);
    let (_folder, file) = folder_with("stock.csv", "Artikel;Name;Marke;Preis\nA-1;Lampe;Acme;1,50\n");
    let done = |arguments: &[&str]| {
        let output = dev.run(TOKEN, arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        output
    };
    let put = ["presets", "put", "nightly", "--delimiter", ";", "--decimal-char", ",", "--mode", "fill"];
    let maps = ["--map", "Artikel=sku", "--map", "Name=name", "--map", "Marke=brand", "--map", "Preis=cost"];
    assert_eq!(stdout(&done(&[&put[..], &maps].concat())), "nightly  products\n");
    let import = import_of(&done(&["import", &file, "--preset", "nightly", "--json"]));
    assert_eq!((&import["rows"]["created"], &import["options"]["mode"]), (&json!(1), &json!("fill")));
    // What is said goes before the preset, also what is said by default.
    let import = import_of(&done(&["import", &file, "--preset", "nightly", "--mode", "upsert", "--json"]));
    assert_eq!((&import["options"]["mode"], &import["preset"]), (&json!("upsert"), &json!("nightly")));
    assert!(stdout(&done(&["presets", "list"])).starts_with("nightly "));
    let output = done(&["presets", "get", "nightly"]);
    let shown: Value = serde_json::from_str(stdout(&output)).expect("JSON");
    assert_eq!(shown["options"]["decimal_char"], ",");
    assert_eq!(stdout(&done(&["presets", "delete", "nightly"])), "nightly  deleted\n");
    let gone = dev.run(TOKEN, &["import", &file, "--preset", "nightly"]);
    assert!(stderr(&gone).contains("there is no preset `nightly`"), "{}", stderr(&gone));
    let format = dev.run(TOKEN, &["presets", "put", "nightly", "--format", "csv"]);
    assert!(stderr(&format).contains("leave --format out"), "{}", stderr(&format));
    let nowhere = run(&["import", &file, "--preset", "nightly"]);
    assert!(stderr(&nowhere).contains("--preset names a preset at a service"), "{}", stderr(&nowhere));
}
