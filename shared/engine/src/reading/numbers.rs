//! The numbers at the start of a file: whether they contradict the way in which they would be read.
//!
//! `1.234` is 1.234 in one country and 1234 in another. Which it is, a cell cannot tell; its neighbours often can. Where
//! the first [`limits::DETECT_BYTES`] of a file hold such numbers beside ones that can only be written with the other
//! decimal character, such as `1.234,56`, reading on would store wrong values: the file fails before its first row.

use penstock_model::{Body, Chunk, Failure, ReadOptions, RowError, limits};
use serde_json::value::RawValue;

use crate::{
    kind::{Evidence, FieldCheck},
    members::{JsonString, Members},
    plan::Plan,
    rows::{self, Content, Syntax},
};

/// Looks at the first chunks of a file.
#[derive(Debug)]
pub(super) struct NumberWatch {
    plan: Plan,
    syntax: Syntax,
    /// Bytes of chunks that are still to be looked at.
    left: usize,
    /// What was found of fields with a decimal point, and of those with a decimal comma.
    found: [Found; 2],
}

/// What the numbers say of fields with one decimal character.
#[derive(Debug, Default)]
struct Found {
    /// Numbers that can only have the decimal character of their field.
    own: u64,
    /// Numbers that can only have the other one.
    other: u64,
    /// The first of those.
    first_other: Option<Shown>,
    /// The character that groups their digits.
    group: Option<char>,
    /// The first number that may have either.
    first_either: Option<Shown>,
}

/// A number, and where it stands.
#[derive(Debug)]
struct Shown {
    row: u64,
    field: String,
    cell: String,
}

impl NumberWatch {
    /// A look at a file with this plan; `None` where there is nothing to find: its import says the decimal character, or
    /// none of its columns holds numbers.
    pub(super) fn new(plan: &Plan, reading: &ReadOptions, syntax: Syntax) -> Option<Self> {
        let kind = plan.kind();
        let has_numbers = match syntax.grammar.has_header() {
            true => plan.columns().iter().flatten().any(|field| kind.field(*field).is_number()),
            false => kind.fields().iter().any(FieldCheck::is_number),
        };
        let is_open = reading.decimal_char.is_none() && has_numbers;
        is_open.then(|| Self { plan: plan.clone(), syntax, left: limits::DETECT_BYTES, found: Default::default() })
    }

    /// Looks at the next chunk. Whether it has seen enough.
    pub(super) fn look(&mut self, chunk: &Chunk) -> bool {
        if let Body::Rows(bytes) = &chunk.body {
            rows::for_each_record(self.syntax, chunk.first_row, chunk.first_line, bytes, |record| {
                self.record(record.row, record.content, record.bytes);
            });
        }
        self.left = self.left.saturating_sub(usize::try_from(chunk.bytes).unwrap_or(usize::MAX));
        self.left == 0
    }

    fn record(&mut self, row: u64, content: Content<'_>, bytes: &[u8]) {
        match content {
            Content::Cells(cells) if cells.len() < self.plan.columns().len() => {}
            Content::Cells(cells) => {
                for (at, (_, cell)) in cells.texts().enumerate() {
                    if let (Some(Some(field)), Ok(text)) = (self.plan.columns().get(at), std::str::from_utf8(cell)) {
                        self.number(row, *field, text);
                    }
                }
            }
            Content::SheetRow => {
                let Ok(cells) = serde_json::from_slice::<Vec<&RawValue>>(bytes) else { return };
                for (at, cell) in cells.into_iter().enumerate() {
                    if let Some(Some(field)) = self.plan.columns().get(at) {
                        self.json(row, *field, cell.get());
                    }
                }
            }
            Content::Object => {
                let Ok(Members::<&RawValue>(members)) = serde_json::from_slice(bytes) else { return };
                for (name, value) in members {
                    if let Some(field) = self.plan.member(&name) {
                        self.json(row, field, value.get());
                    }
                }
            }
        }
    }

    /// A number of JSON's own has a point whatever the file.
    fn json(&mut self, row: u64, field: usize, raw: &str) {
        if raw.starts_with('"')
            && let Ok(JsonString(text)) = serde_json::from_str(raw)
        {
            self.number(row, field, &text);
        }
    }

    fn number(&mut self, row: u64, field: usize, text: &str) {
        let check = self.plan.kind().field(field);
        let Some((own, evidence)) = check.evidence(text) else { return };
        let found = &mut self.found[usize::from(own == ',')];
        let shown = || Shown { row, field: check.name().to_owned(), cell: RowError::shown(text.as_bytes()) };
        match evidence {
            Evidence::Own { .. } => found.own += 1,
            Evidence::Other { group } => {
                found.other += 1;
                found.first_other.get_or_insert_with(shown);
                found.group = found.group.or(group);
            }
            Evidence::Either { decimal } if decimal == own => {
                found.first_either.get_or_insert_with(shown);
            }
            // It is refused as it stands.
            Evidence::Either { .. } => {}
        }
    }

