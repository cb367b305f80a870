//! Who may ask, and who is told: signing in, API keys, webhooks.

use maud::{Markup, html};
use penstock_model::{EventType, Scope};

use super::{pager, table};

pub(super) fn sign_in() -> Markup {
    html! {
        h1 { "Sign in" }
        form #sign-in {
            div {
                label for="key" { "API key" }
                input #key type="password" required autocomplete="off" spellcheck="false"
                    aria-describedby="key-hint";
            }
            p #key-hint.hint { "It reads " code { "<id>.<secret>" } ". It is kept for this tab until you sign out or close \
                it, and is sent to this API alone." }
            div.actions { button.primary type="submit" { "Sign in" } }
        }
        p.hint { "Who has none asks whoever runs this Penstock: " code { "penstock keys create" } " makes one, and so does \
                  the page API keys." }
    }
}

/// What a key with a scope may do.
fn allows(scope: Scope) -> &'static str {
    match scope {
        Scope::ImportRead => "read imports, errors, kinds and records; preview; export",
        Scope::ImportWrite => "create, upload to and cancel imports; register kinds",
        Scope::ImportDelete => "delete imports that have ended; delete kinds",
        Scope::RecordDelete => "delete records; create a replace",
        Scope::ImportConfirm => "confirm what a review has judged, and what an import removes",
        Scope::AccountWrite => "manage webhooks",
        Scope::Admin => "manage the keys of every account: the operator's",
    }
}

pub(super) fn keys() -> Markup {
    html! {
        h1 { "API keys" }
        form #account.bar aria-label="Account" {
            div {
                label for="account-name" { "Account" }
                input #account-name name="account" autocomplete="off" spellcheck="false" placeholder="this key's own";
            }
            div.actions { button type="submit" { "Show" } }
        }
        (table("list", "API keys", &["Key", "Label", "Scopes", "Created", "Last used", "State", ""]))
        section aria-labelledby="make-title" {
            h2 #make-title { "New key" }
            p #list-none hidden { "This account has no key yet. Make one here." }
            form #make {
                div.bar { div { label for="label" { "Label" } input #label maxlength="255" autocomplete="off"; } }
                fieldset {
                    legend { "Scopes" }
                    @for scope in Scope::ALL {
                        (choice("scope", scope.as_str(), Some(allows(scope))))
                    }
                }
                div.actions { button.primary type="submit" { "Create the key" } }
            }
        }
        (secret("The key is made", "Key"))
        template #t-key {
            tr {
                th scope="row" { code data-is="id" {} }
                td data-is="label" {}
                td data-is="scopes" {}
                td { time data-is="created" {} }
                td { time data-is="used" {} }
                td data-is="state" {}
                td { button type="button" data-is="revoke" { "Revoke" } }
            }
        }
    }
}

/// One of several words that can be chosen, and what it is.
fn choice(name: &str, word: &str, about: Option<&str>) -> Markup {
    let id = format!("{name}-{}", word.replace([':', '.'], "-"));
    html! {
        div.choice {
            input type="checkbox" name=(name) id=(id) value=(word);
            label for=(id) {
                code { (word) }
                @if let Some(about) = about { " " (about) }
            }
        }
    }
}

/// A secret that is shown once.
fn secret(title: &str, label: &str) -> Markup {
    html! {
        dialog #once aria-labelledby="once-title" {
            h2 #once-title { (title) }
            p { "It is shown this once. Copy it now, and keep it where secrets are kept." }
            label for="secret" { (label) }
            input #secret readonly autocomplete="off" spellcheck="false";
            div.actions {
                button #copy.primary type="button" { "Copy" }
                button #close-once type="button" { "Close" }
            }
            p #copied role="status" {}
        }
    }
}

pub(super) fn webhooks() -> Markup {
    html! {
        h1 { "Webhooks" }
        p { "An endpoint is told what happens to imports and exports." }
        p #list-none hidden { "No endpoint yet. " a href="#make" { "Make one" } "." }
        (table("list", "Endpoints", &["URL", "Events", "State", "Created", "Description"]))
        section #one hidden aria-labelledby="one-title" {
            h2 #one-title tabindex="-1" {}
            dl #details.details {}
            div.actions {
                button #test type="button" { "Send a test event" }
                button #toggle type="button" { "Disable" }
                button #rotate type="button" { "Make a new secret" }
                button #delete type="button" { "Delete the endpoint" }
            }
            (table("deliveries", "Deliveries of the last 30 days, the newest first", &[
                "Event", "When", "State", "Last attempt", "#Attempts", "",
            ]))
            p #deliveries-none hidden { "No delivery yet. Send a test event." }
            (pager())
        }
        section aria-labelledby="make-title" {
            h2 #make-title { "New endpoint" }
            form #make {
                div.bar {
                    div { label for="url" { "URL" } input #url type="url" required size="40" autocomplete="off"; }
                    div { label for="description" { "Description" } input #description maxlength="255"; }
                }
                fieldset {
                    legend { "Events (all if none is chosen)" }
                    @for event in EventType::ALL.into_iter().filter(|event| event.is_for_webhooks()) {
                        (choice("event", event.as_str(), None))
                    }
                }
                div.actions { button.primary type="submit" { "Make the endpoint" } }
            }
        }
        (secret("The endpoint's secret", "Secret"))
        template #t-webhook {
            tr {
                th scope="row" { a data-is="url" {} }
                td data-is="events" {}
                td data-is="state" {}
                td { time data-is="created" {} }
                td data-is="description" {}
            }
        }
        template #t-delivery {
            tr {
                th scope="row" data-is="event" {}
                td { time data-is="when" {} }
                td data-is="state" {}
                td data-is="last" {}
                td.number data-is="attempts" {}
                td { button type="button" data-is="resend" { "Send again" } }
            }
        }
    }
}
