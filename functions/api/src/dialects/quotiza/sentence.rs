//! The sentence that tells what is wrong with a product. The document has one such sentence, `Validation failed: Name
//! can't be blank`, in the words of Ruby on Rails (Active Record Validations guide); the other sentences use the words
//! of Rails too.

use penstock_model::RowError;

/// One sentence for all errors of a product.
pub(super) fn sentence(errors: &[RowError]) -> String {
    if errors.iter().any(|error| error.code == "not_processed") {
        return "Product could not be processed. Please send it again.".to_owned();
    }
    let parts: Vec<String> = errors.iter().map(part).collect();
    format!("Validation failed: {}", parts.join(", "))
}

fn part(error: &RowError) -> String {
    let Some(field) = error.field.as_deref() else {
        return match error.code.as_str() {
            "record_too_large" | "record_item_too_large" => "Product is too large".to_owned(),
            _ => format!("Product is invalid ({})", error.message),
        };
    };
    let what = match (error.code.as_str(), field) {
        ("required", _) => "can't be blank",
        ("duplicate_member", _) => "is given more than once",
        ("invalid_utf8" | "nul_byte" | "invalid_json", _) => "contains invalid characters",
        ("invalid_number" | "wrong_type", "cost" | "msrp" | "base_price") => "is not a number",
        ("invalid_integer" | "wrong_type", "base_units_per_sales_unit") => "must be an integer",
        ("invalid_boolean" | "wrong_type", "active") => "is not included in the list",
        _ => "is invalid",
    };
    format!("{} {what}", capitalised(field))
}

/// `base_price` as `Base price`.
fn capitalised(field: &str) -> String {
    let words = field.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(field: Option<&str>, code: &str) -> RowError {
        let (field, code, message) = (field.map(str::to_owned), code.to_owned(), "in the engine's words".to_owned());
        RowError { row: 10, line: 11, source_row: None, key: Some("DEF456".into()), field, value: None, code, message }
    }

    #[test]
    fn a_missing_name_reads_as_in_the_document() {
        assert_eq!(sentence(&[error(Some("name"), "required")]), "Validation failed: Name can't be blank");
    }

    #[test]
    fn all_that_is_wrong_with_a_product_is_one_sentence() {
        let errors = [error(Some("brand"), "required"), error(Some("base_price"), "invalid_number")];
        assert_eq!(sentence(&errors), "Validation failed: Brand can't be blank, Base price is not a number");
    }

    #[test]
    fn every_code_has_words() {
        for (field, code, words) in [
            (Some("cost"), "wrong_type", "Cost is not a number"),
            (Some("base_units_per_sales_unit"), "invalid_integer", "Base units per sales unit must be an integer"),
            (Some("active"), "invalid_boolean", "Active is not included in the list"),
            (Some("name"), "wrong_type", "Name is invalid"),
            (Some("sku"), "duplicate_member", "Sku is given more than once"),
            (Some("name"), "nul_byte", "Name contains invalid characters"),
            (None, "record_too_large", "Product is too large"),
            (None, "ragged_row", "Product is invalid (in the engine's words)"),
        ] {
            assert_eq!(sentence(&[error(field, code)]), format!("Validation failed: {words}"));
        }
        let not_processed = sentence(&[error(None, "not_processed")]);
        assert_eq!(not_processed, "Product could not be processed. Please send it again.");
    }
}
