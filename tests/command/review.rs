//! What would happen: what `import --review` and `confirm` say and do.

use super::{Dev, folder_with, import_of, names, run, stderr, stdout};

const TOKEN: &str = "local:secret";

#[test]
fn what_would_happen_is_told_and_happens_when_it_is_confirmed() {
    let dev = Dev::start(&[]);
    let call = |arguments: &[&str]| dev.run(TOKEN, arguments);
    let (folder, file) = folder_with("new.csv", "sku,name,brand\nA,a,x\nB,,x\nA,a,y\n");
    let reviewed = call(&["import", &file, "--review"]);
    assert_eq!(reviewed.status.code(), Some(3), "{}", stderr(&reviewed));
    let said = stdout(&reviewed);
    assert!(said.contains("3 rows: 1 created, 1 updated, 0 unchanged, 0 skipped, 1 failed"), "{said}");
    assert!(said.contains("that is what an import of it would do; nothing is written"), "{said}");
    assert!(said.contains("a review: nothing was written into"), "{said}");
    let at = said.find("imp_").expect("an id");
    let id = &said[at..at + 30];
    assert!(said.contains(&format!("`penstock confirm {id} --url {}` imports it", dev.url)), "{said}");
    assert_eq!(names(folder.path()), ["new.csv", "new.csv.rejected.csv"], "its rejected rows are there already");
    assert_eq!(stdout(&call(&["records", "list", "products"])), "");
    assert_eq!(call(&["watch", id]).status.code(), Some(3));
    // Somebody else imports something of the kind.
    let (_other, other) = folder_with("other.csv", "sku,name,brand\nC,c,x\n");
    let other = import_of(&call(&["import", &other, "--json"]))["id"].as_str().expect("an id").to_owned();
    let refused = call(&["confirm", id]);
    assert_eq!(refused.status.code(), Some(1), "{}", stdout(&refused));
    for said in [&other, "may have changed since the rows were judged", "--even-if-moved does so all the same"] {
        assert!(stderr(&refused).contains(said), "{said}: {}", stderr(&refused));
    }
    let confirmed = call(&["confirm", id, "--even-if-moved", "--json"]);
    assert_eq!(confirmed.status.code(), Some(2), "one row was rejected: {}", stderr(&confirmed));
    let applied = import_of(&confirmed);
    assert_eq!((&applied["from"], &applied["rows"]["created"]), (&id.into(), &1.into()));
    let review = import_of(&call(&["status", id]));
    assert_eq!((&review["confirmed_as"], &review["status"]), (&applied["id"], &"completed_with_errors".into()));
    assert_eq!(stdout(&call(&["records", "list", "products"])).lines().count(), 2);
    let again = call(&["confirm", id, "--json"]);
    assert_eq!(import_of(&again)["id"], applied["id"], "a repeat finds it confirmed");
}

#[test]
fn it_is_a_review_at_a_service_and_of_rows_alone() {
    let (_folder, file) = folder_with("a.csv", "sku,name,brand\n");
    for (more, said) in [
        (&[][..], "--review waits at a service to be confirmed"),
        (&["--local"], "--local"),
        (&["--dry-run"], "--dry-run"),
        (&["--mode", "replace"], "--review cannot tell what --mode replace would remove"),
    ] {
        let output = run(&[&["import", &file, "--review"], more].concat());
        assert_eq!(output.status.code(), Some(1), "{more:?}");
        assert!(stderr(&output).contains(said), "{more:?}: {}", stderr(&output));
    }
}
