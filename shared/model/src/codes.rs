//! The codes of errors: the stable words by which a program tells what went wrong. Each list is in the order of the
//! alphabet, and is all that there are: a word that is in none of them stops a debug build where it is made.

/// What is wrong with a file, or with the options under which it is read: an import of it fails, and a preview of it is
/// refused.
pub const FILES: &[&str] = &[
    "ambiguous_encoding",
    "ambiguous_numbers",
    "ambiguous_rows",
    "archive_too_large",
    "damaged_file",
    "duplicate_column",
    "empty_file",
    "file_too_large",
    "header_too_large",
    "invalid_option",
    "missing_column",
    "name_too_long",
    "no_rows",
    "not_csv",
    "not_one_file",
    "sheet_too_large",
    "too_many_columns",
    "unexpected_column",
    "unknown_column",
    "unknown_encoding",
    "unknown_field",
    "unknown_sheet",
    "unpacks_too_large",
    "unsupported_format",
    "unterminated_quote",
    "unusable_option",
    "workbook_too_large",
];

/// What is wrong with an import's options before there is a file.
pub const OPTIONS: &[&str] = &[
    "invalid_abort",
    "invalid_delimiter",
    "invalid_option",
    "name_too_long",
    "too_many_columns",
    "unknown_encoding",
    "unknown_field",
];

/// Why an import fails that has a file which can be read, or had one.
pub const IMPORTS: &[&str] = &["split_failed", "too_many_rejected", "unknown_kind", "upload_gone"];

/// Why an export fails, or cannot be ordered.
pub const EXPORTS: &[&str] =
    &["ambiguous_deletions", "export_failed", "export_too_large", "kind_gone", "not_flat", "parts_gone"];

/// Why a row is rejected.
pub const ROWS: &[&str] = &[
    "broken_document",
    "cell_error",
    "duplicate_member",
    "invalid_array",
    "invalid_boolean",
    "invalid_date",
    "invalid_datetime",
    "invalid_ean",
    "invalid_email",
    "invalid_gtin",
    "invalid_integer",
    "invalid_json",
    "invalid_number",
    "invalid_object",
    "invalid_time",
    "invalid_uri",
    "invalid_utf8",
    "invalid_uuid",
    "invalid_year",
    "not_an_object",
    "not_in_enum",
    "not_processed",
    "nul_byte",
    "other_decimal_char",
    "pattern_mismatch",
    "ragged_row",
    "record_item_too_large",
    "record_too_large",
    "repeated_header",
    "required",
    "row_takes_too_long",
    "rule_broken",
    "scientific_key",
    "separator_row",
    "too_deep",
    "too_large",
    "too_long",
    "too_precise",
    "too_short",
    "too_small",
    "unterminated_quote",
    "wrong_type",
];

/// Why a request is refused, beside what is wrong with a file or an option.
pub const REQUESTS: &[&str] = &[
    "account_not_found",
    "account_removing",
    "already_corrected",
    "already_ended",
    "already_uploaded",
    "ambiguous_deletions",
    "another_kind",
    "another_replace",
    "bad_request",
    "body_too_large",
    "bundled_kind",
    "busy",
    "duplicate_field",
    "expired",
    "export_deleted",
    "export_runs",
    "filename_too_long",
    "forbidden",
    "idempotency_key_reused",
    "import_cancelled",
    "import_deleted",
    "import_expired",
    "import_runs",
    "internal",
    "invalid_body",
    "invalid_cursor",
    "invalid_file",
    "invalid_form",
    "invalid_idempotency_key",
    "invalid_kind_name",
    "invalid_limit",
    "invalid_metadata",
    "invalid_parameter",
    "invalid_parts",
    "invalid_preset_name",
    "invalid_products_data",
    "invalid_query",
    "invalid_range",
    "invalid_schema",
    "invalid_url",
    "invalid_webhook",
    "job_not_found",
    "kind_busy",
    "kind_has_records",
    "kind_in_use",
    "kind_not_looked_through",
    "label_too_long",
    "method_not_allowed",
    "missing_account_id",
    "missing_array",
    "moved",
    "newest_version",
    "no_parts",
    "no_scopes",
    "not_accepted",
    "not_deletable",
    "not_flat",
    "not_found",
    "not_held",
    "not_ready",
    "nothing_to_correct",
    "nothing_uploaded",
    "own_account",
    "parts_gone",
    "preset_too_large",
    "rate_limited",
    "size_of_stored_file",
    "too_many_bytes",
    "too_many_corrections",
    "too_many_exports",
    "too_many_imports",
    "too_many_keys",
    "too_many_kinds",
    "too_many_parts",
    "too_many_presets",
    "too_many_products",
    "too_many_secrets",
    "too_many_versions",
    "too_many_webhooks",
    "too_much_memory",
    "unauthorized",
    "unavailable",
    "unconfirmed",
    "unknown_format",
    "unknown_kind",
    "unknown_preset",
    "unknown_webhook",
    "unreadable_body",
    "unsupported_media_type",
    "upload_busy",
    "upload_expires",
    "upload_gone",
    "upload_read",
    "validation_error",
    "was_dry_run",
    "webhook_disabled",
];

/// Why an attempt to deliver to a webhook has no answer.
pub const ATTEMPTS: &[&str] = &[
    "address_refused",
    "answer_cut",
    "connection_failed",
    "invalid_answer",
    "name_not_resolved",
    "timed_out",
    "tls_failed",
    "url_refused",
];

/// Whether it is the code of the failure of an import or an export, or of what is wrong with a file or an option.
pub fn is_failure(code: &str) -> bool {
    [FILES, OPTIONS, IMPORTS, EXPORTS].iter().any(|codes| codes.contains(&code))
}

/// Whether it is the code of a refusal.
pub fn is_refusal(code: &str) -> bool {
    REQUESTS.contains(&code) || is_failure(code)
}

/// Whether it is the code of a rejected row.
pub fn is_row_error(code: &str) -> bool {
    ROWS.contains(&code)
}

/// The codes of the failures of imports and exports, for the schema of one.
#[cfg(feature = "schema")]
pub(crate) fn failures() -> Vec<&'static str> {
    let all: std::collections::BTreeSet<_> = [FILES, OPTIONS, IMPORTS, EXPORTS].concat().into_iter().collect();
    all.into_iter().collect()
}

/// The same where there may be none.
#[cfg(feature = "schema")]
pub(crate) fn failures_or_none() -> Vec<Option<&'static str>> {
    failures().into_iter().map(Some).chain([None]).collect()
}

/// The codes of attempts that have no answer, where there may be none.
#[cfg(feature = "schema")]
pub(crate) fn attempts_or_none() -> Vec<Option<&'static str>> {
    ATTEMPTS.iter().copied().map(Some).chain([None]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_list_is_in_order_and_names_nothing_twice() {
        for codes in [FILES, OPTIONS, IMPORTS, EXPORTS, ROWS, REQUESTS, ATTEMPTS] {
            assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        }
    }
}
