//! Presets: what is kept under a name is what an import that names it has, but for what the import says itself.

use std::process::{Command, Stdio};

use penstock_client::{NewImport, NewKey, NewPreset};
use penstock_model::{EmptyCells, ImportOptions, Mode, Scope, Status, limits};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{OTHER_TOKEN, Stack, TOKEN, http::send, refused, upload};

const FILE: &[u8] = b"Artikel;Name;Marke;Preis\nA-1;Lampe;Acme;1,50\nA-2;Tisch;Acme;2,25\n";

fn german() -> NewPreset {
    let mapping = [("Artikel", "sku"), ("Name", "name"), ("Marke", "brand"), ("Preis", "cost")];
    let mapping = mapping.map(|(column, field)| (column.to_owned(), field.to_owned())).into();
    let reading = penstock_model::ReadOptions { decimal_char: Some(','), ..Default::default() };
    let options = ImportOptions { delimiter: Some(';'), mapping, reading, ..ImportOptions::default() };
    NewPreset { kind: "products".into(), options }
}

async fn ask(stack: &Stack, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let answer = send(stack.request(method, path).bearer_auth(TOKEN).body(body.to_string())).await;
    (answer.status, serde_json::from_slice(&answer.body).expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_has_the_kind_and_the_options_of_its_preset() {
    let stack = Stack::start().await;
    let put = stack.client.put_preset("nightly", &german()).await.expect("put");
    assert_eq!((put.name.as_str(), &put.options), ("nightly", &german().options));
    assert_eq!(stack.client.preset("nightly").await.expect("there"), put);
    let named = NewImport { preset: Some("nightly".into()), ..NewImport::default() };
    let import = stack.import_as(named.clone(), FILE).await;
    assert_eq!((import.status, import.rows.created, import.kind.as_str()), (Status::Completed, 2, "products"));
    assert_eq!((import.preset.as_deref(), &import.options), (Some("nightly"), &put.options));
    let record = stack.client.record("products", "A-1").await.expect("answers").expect("a record");
    assert_eq!(record["fields"]["cost"], 1.5, "{record}");

    // Put anew and deleted, it changes no import that there is; and there is none of it any more.
    let awaits = stack.client.create(&named, None).await.expect("created");
    let suppliers = NewPreset { kind: "suppliers".into(), ..NewPreset::default() };
    stack.client.put_preset("nightly", &suppliers).await.expect("put");
    stack.client.delete_preset("nightly").await.expect("deleted");
    assert_eq!(upload(&awaits, FILE).await, 200);
    let ended = stack.ended(&awaits.id).await;
    assert_eq!((ended.status, ended.rows.unchanged, ended.preset.as_deref()), (Status::Completed, 2, Some("nightly")));
    assert_eq!(refused(stack.client.create(&named, None).await), (422, "unknown_preset".to_owned()));
    assert_eq!(refused(stack.client.delete_preset("nightly").await).0, 404);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_import_names_goes_before_its_preset_option_by_option() {
    let stack = Stack::start().await;
    let options =
        json!({ "mode": "fill", "empty_cells": "clear", "delimiter": ";", "mapping": { "A": "sku", "B": "name" } });
    let preset = json!({ "kind": "products", "options": options });
    assert_eq!(ask(&stack, Method::PUT, "/v1/presets/p", &preset).await.0, 201);
    let mapping = json!({ "C": "sku" });
    for (said, wanted) in [
        (json!({}), options.clone()),
        (
            json!({ "delimiter": "|" }),
            json!({ "mode": "fill", "empty_cells": "clear", "delimiter": "|", "mapping": options["mapping"] }),
        ),
        (
            json!({ "mapping": mapping }),
            json!({ "mode": "fill", "empty_cells": "clear", "delimiter": ";", "mapping": mapping }),
        ),
        (
            json!({ "mode": "upsert", "delimiter": null, "mapping": {} }),
            json!({ "mode": "upsert", "empty_cells": "clear" }),
        ),
    ] {
        let (status, import) =
            ask(&stack, Method::POST, "/v1/imports", &json!({ "preset": "p", "options": said })).await;
        assert_eq!(status, 201, "{import}");
        let mut wanted = wanted;
        wanted["dry_run"] = false.into();
        assert_eq!(import["options"], wanted, "{said}");
    }
    // Its kind as well.
    let (_, import) = ask(
        &stack,
        Method::POST,
        "/v1/imports",
        &json!({ "preset": "p", "kind": "catalog", "options": { "mapping": {} } }),
    )
    .await;
    assert_eq!(import["kind"], "catalog");
    // The client sends what is named, and leaves out what is not.
    let new = NewImport { preset: Some("p".into()), ..NewImport::default() };
    let kept = stack.client.create(&new, None).await.expect("created").options;
    assert_eq!((kept.mode, kept.empty_cells), (Mode::Fill, EmptyCells::Clear));
    let named = NewImport { named: ["mode"].into(), ..new };
    let kept = stack.client.create(&named, None).await.expect("created").options;
    assert_eq!((kept.mode, kept.empty_cells), (Mode::Upsert, EmptyCells::Clear));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn presets_are_refused_that_no_import_could_have() {
    let stack = Stack::start().await;
    let name = |number: usize| format!("{number:0>1000}");
    let many: Value = (0..limits::PRESET_BYTES / 1000 + 2).map(|number| (name(number), json!(""))).collect();
    for (name, body, code) in [
        ("p", json!({ "kind": "none" }), "unknown_kind"),
        ("p", json!({ "kind": "products", "options": { "mapping": { "A": "none" } } }), "unknown_field"),
        ("p", json!({ "kind": "products", "options": { "delimiter": "a" } }), "invalid_delimiter"),
        ("p", json!({ "kind": "products", "options": { "mapping": many } }), "preset_too_large"),
        ("P", json!({ "kind": "products" }), "invalid_preset_name"),
    ] {
        let (status, problem) = ask(&stack, Method::PUT, &format!("/v1/presets/{name}"), &body).await;
        assert_eq!((status, &problem["code"]), (422, &json!(code)), "{problem}");
    }
    let unknown = json!({ "kind": "products", "options": { "delimeter": ";" } });
    let (status, problem) = ask(&stack, Method::PUT, "/v1/presets/p", &unknown).await;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid_body")));

    // A replace takes the right to delete records, for whoever puts the preset and for whoever names it.
    let scopes = vec![Scope::ImportRead, Scope::ImportWrite];
    let key = stack.client.create_key(&NewKey { scopes, ..NewKey::default() }).await.expect("a key");
    let lesser = stack.client_of(&key.token.expect("a token"));
    let options = ImportOptions { mode: Mode::Replace, ..ImportOptions::default() };
    let replace = NewPreset { kind: "products".into(), options };
    assert_eq!(refused(lesser.put_preset("mirror", &replace).await).0, 403);
    stack.client.put_preset("mirror", &replace).await.expect("put");
    let new = NewImport { preset: Some("mirror".into()), ..NewImport::default() };
    assert_eq!(refused(lesser.create(&new, None).await).0, 403);
    let named = NewImport { named: ["mode"].into(), ..new };
    assert_eq!(lesser.create(&named, None).await.expect("an upsert").options.mode, Mode::Upsert);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_lists_its_own_and_has_so_many() {
    let stack = Stack::start().await;
    let preset = NewPreset { kind: "products".into(), ..NewPreset::default() };
    for number in 0..limits::ACCOUNT_PRESETS {
        stack.client.put_preset(&format!("p-{number:03}"), &preset).await.expect("put");
    }
    let one_more = stack.client.put_preset("q", &preset).await;
    assert_eq!(refused(one_more), (409, "too_many_presets".to_owned()));
    stack.client.put_preset("p-000", &preset).await.expect("put anew");
    let (mut names, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = stack.client.presets(cursor.as_deref(), 90).await.expect("a page");
        names.extend(page.presets.into_iter().map(|line| line.name));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert!(names.iter().cloned().eq((0..limits::ACCOUNT_PRESETS).map(|number| format!("p-{number:03}"))), "{names:?}");
    stack.client.delete_preset("p-007").await.expect("deleted");
    stack.client.put_preset("q", &preset).await.expect("there is room");
    let other = stack.client_of(OTHER_TOKEN);
    assert!(other.presets(None, 10).await.expect("a page").presets.is_empty());
    assert_eq!(refused(other.preset("q").await).0, 404);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_put_a_new_one_at_once_one_has_made_it() {
    let stack = Stack::start().await;
    let mut puts = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let body = json!({ "kind": "products" }).to_string();
        puts.spawn(send(stack.request(Method::PUT, "/v1/presets/p").bearer_auth(TOKEN).body(body)));
    }
    let mut statuses: Vec<u16> = puts.join_all().await.into_iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200; 19], vec![201]].concat());
    // One that was deleted is made anew.
    stack.client.delete_preset("p").await.expect("deleted");
    assert_eq!(ask(&stack, Method::PUT, "/v1/presets/p", &json!({ "kind": "products" })).await.0, 201);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_without_a_name_is_mapped_and_its_mapping_kept() {
    let stack = Stack::start().await;
    let mapping = json!({ "": "sku", "Titel": "name", "Notiz": "" });
    let preset = json!({ "kind": "products", "options": { "mapping": mapping } });
    let (status, put) = ask(&stack, Method::PUT, "/v1/presets/index", &preset).await;
    assert_eq!((status, &put["options"]["mapping"]), (201, &mapping), "{put}");
    assert_eq!(ask(&stack, Method::GET, "/v1/presets/index", &json!({})).await.1["options"]["mapping"], mapping);
    assert_eq!(stack.client.presets(None, 10).await.expect("a page").presets.len(), 1);
    // Its name stays empty wherever an import of it is stored and read: here as it is reviewed, confirmed and listed.
    let options = ImportOptions { review: true, ..ImportOptions::default() };
    let new = NewImport { preset: Some("index".into()), options, ..NewImport::default() };
    let import = stack.client.create(&new, None).await.expect("created");
    assert_eq!(upload(&import, b",Titel,brand,Notiz\n0,Lamp,Acme,x\n1,Desk,Acme,y\n").await, 200);
    let status = async || stack.client.import(&import.id).await.expect("it is there").status;
    stack.passes_until("it is judged", async || status().await == Status::AwaitingConfirmation).await;
    let confirmed = stack.client.confirm(&import.id).await.expect("confirmed");
    let ended = stack.ended(&confirmed.id).await;
    assert_eq!((ended.status, ended.rows.created), (Status::Completed, 2), "{ended:?}");
    let listed = stack.client.list(None, 10).await.expect("a page").imports;
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|import| json!(import.options.mapping) == mapping), "{listed:?}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaces_preset_gives_way_to_another_mode_alone() {
    let stack = Stack::start().await;
    let options = json!({ "mode": "replace", "most_removed_percent": 5 });
    ask(&stack, Method::PUT, "/v1/presets/rep", &json!({ "kind": "products", "options": options })).await;
    let ask_with = async |options: Value| {
        ask(&stack, Method::POST, "/v1/imports", &json!({ "preset": "rep", "options": options })).await
    };
    let (status, import) = ask_with(json!({ "mode": "fill" })).await;
    assert_eq!((status, &import["options"]["most_removed_percent"]), (201, &Value::Null), "{import}");
    let (_, import) = ask_with(json!({ "delimiter": ";" })).await;
    assert_eq!(import["options"]["most_removed_percent"], 5, "{import}");

    // What cannot be together says what is the preset's, and so does what the kind does not have.
    let (status, problem) = ask_with(json!({ "dry_run": true })).await;
    let detail = problem["detail"].as_str().expect("a sentence");
    assert_eq!((status, &problem["code"]), (422, &json!("invalid_option")), "{problem}");
    assert!(detail.ends_with("; `mode` is of the preset `rep`: give it its default to do without it"), "{detail}");
    let options = json!({ "mapping": { "A": "brand" }, "quoting": false });
    ask(&stack, Method::PUT, "/v1/presets/rep", &json!({ "kind": "products", "options": options })).await;
    let body = json!({ "preset": "rep", "kind": "suppliers", "options": {} });
    let (_, problem) = ask(&stack, Method::POST, "/v1/imports", &body).await;
    let detail = problem["detail"].as_str().expect("a sentence");
    assert!(detail.contains("`brand`") && detail.contains("; `mapping` is of the preset `rep`"), "{detail}");
    // What the request has said itself is not.
    let (_, problem) = ask_with(json!({ "escape": "a" })).await;
    assert!(!problem["detail"].as_str().expect("a sentence").contains("preset"), "{problem}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn null_sets_each_option_back() {
    let stack = Stack::start().await;
    let options = json!({
        "delimiter": ";", "quoting": true, "encoding": "utf-8", "sheet": "S", "mapping": { "A": "sku" }, "mode": "fill",
        "empty_cells": "clear", "dry_run": true, "abort": { "rows": 1, "percent": 1 }, "force": true,
        "decimal_char": ",", "group_char": ".", "date_format": "%d.%m.%Y", "true_values": ["y"], "false_values": ["n"],
        "header_line": 2, "comment": "#", "escape": "\\", "short_rows": "absent", "rows_at": "a",
    });
    let (status, put) =
        ask(&stack, Method::PUT, "/v1/presets/p", &json!({ "kind": "products", "options": options })).await;
    assert_eq!((status, &put["options"]), (201, &options), "{put}");
    let defaults = json!(ImportOptions::default());
    let nulls: Value = options.as_object().expect("options").keys().map(|name| (name.clone(), Value::Null)).collect();
    for body in [json!({ "preset": "p", "options": nulls }), json!({ "options": nulls })] {
        let (status, import) = ask(&stack, Method::POST, "/v1/imports", &body).await;
        assert_eq!((status, &import["options"]), (201, &defaults), "{import}");
    }
    let (status, put) =
        ask(&stack, Method::PUT, "/v1/presets/p", &json!({ "kind": "products", "options": nulls })).await;
    assert_eq!((status, &put["options"]), (200, &defaults), "{put}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_undoes_what_a_preset_says() {
    let stack = Stack::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.csv");
    std::fs::write(&file, "sku,name,brand\nA,\"a\",b\n").expect("a file");
    let import = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
        command.arg("import").arg(&file).args(["--preset", "p", "--json"]).args(flags).stdin(Stdio::null());
        command.env("PENSTOCK_URL", stack.cloud.url()).env("PENSTOCK_TOKEN", TOKEN);
        command.output().expect("the command runs")
    };
    for (option, flag) in [
        (json!({ "quoting": false }), "--quoting"),
        (json!({ "force": true }), "--no-force"),
        (json!({ "dry_run": true }), "--no-dry-run"),
        (json!({ "review": true }), "--no-review"),
    ] {
        ask(&stack, Method::PUT, "/v1/presets/p", &json!({ "kind": "products", "options": option })).await;
        let options = |output: &std::process::Output| {
            let import: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{flag}: {output:?}"));
            import["options"].clone()
        };
        let (name, said) = option.as_object().expect("options").iter().next().expect("one");
        assert_eq!(&options(&import(&[]))[name], said, "{flag}");
        let undone = options(&import(&[flag]));
        let undone: ImportOptions = serde_json::from_value(undone).expect("options");
        let quoting = (flag == "--quoting").then_some(true);
        assert_eq!(undone, ImportOptions { quoting, ..ImportOptions::default() }, "{flag}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gives_the_same_import_whatever_has_become_of_the_preset() {
    let stack = Stack::start().await;
    let kind = json!({ "primaryKey": "Artikel", "fields": [{ "name": "Artikel" }] });
    let put_kind = async || ask(&stack, Method::PUT, "/v1/kinds/own", &kind).await.0;
    let put = async |kind: &str, options: Value| {
        let (status, preset) =
            ask(&stack, Method::PUT, "/v1/presets/p", &json!({ "kind": kind, "options": options })).await;
        assert!(matches!(status, 200 | 201), "{preset}");
    };
    let scopes = vec![Scope::ImportRead, Scope::ImportWrite];
    let key = stack.client.create_key(&NewKey { scopes, ..NewKey::default() }).await.expect("a key");
    let lesser = stack.client_of(&key.token.expect("a token"));
    let options = ImportOptions { review: true, ..ImportOptions::default() };
    let new = NewImport { preset: Some("p".into()), options, ..NewImport::default() };

    assert_eq!(put_kind().await, 201);
    put("own", json!({})).await;
    let first = lesser.create(&new, Some("k")).await.expect("created");
    let is_the_same = async |meanwhile: &str, refusal: (u16, &str)| {
        let again = lesser.create(&new, Some("k")).await.unwrap_or_else(|error| panic!("{meanwhile}: {error}"));
        assert_eq!(
            (&again.id, &again.options, again.upload.is_some()),
            (&first.id, &first.options, true),
            "{meanwhile}"
        );
        // It would not be made now.
        let (status, code) = refused(lesser.create(&new, Some(meanwhile)).await);
        assert_eq!((status, code.as_str()), refusal, "{meanwhile}");
    };
    put("own", json!({ "dry_run": true })).await;
    is_the_same("contradicts", (422, "invalid_option")).await;
    put("products", json!({ "mode": "replace" })).await;
    is_the_same("a replace", (422, "invalid_option")).await;
    ask(&stack, Method::PUT, "/v1/kinds/other", &kind).await;
    put("other", json!({ "mapping": { "A": "Artikel" } })).await;
    let other = json!({ "primaryKey": "Nummer", "fields": [{ "name": "Nummer" }] });
    ask(&stack, Method::PUT, "/v1/kinds/other", &other).await;
    is_the_same("its kind has no such field", (422, "unknown_field")).await;
    stack.client.delete_preset("p").await.expect("deleted");
    is_the_same("gone", (422, "unknown_preset")).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gives_the_same_import_though_the_preset_is_gone() {
    let stack = Stack::start().await;
    stack.client.put_preset("nightly", &german()).await.expect("put");
    let named = NewImport { preset: Some("nightly".into()), ..NewImport::default() };
    let first = stack.client.create(&named, Some("k")).await.expect("created");
    stack.client.delete_preset("nightly").await.expect("deleted");
    assert_eq!(stack.client.create(&named, Some("k")).await.expect("repeated").id, first.id);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_of_a_replace_takes_the_right_to_make_one() {
    let stack = Stack::start().await;
    let new_key = async |scopes: &[Scope]| {
        let new = NewKey { scopes: scopes.to_vec(), ..NewKey::default() };
        stack.client_of(&stack.client.create_key(&new).await.expect("a key").token.expect("a token"))
    };
    let may = new_key(&[Scope::ImportRead, Scope::ImportWrite, Scope::RecordDelete]).await;
    let may_not = new_key(&[Scope::ImportRead, Scope::ImportWrite]).await;
    let put = async |mode: Mode| {
        let options = ImportOptions { mode, ..ImportOptions::default() };
        stack.client.put_preset("p", &NewPreset { kind: "products".into(), options }).await.expect("put");
    };
    let new = NewImport { preset: Some("p".into()), ..NewImport::default() };
    // An upsert stays one, though the preset has become a replace.
    put(Mode::Upsert).await;
    let upsert = may_not.create(&new, Some("u")).await.expect("created");
    put(Mode::Replace).await;
    assert_eq!(may_not.create(&new, Some("u")).await.expect("repeated").id, upsert.id);
    assert_eq!(refused(may_not.create(&new, Some("other")).await).0, 403);
    // And a replace, though it has become an upsert.
    let replace = may.create(&new, Some("r")).await.expect("created");
    put(Mode::Upsert).await;
    assert_eq!(may.create(&new, Some("r")).await.expect("repeated").id, replace.id);
    assert_eq!(refused(may_not.create(&new, Some("r")).await).0, 403);
    stack.stop().await;
}
