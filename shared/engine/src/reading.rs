//! The one reading of a file: from an upload to its columns and chunks, or to the failure of the file as a whole.
//!
//! ```text
//! upload ── resolve ──▶ Layout (pinned) ── decode ──▶ text ── Reading ──▶ columns, then chunks
//! ```
//!
//! The splitter, `penstock check` and the preview read a file through this and nothing else, so the three say the same
//! of it: what it is, what its columns mean, where its chunks end, and why it fails. The splitter pushes text as the
//! storage streams it, and resumes from a checkpoint; the other two have the file at hand and let [`Reading::read`]
//! push it.

mod numbers;

use std::{collections::BTreeMap, io::Cursor, ops::ControlFlow};

use penstock_model::{Body, Checkpoint, Chunk, Chunking, Failure, Layout, UTF_8, advice::Setting, limits};

pub use crate::hints::Hints;
use crate::{
    decode,
    detect::{self, Detected, Sample},
    header,
    kind::Kind,
    options,
    plan::Plan,
    rows::Syntax,
    split::{Piece, SplitError, SplitOptions, Splitter},
    suggestions,
    upload::{self, Upload},
};

/// Checks that a file of `bytes` bytes is not over the limit.
///
/// # Errors
/// A permanent failure: `file_too_large` over [`limits::UPLOAD_BYTES`].
pub fn check_size(bytes: u64) -> Result<(), Failure> {
    if bytes <= limits::UPLOAD_BYTES {
        return Ok(());
    }
    let message = format!("a file of {bytes} bytes is larger than the limit of {}", limits::UPLOAD_BYTES);
    Err(Failure::new("file_too_large", message))
}

/// Resolves what a file of `bytes` bytes is and how it is read, from its content first, then from what its creator
/// declared, then from its name. The same bytes and hints always give the same layout. The upload is at its start again
/// afterwards.
///
/// Whatever depends on options, kind and content together is decided here and goes into the [`Layout`], which is pinned
/// when the upload is accepted: everything behind it goes by the layout alone.
///
/// # Errors
/// A permanent failure: `file_too_large`, `unsupported_format`, `ambiguous_numbers`, those of [`options::check`], those
/// of [`decode::each_piece`].
pub fn resolve(mut upload: impl Upload, bytes: u64, hints: &Hints<'_>) -> Result<Layout, Failure> {
    check_size(bytes)?;
    options::check(hints.options)?;
    let Detected { layout, sample, may_be_ambiguous, is_of_rejected } = detect::detect(&mut upload, bytes, hints)?;
    upload::rewind(&mut upload)?;
    // The same options are given again with a file of rejected rows, whose first file they were for.
    let given = &hints.options.reading;
    options::apply(if is_of_rejected { &layout.reading } else { given }, &layout)?;
    match sample {
        Some(Sample { text, complete }) => {
            let layout = Layout { compression: None, encoding: UTF_8.to_owned(), ..layout.clone() };
            let hints = Hints { partial: !complete, ..*hints };
            numbers::check(&layout, Cursor::new(&text), text.len() as u64, &hints)?;
        }
        None if may_be_ambiguous => {
            numbers::check(&layout, &mut upload, bytes, hints)?;
            upload::rewind(&mut upload)?;
        }
        None => {}
    }
    Ok(layout)
}

/// A file that is being read: it is pushed the file's text and gives the file's columns, then its chunks.
///
/// The same text in pieces of any size gives the same parts. No more than a chunk and a record are held.
#[derive(Debug)]
pub struct Reading {
    layout: Layout,
    splitter: Splitter,
    /// What the columns are matched to; `None` once they have been.
    target: Option<Target>,
    /// The columns as they were read, whether they could be matched or not.
    names: Vec<String>,
    /// Whether the header has been read. Its columns are matched when the first rows are there, which may say more of
    /// it.
    has_header: bool,
    /// The first rows, where their columns failed the file.
    unmatched: Option<Chunk>,
    /// Where the chunk that was given last ends.
    next: Checkpoint,
    /// Whether the file goes on behind the text that there is.
    partial: bool,
}

/// What the columns of a file are matched to.
#[derive(Debug)]
struct Target {
    kind: Kind,
    mapping: BTreeMap<String, String>,
}

