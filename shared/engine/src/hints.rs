//! What is known of a file before it is looked at.

use penstock_model::{Format, Import, ImportOptions, ReadOptions};

use crate::{kind::Kind, mapping::normalised};

/// What is known of a file before it is looked at: what its creator says of it, and what its kind expects.
#[derive(Debug, Clone, Copy)]
pub struct Hints<'a> {
    /// The format that its creator declares.
    pub format: Option<Format>,
    /// The name that its creator gives it.
    pub filename: Option<&'a str>,
    /// The options of its import.
    pub options: &'a ImportOptions,
    /// The kind of its records. Its columns are likely to be named after the kind's fields.
    pub kind: &'a Kind,
    /// Whether only the first part of the file is there.
    pub partial: bool,
}

impl<'a> Hints<'a> {
    /// The hints to the whole file of an import.
    pub fn of(import: &'a Import, kind: &'a Kind) -> Self {
        let Import { format, filename, options, .. } = import;
        Self { format: *format, filename: filename.as_deref(), options, kind, partial: false }
    }

    /// How the file is read: what the options say, and where they say nothing of its shape the kind.
    pub(crate) fn reading(&self) -> ReadOptions {
        self.options.reading.over(self.kind.reading())
    }

    /// The format that the file's name declares.
    pub(crate) fn named_format(&self) -> Option<Format> {
        self.filename.and_then(Format::of_filename)
    }

    /// Tells whether a name is likely to be a column's: the mapping or a field has it.
    pub(crate) fn known_names(&self) -> impl Fn(&str) -> bool + use<'a> {
        let normal: Vec<String> = self.kind.fields().iter().map(|field| normalised(field.name())).collect();
        let mapping = &self.options.mapping;
        move |name| mapping.contains_key(name) || normal.contains(&normalised(name))
    }
}
