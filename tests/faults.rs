//! Only what tests run has crash points, a clock that can be shifted and conditions that can be switched off.

use std::{collections::BTreeSet, fs::DirEntry, process::Command};

use penstock_store::{FAULT_VARIABLES, crash};

/// The features that cargo gives `penstock-store` and `penstock-local` in a build of these packages, following these
/// kinds of dependencies.
fn features(packages: &[&str], edges: &str) -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--offline", "--prefix", "none", "--format", "{p} [{f}]", "--edges", edges]);
    tree.args(packages.iter().flat_map(|package| ["--package", package])).current_dir(env!("CARGO_MANIFEST_DIR"));
    let tree = tree.output().expect("cargo runs");
    let text = String::from_utf8(tree.stdout).expect("text");
    assert!(tree.status.success(), "{packages:?}: {}", String::from_utf8_lossy(&tree.stderr));
    let ours = |line: &&str| line.starts_with("penstock-store ") || line.starts_with("penstock-local ");
    let lines: Vec<&str> = text.lines().filter(ours).collect();
    assert!(!lines.is_empty(), "{packages:?} do not depend on the store:\n{text}");
    let listed = lines.iter().filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0));
    listed.flat_map(|features| features.split(',').map(str::to_owned)).collect()
}

/// The functions are built from their packages alone (`infra/release/build`), the command by `cargo build`.
#[test]
fn what_is_built_to_be_used_has_no_faults() {
    let folders = std::fs::read_dir(format!("{}/functions", env!("CARGO_MANIFEST_DIR"))).expect("the functions");
    let package = |folder: std::io::Result<DirEntry>| {
        format!("penstock-{}", folder.expect("a folder").file_name().to_str().expect("a name"))
    };
    let functions: Vec<String> = folders.map(package).collect();
    let functions: Vec<&str> = functions.iter().map(String::as_str).collect();
    assert!(functions.contains(&"penstock-validate"), "{functions:?}");
    assert!(!features(&functions, "normal").contains("faults"));
    assert!(!features(&["penstock"], "normal").contains("faults"));
    assert!(features(&["penstock"], "normal,dev").contains("faults"), "what the tests run has them");
}

/// `infra/release/check.py` looks for these words in each bootstrap. They tell the builds apart.
#[test]
fn what_the_tests_run_holds_every_word_of_the_faults() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_penstock")).expect("the command");
    let holds = |word: &str| memchr::memmem::find(&program, word.as_bytes()).is_some();
    for word in FAULT_VARIABLES.iter().chain(crash::POINTS) {
        assert!(holds(word), "{word}");
    }
    assert!(!holds(&["PENSTOCK", "NOTHING"].join("_")));
}
