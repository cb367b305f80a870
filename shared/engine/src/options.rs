//! The check of an import's options: whether any file could be read with them.

use penstock_model::{Failure, ImportOptions, delimiter_byte, limits};

use crate::{detect, kind};

/// Checks an import's options, by themselves and against one another.
///
/// # Errors
/// A permanent failure: `invalid_delimiter`, `invalid_abort`, `unknown_encoding`, `too_many_columns`, `invalid_option`.
pub fn check(options: &ImportOptions) -> Result<(), Failure> {
    if let Some(Err(rule)) = options.delimiter.map(delimiter_byte) {
        return Err(Failure::new("invalid_delimiter", format!("options.delimiter {rule}")));
    }
    if let Some(abort) = options.abort
        && (!(1..=limits::ABORT_ROWS).contains(&abort.rows) || abort.percent > 99)
    {
        let message = format!("options.abort.rows is 1 to {}, options.abort.percent 0 to 99", limits::ABORT_ROWS);
        return Err(Failure::new("invalid_abort", message));
    }
    if let Some(label) = &options.encoding {
        detect::known_encoding(label)?;
    }
    if options.mapping.len() > limits::COLUMNS {
        let message =
            format!("options.mapping names {} columns, the limit is {}", options.mapping.len(), limits::COLUMNS);
        return Err(Failure::new("too_many_columns", message));
    }
    options.reading.check(options.delimiter, options.quoting).map_err(|error| invalid(&error))?;
    if let Some(format) = &options.reading.date_format {
        kind::date_format(format).map_err(|rule| invalid(&rule))?;
    }
    Ok(())
}

/// The failure of an import with an option that cannot be.
pub(crate) fn invalid(error: &penstock_model::InvalidOption) -> Failure {
    Failure::new("invalid_option", format!("options.{} {}", error.option, error.rule))
}
