//! The imports of the account.

use maud::{Markup, html};
use penstock_model::Status;

use super::{pager, table};
use crate::DIALECTS;

/// Where an import can stand.
const STATUSES: [Status; 8] = [
    Status::AwaitingUpload,
    Status::Processing,
    Status::AwaitingConfirmation,
    Status::Completed,
    Status::CompletedWithErrors,
    Status::Failed,
    Status::Cancelled,
    Status::Expired,
];

pub(super) fn body() -> Markup {
    html! {
        div.title {
            h1 { "Imports" }
            a.button href="new" { "New import" }
        }
        form #filter.bar aria-label="Filter imports" {
            div { label for="kind" { "Kind" } select #kind name="kind" { option value="" { "all" } } }
            div {
                label for="status-is" { "Status" }
                select #status-is name="status" {
                    option value="" { "all" }
                    @for status in STATUSES { option value=(status.as_str()) { (status.as_str().replace('_', " ")) } }
                }
            }
            div {
                label for="api" { "Dialect" }
                select #api name="api" {
                    option value="" { "all" }
                    @for dialect in DIALECTS { option value=(dialect.name) { (dialect.name) } }
                }
            }
            div { label for="since" { "From" } input #since name="since" type="date"; }
            div { label for="until" { "Until" } input #until name="until" type="date"; }
            div.actions {
                button type="submit" { "Filter" }
                a #all href="imports" hidden { "Show all" }
            }
        }
        div #empty hidden {}
        (table("list", "Imports, the newest first", &[
            "File", "~Kind", "Status", "~#Rows", "#Rejected", "~By", "~Created",
        ]))
        (pager())
        template #t-import {
            tr {
                th scope="row" { a data-is="file" {} }
                td.wide data-is="kind" {}
                td { span.status data-is="status" {} }
                td.wide.number data-is="rows" {}
                td.number data-is="failed" {}
                td.wide data-is="by" {}
                td.wide { time data-is="created" {} }
            }
        }
        template #t-none {
            h2 { "No import yet" }
            p { "An import takes a file of records: CSV, TSV, JSON, JSON lines or XLSX. Choose one, see how it is read, \
                 and have its rows checked before anything is written." }
            p { a.button href="new" { "Import a file" } " " a href="kinds" { "See which kinds of records there are" } }
        }
        template #t-none-fits {
            h2 { "No import fits the filter" }
            p { "Change the filter, or " a href="imports" { "show all imports" } "." }
        }
    }
}
