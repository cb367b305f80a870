//! The numbers at the start of a file: whether they contradict the way in which they would be read.
//!
//! `1.234` is 1.234 in one country and 1234 in another. Which it is, a cell cannot tell; its neighbours often can.
//! Where the first [`limits::DETECT_BYTES`] of a file hold such numbers beside ones that can only be written with the
//! other decimal character, such as `1.234,56`, reading on would store wrong values: the file fails before its first
//! row.

use std::ops::ControlFlow;

use penstock_model::{Body, Chunk, Chunking, Failure, Layout, RowError, advice::Setting, limits};
use serde_json::value::RawValue;

use super::{Hints, Part, Reading};
use crate::{
    kind::{Evidence, FieldCheck},
    members::{JsonString, Members},
    plan::Plan,
    rows::{self, Content, Syntax},
    upload::Upload,
};

/// Reads the start of a file as its import would, and checks that its numbers do not contradict the way in which they
/// would be read. What else is wrong with the file is left to its import.
///
/// # Errors
/// A permanent failure, `ambiguous_numbers`.
pub(super) fn check(layout: &Layout, upload: impl Upload, bytes: u64, hints: &Hints<'_>) -> Result<(), Failure> {
    let has_numbers = hints.kind.fields().iter().any(FieldCheck::is_number);
    if layout.reading.decimal_char.is_some() || !has_numbers {
        return Ok(());
    }
    let syntax = Syntax::of(layout.grammar, &layout.reading);
    let (mut look, mut looked_at) = (None, 0);
    let mut reading = Reading::start(layout, hints, &Chunking::default());
    let _ = reading.read(upload, bytes, &mut |part| {
        match part {
            Part::Columns(columns) => look = Some(Look { plan: columns.plan, found: Default::default() }),
            Part::Chunk(Chunk { first_row, first_line, body: Body::Rows(rows), .. }, next) => {
                rows::for_each_record(syntax, first_row, first_line, &rows, |record| {
                    if let Some(look) = &mut look {
                        look.record(record.row, record.content, record.bytes);
                    }
                });
                looked_at = next.offset;
            }
            Part::Chunk(..) => {}
        }
        if looked_at >= limits::DETECT_BYTES as u64 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    look.map_or(Ok(()), |look| look.verdict())
}

/// What is found in the rows of a file.
#[derive(Debug)]
struct Look {
    plan: Plan,
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

impl Look {
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
            Evidence::Own => found.own += 1,
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
    fn verdict(&self) -> Result<(), Failure> {
        for (found, [own, other]) in self.found.iter().zip([['.', ','], [',', '.']]) {
            if let (Some(either), Some(contrary)) = (&found.first_either, &found.first_other)
                && found.other >= found.own
            {
                let group = found.group.unwrap_or(own);
                let [as_other, as_own] = [other, own].map(|decimal| Setting::DecimalChar.to(decimal.to_string()));
                let message = format!(
                    "row {} has `{}` in `{}`, which may be read with the decimal character `{own}`, and row {} has `{}` in \
                     `{}`, whose decimal character is `{other}`: give {as_other} and {}, or {as_own} where it is that after all",
                    either.row,
                    either.cell,
                    either.field,
                    contrary.row,
                    contrary.cell,
                    contrary.field,
                    Setting::GroupChar.to(group.to_string())
                );
                return Err(Failure::new("ambiguous_numbers", message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use penstock_model::{ImportOptions, ReadOptions};

    use super::*;
    use crate::{kinds, reading::resolve};

    /// The failure of a file of products, if it fails for its numbers.
    fn failure(file: &str, decimal_char: Option<char>) -> Option<Failure> {
        let reading = ReadOptions { decimal_char, ..ReadOptions::default() };
        let (options, kind) = (ImportOptions { reading, ..ImportOptions::default() }, kinds::compiled("products"));
        let hints = Hints { format: None, filename: None, options: &options, kind: &kind, partial: false };
        resolve(Cursor::new(file), file.len() as u64, &hints).err()
    }

    fn costs(costs: &[&str]) -> String {
        let rows: Vec<String> = costs.iter().enumerate().map(|(at, cost)| format!("A-{at};n;b;{cost}\n")).collect();
        format!("sku;name;brand;cost\n{}", rows.concat())
    }

    #[test]
    fn numbers_that_would_be_read_wrong_fail_the_file_before_any_row() {
        let contrary = failure(&costs(&["7", "1.234", "12.500", "1.234,56"]), None);
        let Failure { code, message } = contrary.expect("fails");
        assert_eq!(code, "ambiguous_numbers");
        assert_eq!(
            message,
            "row 2 has `1.234` in `cost`, which may be read with the decimal character `.`, and row 4 has `1.234,56` in \
             `cost`, whose decimal character is `,`: give the option `decimal_char` = \",\" and the option `group_char` = \
             \".\", or the option `decimal_char` = \".\" where it is that after all"
        );
        // A currency beside it hides nothing, though the field takes none.
        for certain in ["1.234,56 €", "EUR 1.234,56", "12,5 kr"] {
            assert_eq!(failure(&costs(&[certain, "1.234"]), None).expect(certain).code, "ambiguous_numbers");
        }
        assert_eq!(failure(&costs(&["1.234 €", "12,5"]), None), None, "what is refused is not read wrong");
        // Whoever has said it is believed.
        assert_eq!(failure(&costs(&["1.234", "1.234,56"]), Some('.')), None);
        let in_json = r#"[{"sku":1,"cost":"1.234"},{"sku":2,"cost":"0,5"}]"#;
        assert_eq!(failure(in_json, None).expect("fails").code, "ambiguous_numbers");
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
            assert_eq!(failure(&costs(cells), None), None, "{cells:?}");
        }
        assert_eq!(failure(r#"[{"sku":1,"cost":1.234},{"sku":2,"cost":"0,5"}]"#, None), None);
    }

    #[test]
    fn rows_behind_the_start_of_a_file_do_not_fail_it() {
        let many = "1.234\n".repeat(limits::DETECT_BYTES / 8);
        let cells: Vec<&str> = many.lines().chain(["1.234,56"]).collect();
        assert_eq!(failure(&costs(&cells), None), None);
        assert!(failure(&costs(&cells[cells.len() - 9..]), None).is_some());
    }
}
