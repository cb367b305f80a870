//! The header of a delimited text file: its columns.

use penstock_model::{Failure, limits};

/// The columns that the file's first record names, in its order.
///
/// # Errors
/// A permanent failure: `not_csv` where the bytes are no text, `too_many_columns` over [`limits::COLUMNS`],
/// `header_too_large` over [`limits::HEADER_BYTES`].
pub fn columns(header: &[u8], delimiter: u8) -> Result<Vec<String>, Failure> {
    if header.len() > limits::HEADER_BYTES {
        let message = format!("the header has {} bytes, the limit is {}", header.len(), limits::HEADER_BYTES);
        return Err(Failure::new("header_too_large", message));
    }
    let text = std::str::from_utf8(header).ok().filter(|text| !text.contains('\0'));
    let Some(text) = text else {
        return Err(Failure::new(
            "not_csv",
            "the first line is not UTF-8 text, so this is not a CSV file in UTF-8; its first line must name the columns",
        ));
    };
    // A byte order mark at the start of the file has been taken away; another one is data, as for the rows.
    let behind_an_empty_line = std::io::Read::chain(&b"\n"[..], text.as_bytes());
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(behind_an_empty_line);
    let mut record = csv::StringRecord::new();
    reader.read_record(&mut record).expect("UTF-8 text in memory is a record");
    if record.len() > limits::COLUMNS {
        let message = format!("the header names {} columns, the limit is {}", record.len(), limits::COLUMNS);
        return Err(Failure::new("too_many_columns", message));
    }
    Ok(record.iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quoted_names() {
        assert_eq!(columns(b"sku;\"the; name\"\r\n", b';').expect("text"), ["sku", "the; name"]);
    }

    #[test]
    fn binary_is_not_csv() {
        for bytes in [&b"\x89PNG\r\n"[..], b"PK\x03\x04\0\0", b"\xff\xfes\0k\0u\0"] {
            assert_eq!(columns(bytes, b',').expect_err("no text").code, "not_csv");
        }
    }

    #[test]
    fn names_the_limit_of_columns() {
        let failure = columns(",".repeat(1000).as_bytes(), b',').expect_err("1001 columns");
        assert!(failure.message.contains("1001") && failure.message.contains("1000"), "{}", failure.message);
    }
}
