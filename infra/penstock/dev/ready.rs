//! The ready file: there while a local cloud answers, and locked by it, so that another run knows whose it is.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde_json::Value;

use crate::output::{FileId, Output};

/// A ready file is shorter.
const MOST_BYTES: u64 = 64 << 10;

/// What every ready file has had.
const MEMBERS: [&str; 4] = ["url", "pid", "account", "key_id"];

/// Where a ready file can be written.
pub(super) struct ReadyPlace(Output);

/// The ready file of this process, until it is dropped.
#[derive(Debug)]
pub(super) struct ReadyFile {
    path: PathBuf,
    /// Locked until it is closed, or this process dies.
    file: File,
}

impl ReadyPlace {
    /// Looks whether a ready file can be written at a path. The ready file of a run that has died is removed: it says
    /// what is no longer true. Nothing else is.
    ///
    /// # Errors
    /// Something else stands there: a file that is no ready file, the key file, or the ready file of a run that
    /// answers.
    pub(super) fn look(path: &Path, key_file: Option<&Path>) -> anyhow::Result<Self> {
        let shown = path.display();
        let found = match std::fs::symlink_metadata(path) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("the ready file {shown}")),
        };
        if let Some(found) = found {
            let key = key_file.and_then(|key| std::fs::metadata(key).ok());
            let is_key = std::fs::metadata(path).ok().zip(key).is_some_and(|(a, b)| FileId::of(&a) == FileId::of(&b));
            anyhow::ensure!(!is_key, "{shown} is the key file: name another file for --ready-file");
            anyhow::ensure!(found.is_file(), "{shown} is there, and is no ready file: name another for --ready-file");
            let mut file = File::open(path).with_context(|| format!("the ready file {shown}"))?;
            let mut text = String::new();
            let read = (&mut file).take(MOST_BYTES).read_to_string(&mut text);
            let ready = read.ok().and_then(|_| serde_json::from_str::<Value>(&text).ok());
            let ready = ready.filter(|ready| MEMBERS.iter().all(|name| !ready[name].is_null()));
            let ready = ready
                .with_context(|| format!("{shown} is there, and is no ready file: name another for --ready-file"))?;
            // Whoever wrote it holds it locked for as long as it runs.
            anyhow::ensure!(
                file.try_lock().is_ok(),
                "{shown} is the ready file of process {}, which answers at {}: name another for --ready-file",
                ready["pid"],
                ready["url"].as_str().unwrap_or_default()
            );
            let now = std::fs::symlink_metadata(path).map(|now| FileId::of(&now));
            let is_replaced = now.is_ok_and(|now| now != FileId::of(&found));
            anyhow::ensure!(!is_replaced, "another run takes {shown} at this moment: name another for --ready-file");
            std::fs::remove_file(path).with_context(|| format!("removing {shown}, which a run that is gone left"))?;
        }
        let output = Output::open_private(path)?;
        anyhow::ensure!(output.target().is_some(), "{shown} is no place for a ready file");
        Ok(Self(output))
    }

    /// Writes it. Another that has taken the place meanwhile stays.
    pub(super) fn write(self, told: &Value) -> anyhow::Result<ReadyFile> {
        let Self(mut output) = self;
        let path = output.path().to_owned();
        writeln!(output, "{told}").with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(ReadyFile { file: output.keep_new()?, path })
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        let own = self.file.metadata().map(|own| FileId::of(&own));
        let found = std::fs::symlink_metadata(&self.path).map(|found| FileId::of(&found));
        if own.is_ok_and(|own| found.is_ok_and(|found| found == own)) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
