//! Records, exports of them, and kinds.

use maud::{Markup, html};

use super::{pager, table};

pub(super) fn records() -> Markup {
    html! {
        h1 { "Records" }
        form #find.bar aria-label="Find records" {
            div { label for="kind" { "Kind" } select #kind name="kind" {} }
            div { label for="key" { "Key" } input #key name="key" autocomplete="off" spellcheck="false"; }
            div.actions {
                button type="submit" { "Show" }
            }
        }
        p.hint { "Without a key all records of the kind are listed. The parts of a key that has several stand with a comma \
                  between two, as in " code { "A-1,2026-11" } "." }
        section #one hidden aria-labelledby="one-title" {
            h2 #one-title {}
            p #one-about {}
            (table("values", "Fields of the record and the rows that they come from", &["Field", "Value", "From"]))
            div.actions { button #delete type="button" { "Delete the record" } a #back href="" { "All records" } }
        }
        section #all hidden aria-labelledby="all-title" {
            h2 #all-title {}
            p #changed hidden {}
            div #empty hidden {}
            (table("list", "Records", &[]))
            (pager())
        }
        section #exports hidden aria-labelledby="exports-title" {
            h2 #exports-title { "Exports" }
            form #export.bar aria-label="Export" {
                div {
                    label for="export-format" { "Format" }
                    select #export-format { option value="csv" { "CSV" } option value="ndjson" { "JSON lines" } }
                }
                div {
                    label for="export-compression" { "Compression" }
                    select #export-compression {
                        option value="none" { "none" }
                        option value="gzip" { "gzip" }
                        option value="zstd" { "zstd" }
                    }
                }
                div.actions { button type="submit" { "Export these records" } }
            }
            (table("exports-list", "Exports, the newest first", &["Kind", "Format", "Status", "#Records", "Ordered", ""]))
            p #exports-list-none hidden { "No export yet. Order one above." }
        }
        template #t-none {
            h3 { "No record of this kind" }
            p { "Records come from imports. " a.button href="new" data-is="new" { "Import a file" } }
        }
        template #t-export {
            tr {
                th scope="row" data-is="kind" {}
                td data-is="format" {}
                td { span.status data-is="status" {} }
                td.number data-is="records" {}
                td { time data-is="created" {} }
                td { button type="button" data-is="download" { "Download" } }
            }
        }
    }
}

pub(super) fn kinds() -> Markup {
    html! {
        h1 { "Kinds" }
        p { "A kind says which fields a record has, and what may stand in them." }
        (table("list", "Kinds", &["Kind", "Title", "Version"]))
        (pager())
        section aria-labelledby="make-title" {
            h2 #make-title { "New kind from a sample file" }
            div #drop.drop {
                label for="sample" { "Choose a sample file, or drop it here" }
                input #sample type="file";
            }
            p.hint { "Nothing is imported. The types are guessed from the first rows, and can be changed." }
            form #make hidden aria-label="New kind" {
                div.bar {
                    div {
                        label for="name" { "Name" }
                        input #name required pattern="[a-z0-9\\-]{1,64}" autocomplete="off" spellcheck="false"
                            aria-describedby="name-hint";
                    }
                    div { label for="title" { "Title" } input #title required autocomplete="off"; }
                }
                p #name-hint.hint { "1 to 64 of a-z, 0-9 and -. If the kind is there, this is a further version of it." }
                (table("fields", "Fields of the kind", &["Column", "Samples", "Type", "Required", "Key"]))
                div.actions { button.primary type="submit" { "Register the kind" } }
            }
        }
        template #t-kind {
            tr {
                th scope="row" { a data-is="name" {} }
                td data-is="title" {}
                td data-is="version" {}
            }
        }
        template #t-field {
            tr {
                th scope="row" data-is="column" {}
                td data-is="samples" {}
                td {
                    select data-is="type" {
                        @for kind in ["string", "integer", "number", "boolean", "date", "datetime"] {
                            option { (kind) }
                        }
                    }
                }
                td { input type="checkbox" data-is="required"; }
                td { input type="checkbox" data-is="key"; }
            }
        }
    }
}

pub(super) fn kind() -> Markup {
    html! {
        div.title {
            h1 #name { "Kind" }
            a #import.button href="new" { "Import a file" }
        }
        p #about {}
        div.actions {
            button #template type="button" { "Download a template" }
            a #records href="records" { "Its records" }
            button #delete type="button" hidden { "Delete the kind" }
        }
        (table("fields", "Fields", &["Field", "Type", "What may stand in it", "What it is"]))
        section #rules hidden aria-labelledby="rules-title" {
            h2 #rules-title { "Rules across cells" }
            (table("rules-list", "What has to be true of a row", &["Rule", "What a row that breaks it is told", "Fields"]))
        }
        section #versions hidden aria-labelledby="versions-title" {
            h2 #versions-title { "Versions" }
            form #compare.bar aria-label="Compare versions" {
                div { label for="before" { "From version" } select #before name="before" {} }
                div { label for="after" { "To version" } select #after name="after" {} }
                div.actions { button type="submit" { "Compare" } }
            }
            div #changes hidden {
                p #changes-text {}
                (table("changes-list", "What changed", &["Field", "Before", "After"]))
            }
        }
    }
}
