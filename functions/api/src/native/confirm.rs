//! Confirming: a replace that would remove too much, and a review.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use penstock_model::{Import, ImportId, views};
use penstock_store::{
    Store,
    review::{Moved, Reviewed},
};
use serde_json::json;

use super::{
    body::{JsonBody, JsonShape},
    removals, view,
};
use crate::{
    auth::{Caller, Confirm},
    intake,
    named::Named,
    refusal::Refusal,
};

impl JsonShape for views::Confirm {}

/// Confirms an import. Of a replace the answer is the import itself; of a review the one that applies it. A repeat
/// gives the same import as it is then.
pub(super) async fn confirm(
    State(store): State<Store>,
    caller: Caller<Confirm>,
    id: Named<ImportId>,
    body: JsonBody<views::Confirm>,
) -> Result<Response, Refusal> {
    let import = caller.import(&store, id.get()).await?;
    let import = match import.is_review() {
        true => review(&store, &caller, &import.id, body.value).await?,
        false => removals::confirm(&store, &caller, &import.id).await?,
    };
    let status = if import.status.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED };
    // Relative to this request, so that it is right behind a stage too.
    let location = format!("../{}", import.id);
    let view = view::shown(&store, import).await?;
    Ok((status, [(header::LOCATION, location)], Json(view)).into_response())
}

/// Confirms a review, has it leave what it held, and orders the split of the import that applies it. A death on the way
/// is made good by a repeat, or by the sweeper.
async fn review(
    store: &Store,
    caller: &Caller<Confirm>,
    id: &ImportId,
    views::Confirm { even_if_moved }: views::Confirm,
) -> Result<Import, Refusal> {
    let account = &caller.account;
    let confirmed = store.confirm_review(account, id, intake::new_id(store), &caller.by, even_if_moved).await?;
    let applies = match confirmed {
        Reviewed::As(applies) => applies,
        Reviewed::Moved(moved) => return Err(has_moved(&moved)),
        Reviewed::NotHeld => return Err(not_held()),
        Reviewed::GateTaken(other) => return Err(another_replace(&other)),
        Reviewed::Missing => return Err(Refusal::no_import()),
    };
    if let Some(review) = store.import(account, id).await? {
        store.leave_review(&review).await?;
    }
    let deleted = || Refusal::conflict("import_deleted", "the import that applied this review has been deleted");
    let import = store.import(account, &applies).await?.ok_or_else(deleted)?;
    store.order_applied(&import).await?;
    Ok(import)
}

/// 409: the import does not wait to be confirmed.
pub(super) fn not_held() -> Refusal {
    Refusal::conflict("not_held", "the import does not wait to be confirmed")
}

/// 409: a replace is at the gate of the kind.
pub(super) fn another_replace(other: &ImportId) -> Refusal {
    let message = format!("the import {other} replaces the records of this kind: confirm this one when that has ended");
    Refusal::conflict("another_replace", message).with(header::RETRY_AFTER, HeaderValue::from_static("5"))
}

/// 409 with those who may have changed the catalogue since the rows of a review began to be judged.
fn has_moved(Moved { imports, deletes, more }: &Moved) -> Refusal {
    let several = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let mut who = Vec::new();
    if let Some(last) = imports.last() {
        let named = if imports.len() == 1 { last.to_string() } else { format!("the last of them {last}") };
        who.push(format!("{} ({named})", several(imports.len() as u64, "import")));
    }
    for (count, what) in [(*deletes, "delete"), (*more, "later import or delete")] {
        if count > 0 {
            who.push(several(count, what));
        }
    }
    let message = format!(
        "the records of this kind may have changed since the rows were judged, by {}: review the file again, by `from`, \
         or confirm with `even_if_moved`",
        who.join(", ")
    );
    let imports = imports.iter().map(ToString::to_string).collect();
    let moved = views::Moved { imports, deletes: *deletes, more: *more };
    Refusal::conflict("moved", message).with_details(json!({ "moved": moved }))
}
