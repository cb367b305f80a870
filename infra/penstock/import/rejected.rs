//! The rejected rows of an import that has ended, on their way to a file.

use std::path::{Path, PathBuf};

use penstock_client::{Client, Import};
use penstock_model::Status;

use super::destination::Destination;
use crate::{
    output::{FileId, Output, Writing, was_there},
    source::RejectedForm,
    variable,
};

/// Where the rejected rows of a file go.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// In each form, in the order of [`RejectedForm::ALL`].
    pub(super) paths: [PathBuf; 2],
}

impl Place {
    pub(super) fn path(&self, form: RejectedForm) -> &Path {
        match form {
            RejectedForm::Cells => &self.paths[0],
            RejectedForm::Objects => &self.paths[1],
        }
    }

    /// As [`Output::open`]. What stands there may be rows that somebody has mended: it keeps another name.
    pub(super) fn open(&self, form: RejectedForm, inputs: &[FileId]) -> anyhow::Result<Output> {
        Ok(Output::open(self.path(form), inputs)?.keeping_old())
    }
}

/// What became of the file of rejected rows.
pub(super) enum Saved {
    /// No row was rejected, or none can be had, and why; what stood in their place has this name now.
    None { old: Option<(PathBuf, PathBuf)>, why: &'static str },
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
            Self::None { old: None, .. } | Self::Not(_) => None,
            Self::None { old: Some((path, old)), why } => Some(format!("{why}: {}", was_there(path, old))),
            Self::There(path) => Some(format!("rejected rows: {}", path.display())),
            Self::Elsewhere { path, why } => Some(format!("rejected rows: {} ({why:#})", path.display())),
        }
    }
}

/// Saves the rejected rows of an ended import in their place, which `output` is if they have the form that was
/// expected. Those of a local cloud, which is gone with the command, go somewhere else if they have to, such as beside
/// their file.
pub(super) async fn save(
    to: &Destination,
    ended: &Import,
    output: Output,
    place: &Place,
    inputs: &[FileId],
    beside: Option<&Path>,
) -> Saved {
    let form = RejectedForm::of(ended.detected.as_ref().map(|detected| detected.format));
    let path = place.path(form);
    let output = if output.path() == path { Ok(output) } else { place.open(form, inputs) };
    if ended.rejected.is_none() {
        // What stands there would be taken for rows of this import, however it ended.
        let why = match ended.status {
            Status::Completed => "no row was rejected",
            _ => "no rejected rows are written",
        };
        return match output.map_or(Ok(None), Output::retire) {
            Ok(old) => Saved::None { old: old.map(|old| (path.to_owned(), old)), why },
            Err(error) => Saved::Not(error),
        };
    }
    let id = &ended.id;
    let written = match output {
        Ok(output) => fetch(to.client(), id, output).await,
        Err(why) => Err(why),
    };
    let why = match written {
        Ok(()) => return Saved::There(path.to_owned()),
        Err(why) => why,
    };
    if to.is_kept() {
        let fetch = to.client().hint(&format!("rejected {id} -o PATH"));
        let how = format!("the rejected rows of {id} are not saved; {fetch} fetches them");
        return Saved::Not(why.context(how));
    }
    for folder in elsewhere(beside) {
        let path = folder.join(format!("{id}{}", form.ending()));
        let Ok(output) = Output::open_private(&path) else { continue };
        if fetch(to.client(), id, output).await.is_ok() {
            return Saved::Elsewhere { path, why };
        }
    }
    Saved::Not(why.context(format!("the rejected rows of {id} could be written nowhere")))
}

/// Folders for what cannot be written in its place, which may be on disks that are not full.
fn elsewhere(beside: Option<&Path>) -> Vec<PathBuf> {
    let mut folders = vec![std::env::temp_dir(), PathBuf::from(".")];
    folders.extend(beside.map(Path::to_owned));
    folders.extend(variable("HOME").map(PathBuf::from));
    folders.extend(["/tmp", "/var/tmp"].map(PathBuf::from));
    folders
}

/// Writes the rejected rows of an import to a file.
async fn fetch(client: &Client, id: &str, output: Output) -> anyhow::Result<()> {
    let mut rows = client.rejected(id).await?;
    let mut writing = Writing::start(output)?;
    while let Some(bytes) = rows.chunk().await? {
        if !writing.write(bytes.as_ref().to_vec()).await {
            break;
        }
    }
    writing.keep().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_elsewhere_to_any_disk_that_may_have_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.csv");
        std::fs::write(&file, "a").expect("a file");
        let origin = crate::source::Origin::look(&file).expect("a file");
        let folders = elsewhere(origin.folder());
        let home = variable("HOME").map(PathBuf::from);
        for place in [std::env::temp_dir(), PathBuf::from("."), folder.path().to_owned()].into_iter().chain(home) {
            assert!(folders.contains(&place), "{}: {folders:?}", place.display());
        }
    }
}
