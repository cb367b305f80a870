//! A new import: a file, how it is read, and which column is which field.

use maud::{Markup, html};
use penstock_model::limits::{UPLOAD_BYTES, WORKBOOK_BYTES};

use super::table;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// Encodings that files are met in; any other label of the WHATWG Encoding Standard can be given by the API.
const ENCODINGS: [&str; 10] = [
    "utf-8",
    "windows-1252",
    "iso-8859-2",
    "windows-1250",
    "windows-1251",
    "utf-16le",
    "utf-16be",
    "macintosh",
    "shift_jis",
    "gb18030",
];

/// Delimiters, and what they are called.
const DELIMITERS: [(&str, &str); 4] = [(",", "comma ,"), (";", "semicolon ;"), ("\t", "tab"), ("|", "bar |")];

/// What becomes of records that are there.
const MODES: [(&str, &str); 4] = [
    ("upsert", "upsert: set the fields that a row has"),
    ("create", "create: make new records only"),
    ("fill", "fill: set fields that are empty"),
    ("replace", "replace: then remove every record that the file does not name"),
];

/// The name of a preset, as browsers read patterns.
const PRESET_NAME: &str = r"[a-z0-9\-]{1,64}";

pub(super) fn body() -> Markup {
    html! {
        h1 { "New import" }
        section aria-labelledby="file-title" {
            h2 #file-title { "File" }
            div #drop.drop {
                label for="file" { "Choose a file, or drop it here" }
                input #file type="file";
                p #chosen {}
            }
            p.hint {
                "Up to " (UPLOAD_BYTES / GIB) " GiB, a workbook up to " (WORKBOOK_BYTES / MIB) " MiB. CSV, TSV, \
                 JSON, JSON lines or XLSX, plain or as gzip, zstd or zip. The file goes to storage in parts; if the line \
                 breaks, the upload goes on where it was."
            }
        }
        form #settings hidden {
            section aria-labelledby="kind-title" {
                h2 #kind-title { "Kind" }
                div.bar {
                    div { label for="kind" { "Kind of records" } select #kind name="kind" {} }
                    div { label for="preset" { "Preset" } select #preset {} }
                    p #kind-note.hint role="status" {}
                }
                div #missing role="status" {}
            }
            section aria-labelledby="reading-title" {
                h2 #reading-title { "How it is read" }
                p #detected role="status" {}
                ul #notes.notes {}
                details #reading {
                    summary { "Change how it is read" }
                    div.bar {
                        div {
                            label for="format" { "Format" }
                            select #format {
                                option value="" { "detected" }
                                @for format in ["csv", "tsv", "ndjson", "json", "xlsx"] { option { (format) } }
                            }
                        }
                        div {
                            label for="encoding" { "Encoding" }
                            select #encoding data-option="encoding" {
                                option value="" { "detected" }
                                @for encoding in ENCODINGS { option { (encoding) } }
                            }
                        }
                        div {
                            label for="delimiter" { "Delimiter" }
                            select #delimiter data-option="delimiter" {
                                option value="" { "detected" }
                                @for (value, name) in DELIMITERS { option value=(value) { (name) } }
                            }
                        }
                        div {
                            label for="quoting" { "Quotes" }
                            select #quoting data-option="quoting" data-type="boolean" {
                                option value="" { "open quoted cells" }
                                option value="false" { "are data" }
                            }
                        }
                        div {
                            label for="header-line" { "Line of the header" }
                            input #header-line data-option="header_line" data-type="number" inputmode="numeric" size="4";
                        }
                        div { label for="sheet" { "Sheet" } input #sheet data-option="sheet" size="12"; }
                        div { label for="rows-at" { "Path of the rows" } input #rows-at data-option="rows_at" size="12"; }
                        div {
                            label for="decimal-char" { "Decimal mark" }
                            select #decimal-char data-option="decimal_char" {
                                option value="" { "the kind's" }
                                option value="." { "point ." }
                                option value="," { "comma ," }
                            }
                        }
                        div {
                            label for="group-char" { "Groups of digits" }
                            select #group-char data-option="group_char" {
                                option value="" { "the kind's" }
                                option value="." { "point ." }
                                option value="," { "comma ," }
                                option value=" " { "space" }
                                option value="'" { "apostrophe '" }
                            }
                        }
                        div {
                            label for="date-format" { "Format of dates" }
                            input #date-format data-option="date_format" placeholder="%d.%m.%Y" size="10";
                        }
                        div {
                            label for="short-rows" { "Rows with fewer cells" }
                            select #short-rows data-option="short_rows" {
                                option value="" { "are rejected" }
                                option value="absent" { "lack these cells" }
                            }
                        }
                    }
                }
            }
            section aria-labelledby="columns-title" {
                h2 #columns-title { "Columns" }
                details #columns {
                    summary { span #columns-sum role="status" {} }
                    (table("mapping", "Columns of the file and the fields that they are", &[
                        "Column", "#Filled", "Field", "Samples",
                    ]))
                }
            }
            section aria-labelledby="rows-title" {
                h2 #rows-title { "First rows" }
                (table("rows", "The first rows as they are read", &[]))
            }
            section aria-labelledby="how-title" {
                h2 #how-title { "What rows do" }
                div.bar {
                    div {
                        label for="mode" { "Mode" }
                        select #mode data-option="mode" {
                            @for (value, name) in MODES { option value=(value) { (name) } }
                        }
                    }
                    div {
                        label for="empty-cells" { "Empty cells" }
                        select #empty-cells data-option="empty_cells" {
                            option value="" { "leave the field as it is" }
                            option value="clear" { "empty the field" }
                        }
                    }
                    div {
                        label for="remember" { "Remember as preset" }
                        input #remember autocomplete="off" size="12" placeholder="a-z, 0-9, -" pattern=(PRESET_NAME)
                            title="1 to 64 of a-z, 0-9 and -";
                    }
                }
                div.actions {
                    button #check.primary type="button" { "Check all rows" }
                    button #import-now type="button" { "Import without a check" }
                }
                p.hint { "A check judges every row and writes nothing. What it finds is shown; then the same upload is \
                          imported." }
            }
        }
        template #t-column {
            tr {
                th scope="row" data-is="column" {}
                td.number data-is="filled" {}
                td data-is="field" {}
                td data-is="samples" {}
            }
        }
        (sending())
    }
}

/// The course of an upload, which also stands on the page of an import.
pub(super) fn sending() -> Markup {
    html! {
        section #sending hidden aria-labelledby="sending-title" {
            h2 #sending-title tabindex="-1" { "Upload" }
            progress #sent max="1" value="0" aria-label="Bytes sent" {}
            p #sent-text {}
            div.actions {
                button #go-on.primary type="button" hidden { "Go on" }
                button #stop-sending type="button" { "Cancel the upload" }
            }
        }
    }
}
