//! A file that is all there is: what `import --mode replace`, `removals`, `confirm` and `records delete --all` say and
//! do.

use super::{Dev, folder_with, import_of, stderr, stdout, terminal::on_terminal};

const TOKEN: &str = "local:secret";

#[test]
fn what_would_go_is_told_listed_and_confirmed() {
    let dev = Dev::start(&[]);
    let call = |arguments: &[&str]| dev.run(TOKEN, arguments);
    let (_all, all) = folder_with("all.csv", "sku,name,brand\nA,a,x\nB,b,x\nC,c,x\n");
    let (_one, one) = folder_with("one.csv", "sku,name,brand\nA,a,x\n");
    assert_eq!(call(&["import", &all]).status.code(), Some(0));
    // Two of three are more than a fifth.
    let held = call(&["import", &one, "--mode", "replace"]);
    assert_eq!(held.status.code(), Some(3), "{}", stderr(&held));
    let said = stdout(&held);
    assert!(said.contains("awaiting_confirmation") && said.contains("2 records would be removed"), "{said}");
    let at = said.find("imp_").expect("an id");
    let id = &said[at..at + 30];
    assert!(said.contains(&format!("`penstock confirm {id} --url {}` removes them", dev.url)), "{said}");
    let lines = call(&["removals", id]);
    let mut keys: Vec<&str> = stdout(&lines).lines().collect();
    keys.sort();
    assert_eq!(keys, ["{\"key\":\"B\"}", "{\"key\":\"C\"}"]);
    let (code, shown) = on_terminal(&["removals", id, "--url", &dev.url, "--token", TOKEN]);
    assert!(code == Some(0) && shown.lines().all(|line| ["B", "C"].contains(&line.trim_end())), "{shown:?}");
    assert_eq!(call(&["watch", id]).status.code(), Some(3));
    assert_eq!(import_of(&call(&["status", id]))["to_remove"], 2);
    let list = call(&["list", "--status", "awaiting_confirmation", "--json"]);
    assert!(stdout(&list).contains(id), "{}", stdout(&list));
    // Nobody is asked where there is nobody.
    let confirmed = call(&["confirm", id, "--json"]);
    assert_eq!((confirmed.status.code(), &import_of(&confirmed)["removed"]), (Some(0), &2.into()));
    let again = call(&["import", &one, "--mode", "replace", "--most-removed-percent", "0"]);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert!(stdout(&again).contains("0 records removed"), "{}", stdout(&again));
    let refused = call(&["confirm", id, "--yes"]);
    assert_eq!(refused.status.code(), Some(0), "a repeat finds it confirmed: {}", stderr(&refused));
    for bad in [&["--most-removed-percent", "101"][..], &["--most-removed-percent", "5"]] {
        let output = call(&[&["import", &one][..], bad].concat());
        assert_eq!(output.status.code(), Some(1), "{bad:?}");
        assert!(stderr(&output).contains("most-removed-percent"), "{}", stderr(&output));
    }
}

#[test]
fn every_record_of_a_kind_goes_by_their_number_or_by_a_yes() {
    let dev = Dev::start(&[]);
    let call = |arguments: &[&str]| dev.run(TOKEN, arguments);
    let (_folder, file) = folder_with("all.csv", "sku,name,brand\nA,a,x\nB,b,x\nC,c,x\n");
    let delete = ["records", "delete", "products", "--all"];
    for (how, code, removed) in
        [(&[][..], 3, 0), (&["--count", "2"], 3, 0), (&["--count", "3"], 0, 3), (&["--yes"], 0, 3)]
    {
        assert_eq!(call(&["import", &file]).status.code(), Some(0));
        let output = call(&[&delete[..], how].concat());
        assert_eq!(output.status.code(), Some(code), "{how:?}: {}", stderr(&output));
        let import = import_of(&output);
        assert_eq!(import["removed"], removed, "{how:?}");
        if code == 3 {
            assert_eq!(import["to_remove"], 3);
            assert_eq!(call(&["cancel", import["id"].as_str().expect("an id")]).status.code(), Some(0));
        }
    }
    assert_eq!(stdout(&call(&["records", "list", "products"])), "");
    for bad in [&["A", "--all"][..], &["--count", "3"], &[]] {
        let output = call(&[&["records", "delete", "products"][..], bad].concat());
        assert_eq!(output.status.code(), Some(1), "{bad:?}");
    }
}
