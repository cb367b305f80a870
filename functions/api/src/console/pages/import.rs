//! One import: its course, what went wrong, and what can be done.

use maud::{Markup, html};

use super::{new::sending, table};

/// What became of rows: the member of the API, and what it is called.
const OUTCOMES: [(&str, &str); 7] = [
    ("created", "created"),
    ("updated", "updated"),
    ("unchanged", "unchanged"),
    ("skipped", "skipped"),
    ("failed", "rejected"),
    ("unprocessed", "not looked at"),
    ("total", "in all"),
];

pub(super) fn body() -> Markup {
    html! {
        div.title {
            h1 #name { "Import" }
            span #state.status {}
        }
        p #about {}
        div #outcome hidden {}
        (waiting())
        (sending())
        (course())
        (decision())
        div #actions.actions {
            button #cancel type="button" hidden { "Cancel the import" }
            button #apply.primary type="button" hidden { "Import these rows" }
            a #again href="" hidden { "Import again with other options" }
            button #delete type="button" hidden { "Delete the import" }
        }
        (wrong())
        (mend())
        (chain())
        (facts())
        (templates())
    }
}

/// Where the file has to come yet.
fn waiting() -> Markup {
    html! {
        section #waiting hidden aria-labelledby="waiting-title" {
            h2 #waiting-title { "The file is not here yet" }
            p #waiting-text {}
            div #waiting-drop.drop {
                label #waiting-label for="waiting-file" { "Choose the file, or drop it here" }
                input #waiting-file type="file";
            }
        }
    }
}

fn course() -> Markup {
    html! {
        section #course hidden aria-labelledby="course-title" {
            h2 #course-title { "Rows" }
            div #running hidden {
                progress #done max="1" aria-label="Rows looked at" {}
                p #rate {}
            }
            dl #counts.counts {
                @for (name, title) in OUTCOMES {
                    div { dt { (title) } dd id={ "rows-" (name) } { "0" } }
                }
                div #removed-box hidden { dt { "records removed" } dd #removed { "0" } }
            }
            figure #chart-box hidden {
                figcaption { "Rows looked at, over time" }
                svg #chart viewBox="0 0 320 80" role="img" aria-label="Rows looked at, over time"
                    preserveAspectRatio="none" {}
            }
        }
    }
}

/// What waits to be confirmed.
fn decision() -> Markup {
    html! {
        section #decision hidden aria-labelledby="decision-title" {
            h2 #decision-title { "This import waits for you" }
            p #decision-text {}
            details #removals-box hidden {
                summary { "Records that would be removed" }
                ul #removals {}
                button #more-removals type="button" hidden { "Show more" }
            }
            div.actions {
                button #confirm-it.primary type="button" {}
                button #leave-it type="button" {}
            }
        }
    }
}

fn wrong() -> Markup {
    html! {
        section #wrong hidden aria-labelledby="wrong-title" {
            h2 #wrong-title { "What went wrong" }
            p #wrong-text {}
            (table("groups", "Errors by code and field", &[
                "Error", "Field", "Example", "#Errors", "#Rows", "Where", "What to do", "",
            ]))
            section #cells hidden aria-labelledby="cells-title" {
                h3 #cells-title tabindex="-1" {}
                (table("cells-list", "Rows with this error", &["#Row", "#Line", "Record", "Cell", "What to type"]))
                div.actions {
                    button #more-cells type="button" hidden { "Show more rows" }
                    button #close-cells type="button" { "Close" }
                }
            }
        }
    }
}

/// How rejected rows are corrected.
fn mend() -> Markup {
    html! {
        section #mend hidden aria-labelledby="mend-title" {
            h2 #mend-title { "Mend and send again" }
            p #mend-note {}
            ol {
                li {
                    "Download the rejected rows. Each says in " code { "_errors" } " what is wrong with it. "
                    button #download type="button" { "Download the rejected rows" }
                }
                li { "Mend the cells, and leave the header as it is." }
                li {
                    div #mend-drop.drop {
                        label for="mended" { "Choose the mended file, or drop it here" }
                        input #mended type="file";
                    }
                }
            }
        }
    }
}

fn chain() -> Markup {
    html! {
        section #chain hidden aria-labelledby="chain-title" {
            h2 #chain-title { "Attempts" }
            p #chain-sum {}
            (table("rounds", "Imports that correct one another, the first one first", &[
                "Attempt", "Status", "#Created", "#Updated", "#Unchanged", "#Skipped", "#Rejected", "When",
            ]))
        }
    }
}

fn facts() -> Markup {
    html! {
        section #facts hidden aria-labelledby="facts-title" {
            h2 #facts-title { "Details" }
            dl #details.details {}
            (table("times", "Stages", &["Stage", "When", "#After the one before"]))
            ul #notes.notes {}
        }
    }
}

fn templates() -> Markup {
    html! {
        template #t-group {
            tr {
                th scope="row" { code data-is="code" {} }
                td data-is="field" {}
                td data-is="example" {}
                td.number data-is="errors" {}
                td.number data-is="rows" {}
                td data-is="ranges" {}
                td data-is="todo" {}
                td { button type="button" data-is="open" { "Show rows" } }
            }
        }
        template #t-cell {
            tr {
                th.number scope="row" data-is="row" {}
                td.number data-is="line" {}
                td data-is="key" {}
                td data-is="cell" {}
                td data-is="message" {}
            }
        }
        template #t-round {
            tr {
                th scope="row" { a data-is="link" {} }
                td { span.status data-is="status" {} }
                td.number data-is="created" {}
                td.number data-is="updated" {}
                td.number data-is="unchanged" {}
                td.number data-is="skipped" {}
                td.number data-is="failed" {}
                td { time data-is="when" {} }
            }
        }
    }
}
