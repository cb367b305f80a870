//! What to do about each kind of row error: one sentence a code, in one table.
//!
//! Options are named as [`crate::advice`] has them, so that the command says its flags.

/// The sentence of each code.
const REMEDIES: [(&str, &str); 42] = [
    ("broken_document", "Mend the JSON document at the line that the message names, and send the rows from there on."),
    (
        "cell_error",
        "Mend the formula in the spreadsheet, or save the workbook once it is calculated, and send it again.",
    ),
    (
        "duplicate_member",
        "Leave one member for the field in each row, or map only one of them with the option `mapping`.",
    ),
    ("invalid_array", "Write a JSON array, such as [1, 2]."),
    (
        "invalid_boolean",
        "Write one of the words that the message names, or give the option `true_values` and the option \
        `false_values`.",
    ),
    ("invalid_date", "Write the date as the message shows, or give the option `date_format`."),
    ("invalid_datetime", "Write the date and time as the message shows."),
    ("invalid_ean", "Write 8 or 13 digits, the last of them the check digit; keep leading zeros."),
    ("invalid_email", "Write an e-mail address, such as name@example.com."),
    ("invalid_gtin", "Write 8, 12, 13 or 14 digits, the last of them the check digit; keep leading zeros."),
    ("invalid_integer", "Write a whole number without a fraction, such as 1234."),
    ("invalid_json", "Write the row, or the cell, as JSON: the message names the place."),
    (
        "invalid_number",
        "Write the number as the message shows, or give the option `decimal_char` and the option \
        `group_char`.",
    ),
    ("invalid_object", "Write a JSON object whose members each come once."),
    ("invalid_time", "Write the time as the message shows."),
    ("invalid_uri", "Write a URI with its scheme, such as https://example.com/a."),
    ("invalid_utf8", "Save the file as UTF-8, or name its encoding with the option `encoding`."),
    ("invalid_uuid", "Write 32 hexadecimal digits in groups of 8-4-4-4-12."),
    ("invalid_year", "Write a year of four digits."),
    ("not_an_object", "Write each row as a JSON object, or say where the rows are with the option `rows_at`."),
    ("not_in_enum", "Write one of the values that the message names."),
    ("not_processed", "Send the rejected rows again: the reason lies with the service, not with the rows."),
    ("nul_byte", "Take the NUL out of the cell, or name the file's encoding with the option `encoding`."),
    (
        "other_decimal_char",
        "Write every number with one decimal character, and name it with the option `decimal_char`.",
    ),
    ("pattern_mismatch", "Write the cell as the kind's pattern wants it: the message has the pattern."),
    ("ragged_row", "Give each row a cell for every column of the header, and quote cells that hold the delimiter."),
    ("record_item_too_large", "Shorten the cells of the row: its record would be too large to be stored."),
    ("record_too_large", "Shorten the row, or look for a quote in it that is never closed."),
    ("repeated_header", "Take the row out, or leave it rejected: it is the header again."),
    ("required", "Fill in the cells of the field, or map a column to it with the option `mapping`."),
    ("row_takes_too_long", "Shorten the cells of the rows or simplify the kind's patterns, and send the rows again."),
    ("rule_broken", "Mend the cells that the message names, so that they fit one another as it says."),
    (
        "scientific_key",
        "Format the column as text in the spreadsheet, fill in the whole keys, and save the file again.",
    ),
    ("separator_row", "Take the row out, or leave it rejected: it is a line of dashes."),
    ("too_deep", "Put fewer arrays and objects into one another."),
    ("too_large", "Write a smaller value: the message names the limit."),
    ("too_long", "Write a shorter value: the message names the limit."),
    ("too_precise", "Write fewer digits: the message names the limit."),
    ("too_short", "Write a longer value: the message names the least length."),
    ("too_small", "Write a larger value: the message names the least."),
    (
        "unterminated_quote",
        "Close the quote on the line that the message names, or turn quotes off with the option \
        `quoting`.",
    ),
    ("wrong_type", "Write a value of the type that the message names."),
];

/// What to do about row errors with a code, in a sentence.
pub fn remedy(code: &str) -> &'static str {
    let found = REMEDIES.iter().find(|(known, _)| *known == code);
    found.map_or("Mend the rows as the messages of their errors say, and send them again.", |(_, remedy)| remedy)
}

/// Whether a code has a sentence of its own.
pub fn has_remedy(code: &str) -> bool {
    REMEDIES.iter().any(|(known, _)| *known == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::for_command;

    #[test]
    fn each_code_has_one_sentence_whose_options_the_command_knows() {
        let known: Vec<&str> = REMEDIES.iter().map(|(code, _)| *code).collect();
        assert_eq!(known, crate::codes::ROWS);
        for (code, remedy) in REMEDIES {
            assert!(remedy.ends_with('.') && !remedy.contains("  "), "{code}: {remedy}");
            assert!(!for_command(remedy).contains("the option"), "{code}: {remedy}");
        }
        assert!(!has_remedy("x") && remedy("x").starts_with("Mend"));
    }
}
