//! What row errors say of a file as a whole.

/// The code of a number that is written with another decimal character than its file is read with.
pub(crate) const OTHER_DECIMAL_CHAR: &str = "other_decimal_char";

/// The note that these codes of row errors add to an import, if they add any. Its words are always the same, so that an
/// import that has it needs it no second time.
pub fn of_errors<'a>(mut codes: impl Iterator<Item = &'a str>) -> Option<&'static str> {
    codes.any(|code| code == OTHER_DECIMAL_CHAR).then_some(
        "rows were rejected whose numbers have another decimal character than the file was read with: the option \
         `decimal_char` and the option `group_char` say how they are to be read",
    )
}