/// A part of a file.
#[derive(Debug)]
pub enum Part {
    /// The columns, once, before any chunk: when the first one is there, or the end of the file.
    Columns(Box<Columns>),
    /// The next chunk, and where a reading resumes behind it.
    Chunk(Chunk, Checkpoint),
}

/// The columns of a file, matched to its kind.
#[derive(Debug)]
pub struct Columns {
    /// Their names, in the file's order: those of the header, or where there is none those of the members of the first
    /// chunk's rows.
    pub names: Vec<String>,
    /// Those that no field is named after, and that the kind does not keep.
    pub ignored: Vec<String>,
    /// The plan by which the file's rows are read.
    pub plan: Plan,
    /// Notes for the import's creator: options that the first rows suggest. They go to those of the [`Layout`].
    pub notes: Vec<String>,
}

impl Reading {
    /// A reading from the start of a file.
    pub fn start(layout: &Layout, hints: &Hints<'_>, chunking: &Chunking) -> Self {
        let target = Target { kind: hints.kind.clone(), mapping: hints.options.mapping.clone() };
        let partial = hints.partial;
        Self { target: Some(target), partial, ..Self::resume(layout, chunking, Checkpoint::START) }
    }

    /// A reading that gives chunks alone: it goes on at a checkpoint that came with a chunk, or starts over once the
    /// columns are known. It is to be pushed the file's text from `from.offset` on.
    pub fn resume(layout: &Layout, chunking: &Chunking, from: Checkpoint) -> Self {
        let splitter = Splitter::resume(SplitOptions::new(layout.grammar, chunking), from).with(&layout.reading);
        Self {
            layout: layout.clone(),
            splitter,
            target: None,
            names: Vec::new(),
            has_header: false,
            unmatched: None,
            next: from,
            partial: false,
        }
    }

    /// The names of the columns as they were read: empty before, and also there where they failed the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The first rows where their columns failed the file: no chunk was given then.
    pub(crate) fn unmatched(&self) -> Option<&Chunk> {
        self.unmatched.as_ref()
    }

    /// Data rows of the file up to the end of the chunk that was given last.
    pub fn rows(&self) -> u64 {
        self.next.row - 1
    }

    /// Takes the next bytes of the text and gives the parts that they complete.
    ///
    /// # Errors
    /// Why the file fails as a whole. Where the columns do, no chunk came before: `header_too_large`,
    /// `unterminated_quote`, `no_rows`, those of [`header::columns`], of [`Kind::read_by`] and of [`Plan::compile`].
    pub fn push(&mut self, text: &[u8]) -> Result<Vec<Part>, Failure> {
        let pieces = self.splitter.push(text).map_err(|error| self.failed(error))?;
        self.parts(pieces)
    }

    /// Takes the end of the text and gives the last parts.
    ///
    /// # Errors
    /// Those of [`Reading::push`], and `empty_file` for a file that should have a header and has no record at all.
    pub fn finish(&mut self) -> Result<Vec<Part>, Failure> {
        let pieces = match self.partial {
            true => self.splitter.so_far(),
            false => self.splitter.finish().map_err(|error| self.failed(error))?.0,
        };
        let mut parts = self.parts(pieces)?;
        if self.target.is_some() && self.layout.grammar.has_header() && !self.has_header {
            let message = match self.layout.reading.header_line {
                Some(line) => {
                    format!("the file holds no header on line {line} ({}) or below, and no row", Setting::HeaderLine)
                }
                None => "the file holds no header and no row".to_owned(),
            };
            return Err(Failure::new("empty_file", message));
        }
        // A file without a row names no member.
        parts.extend(self.columns(None)?);
        Ok(parts)
    }

    /// The columns of a file whose text breaks off before its first rows are there, if its header is.
    ///
    /// # Errors
    /// Those of the columns.
    pub fn columns_so_far(&mut self) -> Result<Option<Part>, Failure> {
        if self.has_header { self.columns(None) } else { Ok(None) }
    }

    /// The failure of a file whose text breaks off, for this reason, behind what was pushed.
    pub fn broken_off(&self, failure: Failure) -> Failure {
        let Failure { code, message } = failure;
        Failure { code, message: format!("{message}; nothing from row {} on can be read", self.next.row) }
    }