    /// What the numbers come to. Where more of them can only be read as they will be, the others are slips, and reject
    /// their rows.
    ///
    /// # Errors
    /// A permanent failure, `ambiguous_numbers`.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        for (found, [own, other]) in self.found.iter().zip([['.', ','], [',', '.']]) {
            if let (Some(either), Some(contrary)) = (&found.first_either, &found.first_other)
                && found.other >= found.own
            {
                let group = found.group.unwrap_or(own);
                let message = format!(
                    "row {} has `{}` in `{}`, which may be read with the decimal character `{own}`, and row {} has `{}` in \
                     `{}`, whose decimal character is `{other}`: give decimal_char `{other}` and group_char `{group}`, or \
                     decimal_char `{own}` where it is that after all",
                    either.row, either.cell, either.field, contrary.row, contrary.cell, contrary.field
                );
                return Err(Failure::new("ambiguous_numbers", message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Cursor, ops::ControlFlow};

    use penstock_model::{Chunking, ImportOptions};

    use super::*;
    use crate::{
        kinds,
        reading::{Hints, Part, Reading, resolve},
    };

    /// Chunks that a file of products gives, and the failure.
    fn read(file: &str, decimal_char: Option<char>) -> (usize, Option<Failure>) {
        let reading = ReadOptions { decimal_char, ..ReadOptions::default() };
        let (options, kind) = (ImportOptions { reading, ..ImportOptions::default() }, kinds::compiled("products"));
        let hints = Hints { format: None, filename: None, options: &options, kind: &kind, partial: false };
        let bytes = file.len() as u64;
        let layout = resolve(Cursor::new(file), bytes, &hints).expect("a layout");
        let mut reading = Reading::start(&layout, &hints, &Chunking { rows: 2, ..Chunking::default() });
        let mut chunks = 0;
        let ended = reading.read(Cursor::new(file), bytes, &mut |part| {
            chunks += usize::from(matches!(part, Part::Chunk(..)));
            ControlFlow::Continue(())
        });
        (chunks, ended.err())
    }

    fn costs(costs: &[&str]) -> String {
        let rows: Vec<String> = costs.iter().enumerate().map(|(at, cost)| format!("A-{at};n;b;{cost}\n")).collect();
        format!("sku;name;brand;cost\n{}", rows.concat())
    }

    #[test]
    fn numbers_that_would_be_read_wrong_fail_the_file_before_any_row() {
        let (chunks, failure) = read(&costs(&["7", "1.234", "12.500", "1.234,56"]), None);
        assert_eq!(chunks, 0);
        let Failure { code, message } = failure.expect("fails");
        assert_eq!(code, "ambiguous_numbers");
        assert_eq!(
            message,
            "row 2 has `1.234` in `cost`, which may be read with the decimal character `.`, and row 4 has `1.234,56` in \
             `cost`, whose decimal character is `,`: give decimal_char `,` and group_char `.`, or decimal_char `.` where it is \
             that after all"
        );
        // Whoever has said it is believed.
        assert_eq!(read(&costs(&["1.234", "1.234,56"]), Some('.')), (1, None));
        let in_json = r#"[{"sku":1,"cost":"1.234"},{"sku":2,"cost":"0,5"}]"#;
        assert_eq!(read(in_json, None).1.expect("fails").code, "ambiguous_numbers");
    }

    #[test]
    fn numbers_that_are_certain_are_read_and_slips_among_them_reject_their_rows() {
        for cells in [
            &["1.234", "1.5"][..],
            &["1,5", "12"],
            // Most of what is certain has a point: the comma is a slip.
            &["1.459", "1.46", "0.234", "1,46"],
            // Numbers of JSON's own, and what is no number.
            &["1.234", "a,b", ",", "1,234"],
        ] {
            assert_eq!(read(&costs(cells), None).1, None, "{cells:?}");
        }
        assert_eq!(read(r#"[{"sku":1,"cost":1.234},{"sku":2,"cost":"0,5"}]"#, None).1, None);
    }

    #[test]
    fn all_chunks_are_given_whether_the_look_ends_before_the_file_or_not() {
        for rows in [5, 200_000] {
            let file = costs(&vec!["1.5"; rows]);
            assert_eq!(read(&file, None), (rows.div_ceil(2), None));
        }
    }
}
