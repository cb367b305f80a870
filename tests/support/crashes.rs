//! Functions that die where a test wants them to.

use std::path::Path;

use penstock_local::Options;

use super::Stack;

/// A stack with small chunks, whose functions die at the crash points that the folder holds.
pub async fn stack_with_crashes(folder: &Path) -> Stack {
    stack_with_crashes_and(folder, |_| {}).await
}

/// The same with options that the test changes.
pub async fn stack_with_crashes_and(folder: &Path, change: impl FnOnce(&mut Options)) -> Stack {
    Stack::with(|options| {
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "100".into()));
        options.environment.push(("PENSTOCK_BLOCK_CHUNKS".into(), "4".into()));
        let directory = (penstock_store::crash::DIRECTORY.to_owned(), folder.display().to_string());
        let functions = &mut options.functions;
        for function in [
            &mut functions.split,
            &mut functions.validate,
            &mut functions.report,
            &mut functions.export,
            &mut functions.remove,
            &mut functions.notify,
            &mut functions.sweep,
        ] {
            function.environment.push(directory.clone());
        }
        change(options);
    })
    .await
}

pub fn arm(folder: &Path, point: &str) {
    std::fs::write(folder.join(point), []).expect("a crash point is set");
}

/// The crash points at which nothing died.
pub fn armed(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}