    /// Reads a file of `bytes` bytes that is at hand, from its start to its end, and gives each part to `take`, until
    /// that wants no more. For a reading that was made by [`Reading::start`].
    ///
    /// # Errors
    /// Those of [`Reading::push`] and [`Reading::finish`], and those of [`decode::each_piece`] with the row from which
    /// on nothing could be read.
    pub fn read(
        &mut self,
        upload: impl Upload,
        bytes: u64,
        take: &mut dyn FnMut(Part) -> ControlFlow<()>,
    ) -> Result<(), Failure> {
        let layout = self.layout.clone();
        let mut pushed = Ok(ControlFlow::Continue(()));
        let decoded = decode::each_piece(&layout, upload, bytes, &mut |text| {
            pushed = self.push(text).map(|parts| parts.into_iter().try_for_each(&mut *take));
            *pushed.as_ref().unwrap_or(&ControlFlow::Break(()))
        });
        if pushed?.is_break() {
            return Ok(());
        }
        // A compressed file whose end is not there cannot be decoded to an end.
        if let Err(failure) = decoded
            && !self.partial
        {
            let failure = self.broken_off(failure);
            let _ = self.columns_so_far()?.into_iter().try_for_each(take);
            return Err(failure);
        }
        let _ = self.finish()?.into_iter().try_for_each(take);
        Ok(())
    }

    fn failed(&self, error: SplitError) -> Failure {
        let Failure { code, message } = error.into();
        match &self.layout.reading.rows_at {
            Some(path) if code == "no_rows" => {
                Failure { code, message: format!("{message}; {} says that its rows are at `{path}`", Setting::RowsAt) }
            }
            _ => Failure { code, message },
        }
    }

    fn parts(&mut self, pieces: Vec<Piece>) -> Result<Vec<Part>, Failure> {
        let grammar = self.layout.grammar;
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                Piece::Header(_) if self.target.is_none() => {}
                Piece::Header(header) => {
                    self.names = header::columns(&header, Syntax::of(grammar, &self.layout.reading))?;
                    self.has_header = true;
                }
                Piece::Chunk(chunk, next) => {
                    if self.target.is_some() {
                        if let (false, Body::Rows(rows)) = (self.has_header, &chunk.body) {
                            self.names = header::members(rows, grammar);
                        }
                        parts.extend(self.columns(Some(&chunk))?);
                    }
                    self.next = next;
                    parts.push(Part::Chunk(chunk, next));
                }
            }
        }
        Ok(parts)
    }

    /// The columns, unless they are given already, with the first rows, if there are any.
    fn columns(&mut self, chunk: Option<&Chunk>) -> Result<Option<Part>, Failure> {
        let Some(Target { kind, mapping }) = self.target.take() else { return Ok(None) };
        let names = self.names.clone();
        let kind = kind.read_by(&self.layout.reading)?;
        let syntax = Syntax::of(self.layout.grammar, &self.layout.reading);
        let plan = Plan::compile_or_look(kind, self.layout.grammar, &names, &mapping, |of_kind, required| {
            suggestions::header_line(of_kind, required, syntax, chunk?)
        })
        .map_err(|failure| {
            self.unmatched = chunk.cloned();
            with_sheets(failure, &self.layout.other_sheets)
        })?;
        let ignored = plan.ignored(&names).map(str::to_owned).collect();
        let notes = chunk.map_or(Vec::new(), |chunk| suggestions::notes(&plan, syntax, &names, chunk));
        Ok(Some(Part::Columns(Box::new(Columns { names, ignored, plan, notes }))))
    }
}

/// A failure of a sheet's columns, with the sheets that may be meant instead.
fn with_sheets(failure: Failure, others: &[String]) -> Failure {
    if failure.code != "missing_column" || others.is_empty() {
        return failure;
    }
    let names: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
    let Failure { code, message } = failure;
    let message =
        format!("{message}; the workbook also has {}: {} names the one to read", names.join(", "), Setting::Sheet);
    Failure { code, message }
}

#[cfg(test)]
mod tests;
