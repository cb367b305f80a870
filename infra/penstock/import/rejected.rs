//! The rejected rows of an import that has ended, on their way to a file.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use penstock_client::{Client, Import};
use penstock_model::Status;

use super::destination::Destination;
use crate::output::Output;

/// What became of the file of rejected rows.
pub(super) enum Saved {
    /// No row was rejected, or none can be had; a file that an earlier run left has this name now.
    None { old: Option<(PathBuf, PathBuf)> },
    /// It is where it was asked for.
    There(PathBuf),
    /// It could not be written there, and is somewhere else.
    Elsewhere { path: PathBuf, why: anyhow::Error },
    /// It could not be written.
    Not(anyhow::Error),
}

impl Saved {
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::There(path) | Self::Elsewhere { path, .. } => Some(path),
            Self::None { .. } | Self::Not(_) => None,
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Self::Not(_))
    }

    /// What is to be said of it.
    pub(super) fn line(&self) -> Option<String> {
        match self {
            Self::None { old: None } | Self::Not(_) => None,
            Self::None { old: Some((path, old)) } => {
                let (path, old) = (path.display(), old.display());
                Some(format!("no row was rejected: {path} was an earlier run's, and is {old} now"))
            }
            Self::There(path) => Some(format!("rejected rows: {}", path.display())),
            Self::Elsewhere { path, why } => Some(format!("rejected rows: {} ({why:#})", path.display())),
        }
    }
}

/// Saves the rejected rows of an ended import. Those of a local cloud, which is gone with the command, go somewhere else if they have to.
pub(super) async fn save(to: &Destination, ended: &Import, output: Output) -> Saved {
    if ended.rejected.is_none() {
        let path = output.path().to_owned();
        // Rows of an import that failed may yet be rejected: what an earlier run said of them stands.
        let old = if ended.status == Status::Completed { output.retire() } else { Ok(None) };
        return match old {
            Ok(old) => Saved::None { old: old.map(|old| (path, old)) },
            Err(error) => Saved::Not(error),
        };
    }
    let (id, path) = (&ended.id, output.path().to_owned());
    let why = match fetch(to.client(), id, output).await {
        Ok(()) => return Saved::There(path),
        Err(why) => why,
    };
    if to.is_kept() {
        let how = format!("the rejected rows of {id} are not saved; `penstock rejected {id} -o PATH` fetches them");
        return Saved::Not(why.context(how));
    }
    for folder in [std::env::temp_dir(), PathBuf::from(".")] {
        let path = folder.join(format!("{id}.rejected.csv"));
        let Ok(output) = Output::open_private(&path) else { continue };
        if fetch(to.client(), id, output).await.is_ok() {
            return Saved::Elsewhere { path, why };
        }
    }
    Saved::Not(why.context(format!("the rejected rows of {id} could be written nowhere")))
}

/// Writes the rejected rows of an import to a file.
async fn fetch(client: &Client, id: &str, mut output: Output) -> anyhow::Result<()> {
    let mut rows = client.rejected(id).await?;
    while let Some(bytes) = rows.chunk().await? {
        let written = output.write_all(bytes.as_ref());
        written.with_context(|| format!("{} cannot be written", output.path().display()))?;
    }
    output.keep()
}
