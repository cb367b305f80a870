//! The reference: kind `products` applied to a file row by row, straightforwardly, over the `csv` crate, sharing
//! nothing with the engine.

use std::collections::BTreeMap;

use penstock_client::Import;
use penstock_model::{EmptyCells, Mode};

/// What an import of a file into a catalogue gives.
#[derive(Debug, Default)]
pub struct Expected {
    pub total: u64,
    pub created: u64,
    pub updated_or_unchanged: u64,
    pub skipped: u64,
    pub failed: u64,
    /// Row, line, field, code of every error in the order of the file.
    pub errors: Vec<(u64, u64, Option<String>, String)>,
}

/// How many rows a file has, and of these are created, updated or unchanged, skipped, and failed.
pub type RowCounts = (Option<u64>, u64, u64, u64, u64);

impl Expected {
    pub fn counts(&self) -> RowCounts {
        (Some(self.total), self.created, self.updated_or_unchanged, self.skipped, self.failed)
    }
}

/// The same as an import says it.
pub fn counts(import: &Import) -> RowCounts {
    let rows = &import.rows;
    (rows.total, rows.created, rows.updated + rows.unchanged, rows.skipped, rows.failed)
}

/// What records show, by SKU: fields as text.
pub type Catalogue = BTreeMap<String, BTreeMap<String, String>>;

/// What a row does to a record that is there, and what an empty cell says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    pub mode: Mode,
    pub empty_cells: EmptyCells,
}

/// Upserts a file into a catalogue.
pub fn upsert(file: &[u8], catalogue: &mut Catalogue) -> Expected {
    apply(file, catalogue, Rules::default(), |_| true)
}

/// Applies the rows of a file that are to be applied, one at a time; the others are only counted.
pub fn apply(file: &[u8], catalogue: &mut Catalogue, rules: Rules, is_applied: impl Fn(u64) -> bool) -> Expected {
    let mut expected = Expected::default();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
    let mut records = Vec::new();
    loop {
        let mut record = csv::ByteRecord::new();
        if !reader.read_byte_record(&mut record).expect("bytes in memory") {
            break;
        }
        let start = record.position().expect("a position").byte() as usize;
        let blank = file[start..].iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        records.push((start + blank, record));
    }
    let header: Vec<String> = records[0].1.iter().map(|name| String::from_utf8(name.to_vec()).expect("text")).collect();
    let ends: Vec<usize> = records.iter().skip(1).map(|(start, _)| *start).chain([file.len()]).collect();
    let mut lines = Lines::new(file);
    for (number, ((start, record), end)) in records.into_iter().zip(ends).enumerate().skip(1) {
        let (row, line) = (number as u64, lines.at(start));
        expected.total += 1;
        if !is_applied(row) {
            continue;
        }
        let raw = &file[start..end];
        let mut errors = Vec::new();
        let mut fields = BTreeMap::new();
        if raw.trim_ascii_end().len() > penstock_model::limits::RECORD_BYTES {
            errors.push((None, "record_too_large"));
        } else if end == file.len() && is_unterminated(&record, raw) {
            errors.push((None, "unterminated_quote"));
        } else if record.len() != header.len() {
            errors.push((None, "ragged_row"));
        } else {
            for (name, cell) in header.iter().zip(record.iter()) {
                match field(name, cell) {
                    Ok(Some(value)) => drop(fields.insert(name.clone(), Some(value))),
                    Ok(None) if name == "colour" || rules.empty_cells == EmptyCells::Keep => {}
                    // A row that fills empties nothing.
                    Ok(None) if rules.mode == Mode::Fill => {}
                    Ok(None) => drop(fields.insert(name.clone(), None)),
                    Err(code) => errors.push((Some(name.clone()), code)),
                }
            }
        }
        if !errors.is_empty() {
            expected.failed += 1;
            expected.errors.extend(errors.into_iter().map(|(field, code)| (row, line, field, code.to_owned())));
            continue;
        }
        let sku = fields["sku"].clone().expect("required");
        let Some(record) = catalogue.get_mut(&sku) else {
            fields.entry("active".to_owned()).or_insert(Some("true".to_owned()));
            fields.entry("base_units_per_sales_unit".to_owned()).or_insert(Some("1".to_owned()));
            catalogue.insert(sku, fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect());
            expected.created += 1;
            continue;
        };
        match rules.mode {
            Mode::Create => expected.skipped += 1,
            Mode::Upsert | Mode::Replace | Mode::Fill => {
                expected.updated_or_unchanged += 1;
                for (name, value) in fields {
                    match value {
                        _ if rules.mode == Mode::Fill && record.contains_key(&name) => {}
                        Some(value) => drop(record.insert(name, value)),
                        None => drop(record.remove(&name)),
                    }
                }
            }
        }
    }
    expected
}

/// The last record is unterminated when a further line would become part of it.
fn is_unterminated(record: &csv::ByteRecord, raw: &[u8]) -> bool {
    let longer = [raw, b"\nprobe\n"].concat();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(longer.as_slice());
    let mut with_probe = csv::ByteRecord::new();
    reader.read_byte_record(&mut with_probe).expect("bytes in memory");
    with_probe != *record
}

fn field(name: &str, cell: &[u8]) -> Result<Option<String>, &'static str> {
    if name == "colour" {
        return Ok(None);
    }
    let text = std::str::from_utf8(cell).map_err(|_| "invalid_utf8")?;
    if text.contains('\0') {
        return Err("nul_byte");
    }
    if text.is_empty() {
        return if matches!(name, "sku" | "name" | "brand") { Err("required") } else { Ok(None) };
    }
    let number = text.trim();
    match name {
        "cost" => {
            let value: f64 = number.parse().map_err(|_| "invalid_number")?;
            Ok(Some(value.to_string()))
        }
        "active" => match number {
            "true" | "True" | "TRUE" | "1" => Ok(Some("true".into())),
            "false" | "False" | "FALSE" | "0" => Ok(Some("false".into())),
            _ => Err("invalid_boolean"),
        },
        "base_units_per_sales_unit" => Ok(Some(number.parse::<i64>().map_err(|_| "invalid_integer")?.to_string())),
        _ => Ok(Some(text.to_owned())),
    }
}

/// Physical lines by byte, for places that only go forward.
struct Lines<'a> {
    file: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    fn new(file: &'a [u8]) -> Self {
        Self { file, at: 0, line: 1 }
    }

    fn at(&mut self, place: usize) -> u64 {
        while self.at < place {
            let ends = match self.file[self.at] {
                b'\n' => true,
                b'\r' => self.file.get(self.at + 1) != Some(&b'\n'),
                _ => false,
            };
            self.line += u64::from(ends);
            self.at += 1;
        }
        self.line
    }
}

/// What a stored record shows, as the reference writes it.
pub fn shown(record: &penstock_model::Record) -> BTreeMap<String, String> {
    let text = |value: &penstock_model::Value| match value {
        penstock_model::Value::Text(text) => text.clone(),
        penstock_model::Value::Number(number) => number.to_string(),
        penstock_model::Value::Boolean(boolean) => boolean.to_string(),
        nested => serde_json::to_string(nested).expect("a value is JSON"),
    };
    record.fields.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}
