//! What a command prints, or writes to the file that `--output` names.

use std::{io::Write, path::Path};

use anyhow::Context;
use serde::Serialize;

use crate::{output::Output, terminal};

/// Bytes: to a file, which is there when it is whole, or else to standard output.
pub(crate) struct Bytes {
    file: Option<Output>,
    screen: terminal::Data,
}

impl Bytes {
    /// To the file, if one is named.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub(crate) fn to(file: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self { file: open(file)?, screen: terminal::Data::new() })
    }

    /// As it is, but what stands in the file's place keeps another name.
    pub(crate) fn keeping_old(self) -> Self {
        Self { file: self.file.map(Output::keeping_old), ..self }
    }

    /// Writes some more.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match &mut self.file {
            Some(file) => put(file, bytes),
            None => self.screen.write(bytes),
        }
    }

    /// There are no more: puts the file in its place.
    ///
    /// # Errors
    /// It cannot be put there.
    pub(crate) fn end(self) -> anyhow::Result<()> {
        match self.file {
            Some(file) => file.keep(),
            None => self.screen.end(),
        }
    }
}

/// A list: a JSON object a line, or words, on standard output, to a person who did not ask for JSON.
pub(crate) struct Lines {
    file: Option<Output>,
    in_words: bool,
}

impl Lines {
    /// To the file, if one is named.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub(crate) fn to(file: Option<&Path>, json: bool) -> anyhow::Result<Self> {
        let file = open(file)?;
        let in_words = file.is_none() && !json && terminal::is_read_by_a_person();
        Ok(Self { file, in_words })
    }

    /// Writes an item, whose words `say` prints.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write<T: Serialize>(
        &mut self,
        item: &T,
        say: impl FnOnce(&T) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match &mut self.file {
            Some(file) => put(file, format!("{}\n", terminal::json_line(item)?).as_bytes()),
            None if self.in_words => say(item),
            None => terminal::say_json_line(item),
        }
    }

    /// There are no more: puts the file in its place.
    ///
    /// # Errors
    /// It cannot be put there.
    pub(crate) fn end(self) -> anyhow::Result<()> {
        self.file.map_or(Ok(()), Output::keep)
    }
}

/// The file, if one is named.
///
/// # Errors
/// Nothing can be written there.
pub(crate) fn open(file: Option<&Path>) -> anyhow::Result<Option<Output>> {
    file.map(|path| Output::open(path, &[])).transpose()
}

fn put(file: &mut Output, bytes: &[u8]) -> anyhow::Result<()> {
    let written = file.write_all(bytes);
    written.with_context(|| format!("{} cannot be written", file.path().display()))
}
