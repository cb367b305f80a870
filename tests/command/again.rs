//! `penstock import --from`: what was uploaded to an import is imported again, and nothing is sent.

use super::{Dev, folder_with, import_of, names, penstock, run, stderr, stdout};

const TOKEN: &str = "local:secret";

#[test]
fn a_file_that_failed_is_imported_with_a_mapping_and_not_sent_again() {
    let dev = Dev::start(&[]);
    let (folder, file) = folder_with("stock.csv", "Item,name,brand\nA,a,x\nB,,x\n");
    let failed = dev.run(TOKEN, &["import", &file, "--json"]);
    assert_eq!(failed.status.code(), Some(1), "{}", stderr(&failed));
    let first = import_of(&failed)["id"].as_str().expect("an id").to_owned();
    // The file is not needed any more.
    std::fs::remove_file(&file).expect("removed");
    let again = |more: &[&str]| {
        let arguments = [&["import", "--from", &first, "--url", &dev.url, "--token", TOKEN], more].concat();
        penstock(&arguments).current_dir(folder.path()).output().expect("the command runs")
    };
    let mended = again(&["--map", "Item=sku"]);
    assert_eq!(mended.status.code(), Some(2), "{}", stderr(&mended));
    assert!(stderr(&mended).contains(&format!("reads what was uploaded to {first}")), "{}", stderr(&mended));
    assert!(stdout(&mended).contains("2 rows: 1 created"), "{}", stdout(&mended));
    let rejected = format!("{first}.rejected.csv");
    assert!(stdout(&mended).contains(&rejected), "{}", stdout(&mended));
    assert_eq!(names(folder.path()), [rejected]);
    let json = again(&["--map", "Item=sku", "--json", "--rejected", "bad.csv", "--kind", "products"]);
    let import = import_of(&json);
    assert_eq!((&import["from"], &import["filename"]), (&first.as_str().into(), &"stock.csv".into()));
    assert_eq!((&import["rows"]["unchanged"], &import["kind"]), (&1.into(), &"products".into()));
    assert!(names(folder.path()).contains(&"bad.csv".to_owned()));
    let missing = again(&["--kind", "none"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("there is no kind `none`"), "{}", stderr(&missing));
}

#[test]
fn it_is_an_import_at_a_service_and_takes_no_file() {
    let (_folder, file) = folder_with("a.csv", "sku,name,brand\n");
    let id = "imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F";
    for (more, said) in [
        (&[][..], "--from names an import at a service"),
        (&["--local"], "--local"),
        (&["--preview"], "--preview"),
        (&[file.as_str()], "[FILE]"),
    ] {
        let output = run(&[&["import", "--from", id], more].concat());
        assert_eq!(output.status.code(), Some(1), "{more:?}");
        assert!(stderr(&output).contains(said), "{more:?}: {}", stderr(&output));
    }
}
