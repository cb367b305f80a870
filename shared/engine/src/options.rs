//! The check of an import's options: whether any file could be read with them.

use penstock_model::{
    Failure, Grammar, ImportOptions, InvalidOption, Layout, Mode, ReadOptions,
    advice::{Setting, option},
    delimiter_byte, limits,
};

use crate::{detect, kind, mapping};

/// Checks an import's options, by themselves and against one another.
///
/// # Errors
/// A permanent failure: `invalid_delimiter`, `invalid_abort`, `unknown_encoding`, `too_many_columns`, `name_too_long`,
/// `invalid_option`.
pub fn check(options: &ImportOptions) -> Result<(), Failure> {
    if let Some(Err(rule)) = options.delimiter.map(delimiter_byte) {
        return Err(Failure::new("invalid_delimiter", format!("{} {rule}", Setting::Delimiter)));
    }
    if let Some(abort) = options.abort
        && (!(1..=limits::ABORT_ROWS).contains(&abort.rows) || abort.percent > 99)
    {
        let message = format!("{} takes 1 to {} rows, and 0 to 99 percent", option("abort"), limits::ABORT_ROWS);
        return Err(Failure::new("invalid_abort", message));
    }
    let is_percent = |percent: u8| percent <= 100;
    if options.most_removed_percent.is_some_and(|percent| options.mode != Mode::Replace || !is_percent(percent)) {
        let message = format!("{} is 0 to 100, and for the mode `replace` alone", option("most_removed_percent"));
        return Err(Failure::new("invalid_option", message));
    }
    if options.mode == Mode::Replace && options.dry_run {
        let message = format!(
            "{} cannot tell what a replace would remove: take it with the mode `upsert` to judge the rows, and {} 0 to \
             be shown what would go before anything does",
            option("dry_run"),
            option("most_removed_percent")
        );
        return Err(Failure::new("invalid_option", message));
    }
    if options.review && options.dry_run {
        let message = format!(
            "{} judges the rows as {} does, each against the others as well, and can be confirmed: leave one of them out",
            option("review"),
            option("dry_run")
        );
        return Err(Failure::new("invalid_option", message));
    }
    if options.review && options.mode == Mode::Replace {
        let message = format!(
            "{} cannot tell what a replace would remove: leave it out, with {} 0 a replace shows what would go and waits \
             to be confirmed before anything does",
            option("review"),
            option("most_removed_percent")
        );
        return Err(Failure::new("invalid_option", message));
    }
    if let Some(label) = &options.encoding {
        detect::known_encoding(label)?;
    }
    mapping::check_size(&options.mapping)?;
    options.reading.check(options.delimiter, options.quoting).map_err(|error| invalid(&error))?;
    if let Some(format) = &options.reading.date_format {
        kind::date_format(format).map_err(|rule| invalid(&rule))?;
    }
    Ok(())
}

/// Checks that what the options of an import say of the file's shape has a meaning for a file of this layout. What a
/// kind presets has none where it has none.
///
/// # Errors
/// A permanent failure: `unusable_option`, and `invalid_option` where one is the delimiter that was detected.
pub(crate) fn apply(given: &ReadOptions, layout: &Layout) -> Result<(), Failure> {
    let (is_delimited, has_header) = (matches!(layout.grammar, Grammar::Delimited { .. }), layout.grammar.has_header());
    let is_document = layout.grammar == Grammar::Elements { enveloped: true };
    let uses = [
        (Setting::HeaderLine, given.header_line.is_some(), has_header, "files with a header"),
        (Setting::Comment, given.comment.is_some(), is_delimited, "delimited files"),
        (Setting::Escape, given.escape.is_some(), is_delimited, "delimited files"),
        (Setting::ShortRows, given.short_rows.is_some(), is_delimited, "delimited files"),
        (Setting::RowsAt, given.rows_at.is_some(), is_document, "JSON documents in which an object holds the rows"),
    ];
    for (setting, is_given, is_usable, usable) in uses {
        if is_given && !is_usable {
            let what = match layout.grammar {
                Grammar::Delimited { .. } => "a delimited file",
                Grammar::Sheet => "a workbook",
                Grammar::Lines | Grammar::Concatenated => "one of JSON objects one after another",
                Grammar::Elements { enveloped: false } => "a JSON array",
                Grammar::Elements { enveloped: true } => "a JSON document",
            };
            let message = format!("{setting} is for {usable}, and this file is {what}: leave it out");
            return Err(Failure::new("unusable_option", message));
        }
    }
    let Grammar::Delimited { delimiter, .. } = layout.grammar else { return Ok(()) };
    for (setting, byte) in [(Setting::Comment, layout.reading.comment), (Setting::Escape, layout.reading.escape)] {
        if byte.is_some_and(|byte| delimiter_byte(byte) == Ok(delimiter)) {
            let message = format!("{setting} is the delimiter that the file has: {} names another", Setting::Delimiter);
            return Err(Failure::new("invalid_option", message));
        }
    }
    Ok(())
}

/// The failure of an import with an option that cannot be.
pub(crate) fn invalid(error: &InvalidOption) -> Failure {
    Failure::new("invalid_option", format!("{} {}", option(error.option), error.rule))
}
