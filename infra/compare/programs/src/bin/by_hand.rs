//! The yardstick: the checks of the comparison, written by hand for its very columns, over `csv::ByteRecord`.
//!
//! `by_hand FILE` prints the numbers of the bad rows, from 1.

use std::io::{BufWriter, Write};

/// What a column's cells have to be; empty cells are nothing, which only [`Check::Required`] minds.
#[derive(Clone, Copy)]
enum Check {
    Text,
    Required,
    Number,
    Integer,
    Boolean,
}

impl Check {
    fn of(column: &[u8]) -> Self {
        match column {
            b"sku" | b"name" | b"brand" => Self::Required,
            b"cost" | b"msrp" | b"base_price" => Self::Number,
            b"base_units_per_sales_unit" => Self::Integer,
            b"active" => Self::Boolean,
            _ => Self::Text,
        }
    }

    fn passes(self, cell: &[u8]) -> bool {
        match self {
            Self::Text => true,
            Self::Required => !cell.is_empty(),
            Self::Number => cell.is_empty() || is_number(cell),
            Self::Integer => cell.is_empty() || is_integer(cell),
            Self::Boolean => matches!(cell, b"" | b"true" | b"false"),
        }
    }
}

fn unsigned(cell: &[u8]) -> &[u8] {
    cell.strip_prefix(b"-").unwrap_or(cell)
}

fn is_integer(cell: &[u8]) -> bool {
    let digits = unsigned(cell);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

fn is_number(cell: &[u8]) -> bool {
    let cell = unsigned(cell);
    match memchr::memchr(b'.', cell) {
        None => !cell.is_empty() && cell.iter().all(u8::is_ascii_digit),
        Some(point) => {
            let (whole, fraction) = (&cell[..point], &cell[point + 1..]);
            !whole.is_empty() && !fraction.is_empty() && whole.iter().chain(fraction).all(u8::is_ascii_digit)
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: by_hand FILE")?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).buffer_capacity(256 << 10).from_path(path)?;
    let checks: Vec<Check> = reader.byte_headers()?.iter().map(Check::of).collect();
    let mut bad = BufWriter::new(std::io::stdout());
    let mut record = csv::ByteRecord::new();
    let mut row = 0_u64;
    while reader.read_byte_record(&mut record)? {
        row += 1;
        let text = std::str::from_utf8(record.as_slice()).is_ok() && memchr::memchr(0, record.as_slice()).is_none();
        let good = text && record.len() == checks.len() && checks.iter().zip(&record).all(|(check, cell)| check.passes(cell));
        if !good {
            writeln!(bad, "{row}")?;
        }
    }
    bad.flush()?;
    Ok(())
}
