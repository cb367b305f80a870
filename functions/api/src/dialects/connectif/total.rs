//! The number of data rows of a file while it comes in: the count of the splitter, before the splitter runs.

use penstock_engine::split::{SplitError, SplitOptions, Splitter};
use penstock_model::{Chunking, Grammar};

/// Counts data rows. The end of a row depends on the delimiter, which may come after the file: until it has come, both
/// are counted.
#[derive(Debug)]
pub(super) struct Total {
    comma: Counter,
    semicolon: Counter,
}

/// `None` once the file has no readable header under this delimiter: then it has no rows either.
type Counter = Option<Splitter>;

impl Default for Total {
    fn default() -> Self {
        let counter = |delimiter| {
            let grammar = Grammar::Delimited { delimiter, quoting: true };
            Some(Splitter::new(SplitOptions::new(grammar, &Chunking::default())))
        };
        Self { comma: counter(b','), semicolon: counter(b';') }
    }
}

impl Total {
    /// Counts the next piece of the file. `delimiter` is the form's field, if it has come.
    pub(super) fn push(&mut self, delimiter: Option<&str>, piece: &[u8]) {
        for (counter, of) in [(&mut self.comma, ","), (&mut self.semicolon, ";")] {
            let wanted = delimiter.is_none_or(|delimiter| delimiter == of || (delimiter.is_empty() && of == ","));
            let refused = counter.as_mut().is_some_and(|splitter| wanted && splitter.push(piece).is_err());
            if refused || !wanted {
                *counter = None;
            }
        }
    }

    /// The number of rows of the whole file under this delimiter; 0 for a file whose header cannot be read.
    pub(super) fn finish(self, delimiter: char) -> u64 {
        let counter = if delimiter == ';' { self.semicolon } else { self.comma };
        let count = |mut splitter: Splitter| -> Result<u64, SplitError> { Ok(splitter.finish()?.1) };
        counter.map(count).and_then(Result::ok).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(delimiter: Option<&str>, file: &str, later: char) -> u64 {
        let mut total = Total::default();
        file.as_bytes().chunks(7).for_each(|piece| total.push(delimiter, piece));
        total.finish(later)
    }

    #[test]
    fn rows_are_counted_as_the_splitter_cuts_them() {
        let file = "_email,_name\na@example.org,\"two\nlines\"\nb@example.org,x\n\n";
        for known in [Some(","), Some(""), None] {
            assert_eq!(total(known, file, ','), 2);
        }
        // A quote opens only where a field starts, and a comma starts none here.
        let file = "a;b\n1,\"2;3\n4;5\n";
        assert_eq!(total(None, file, ';'), 2);
        assert_eq!(total(Some(";"), file, ';'), 2);
    }

    #[test]
    fn what_has_no_header_has_no_rows() {
        assert_eq!(total(None, "", ','), 0);
        assert_eq!(total(None, "\"never closed\na,b\n", ','), 0);
    }
}
