//! Where all that is found comes together, in the file's order.

use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
    sync::Arc,
};

use penstock_engine::rejected::Form;
use penstock_model::Layout;

use super::{
    found::{CheckedChunk, Found, Wanted},
    rejected::{self, RejectedFile},
};
use crate::{file::LocalFile, output::Output};

/// Takes what is found.
pub(super) struct Collector {
    wanted: Wanted,
    found: Found,
    /// Standard output for every error, until nobody reads it any more.
    errors: Option<BufWriter<io::Stdout>>,
    rejected: Option<RejectedFile>,
    file: PathBuf,
    bytes: u64,
    /// Where the rejected rows go, until it is known how their file begins.
    output: Option<Output>,
}

impl Collector {
    /// Of what is found in `file`. The rejected rows go to `output`.
    pub(super) fn new(wanted: Wanted, file: &LocalFile<'_>, output: Option<Output>) -> Self {
        let errors = wanted.errors.then(|| BufWriter::new(io::stdout()));
        let (path, bytes) = (file.path.to_owned(), file.bytes);
        Self { wanted, found: Found::default(), errors, rejected: None, file: path, bytes, output }
    }

    /// Takes what is known of the file before its rows.
    pub(super) fn start(&mut self, layout: &Layout, form: &Arc<Form>) {
        let (file, bytes) = (&self.file, self.bytes);
        let rejected = |output| RejectedFile::new(output, file.clone(), bytes, layout, form.clone());
        self.rejected = self.output.take().map(rejected);
    }

    pub(super) fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// Takes what was found in the next chunk.
    pub(super) fn take(&mut self, checked: CheckedChunk) -> anyhow::Result<()> {
        let CheckedChunk { rows, accepted, failed, codes, errors, lines, rejected, refused } = checked;
        let found = &mut self.found;
        found.rows.total += rows;
        found.rows.accepted += accepted;
        found.rows.failed += failed;
        for (code, count) in codes {
            *found.codes.entry(code).or_default() += count;
        }
        found.errors.extend(errors);
        self.say(|out| out.write_all(&lines))?;
        match &mut self.rejected {
            Some(file) if failed > 0 => file.take(&rejected, refused),
            _ => Ok(()),
        }
    }

    /// Writes to standard output. Whoever reads it may have read enough and gone: that is no error.
    fn say(&mut self, write: impl FnOnce(&mut BufWriter<io::Stdout>) -> io::Result<()>) -> anyhow::Result<()> {
        match self.errors.as_mut().map_or(Ok(()), write) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                // What is left in the buffer has no reader either.
                self.errors.take().map(BufWriter::into_parts);
                Ok(())
            }
            written => Ok(written?),
        }
    }

    /// Writes out what is left to write. `is_whole` says that the whole file was read, so that no rejected row means
    /// that there is none.
    pub(super) fn finish(mut self, is_whole: bool) -> anyhow::Result<Found> {
        self.say(Write::flush)?;
        match (self.rejected, self.output) {
            (Some(rejected), _) => rejected.finish(is_whole)?,
            // It failed before its first row.
            (None, Some(output)) => rejected::retire(output, is_whole)?,
            (None, None) => {}
        }
        Ok(self.found)
    }
}
