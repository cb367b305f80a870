//! What imports remove: lists of it, the confirmation of a replace, and the removal of every record of a kind.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use penstock_model::{
    Import, ImportId, ImportOptions, KindName, Mode, Scope, Stage, Status,
    limits::{PAGE_DEFAULT, RECORD_PAGE_BYTES},
    replace::Everything,
    views::{Removal, RemovalPage},
};
use penstock_store::{
    Store,
    imports::Creation,
    replace::{Confirmation, Pass},
};
use serde::Deserialize;

use super::{
    body::{JsonBody, JsonShape},
    confirm, view,
};
use crate::{
    auth::{Caller, Confirm, DeleteRecord, Read},
    intake,
    named::Named,
    page::{self, Page, invalid_cursor},
    refusal::Refusal,
};

/// The body of `DELETE /v1/records/{kind}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RemoveAllRequest {
    /// The kind once more.
    kind: Option<String>,
    /// How many records there are.
    count: Option<u64>,
}

impl JsonShape for RemoveAllRequest {}

/// The list that an import has at this moment; `None` where there is none yet.
fn pass(import: &Import) -> Option<Option<Pass>> {
    match import.stage() {
        _ if !import.is_replace() => Some(None),
        Stage::AwaitingUpload | Stage::Waiting | Stage::Splitting | Stage::Applying => None,
        Stage::Held | Stage::Confirmed | Stage::Removing => Some(Some(Pass::Count)),
        Stage::Expired | Stage::Halting => Some(None),
        Stage::Ended => Some(import.removed.map(|_| Pass::Remove)),
    }
}

/// The keys of the records that would go, and once the import has ended of those that went, in the order of their
/// shards.
pub(super) async fn list(
    State(store): State<Store>,
    caller: Caller<Read>,
    id: Named<ImportId>,
    page: Page,
) -> Result<Json<RemovalPage>, Refusal> {
    let limit = page.limit(PAGE_DEFAULT)?;
    let from = match &page.cursor {
        None => Place::default(),
        Some(cursor) => page::numbers(cursor).and_then(Place::of).ok_or_else(invalid_cursor)?,
    };
    let import = caller.import(&store, id.get()).await?;
    let pass = pass(&import).ok_or_else(|| {
        Refusal::conflict("not_ready", "what goes is known when all rows are accounted for and the records are counted")
            .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
    })?;
    let (removals, next) = match pass {
        None => (Vec::new(), None),
        Some(pass) => read(&store, &import, pass, from, limit).await?,
    };
    let next_cursor = next.map(|at| format!("{}.{}.{}", at.shard, at.part, at.index));
    Ok(Json(RemovalPage { removals, next_cursor }))
}

/// Where a page of the list begins.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    shard: u8,
    part: u32,
    index: usize,
}

impl Place {
    fn of([shard, part, index]: [u32; 3]) -> Option<Self> {
        Some(Self { shard: shard.try_into().ok()?, part, index: index as usize })
    }
}

async fn read(
    store: &Store,
    import: &Import,
    pass: Pass,
    from: Place,
    limit: usize,
) -> Result<(Vec<Removal>, Option<Place>), Refusal> {
    let (mut keys, mut bytes) = (Vec::new(), 0);
    for (shard, tally) in store.shard_tallies(&import.id, pass).await?.range(from.shard..) {
        let is_first = *shard == from.shard;
        for part in if is_first { from.part } else { 0 }..tally.parts {
            let skipped = if is_first && part == from.part { from.index } else { 0 };
            let found = store.listed_keys(&import.id, *shard, &tally.run, part).await?;
            for (index, key) in found.into_iter().enumerate().skip(skipped) {
                bytes += key.len();
                if keys.len() == limit || (!keys.is_empty() && bytes > RECORD_PAGE_BYTES) {
                    return Ok((keys, Some(Place { shard: *shard, part, index })));
                }
                keys.push(Removal { key });
            }
        }
    }
    Ok((keys, None))
}

/// Confirms what a held replace removes. A repeat gives the import as it is then.
pub(super) async fn confirm(store: &Store, caller: &Caller<Confirm>, id: &ImportId) -> Result<Import, Refusal> {
    caller.needs(Scope::RecordDelete)?;
    match store.confirm(&caller.account, id, &caller.by).await? {
        Confirmation::Confirmed => {}
        Confirmation::Missing => return Err(Refusal::no_import()),
        Confirmation::NotHeld => {
            return Err(confirm::not_held());
        }
        Confirmation::GateTaken(other) => return Err(confirm::another_replace(&other)),
    }
    store.settle(&caller.account, id).await?.ok_or_else(Refusal::no_import)
}

/// Orders the removal of every record of a kind: an import without a file, by the rules of a replace. It removes at
/// once where the body names how many records there are, and else waits to be confirmed. A repeat orders another one,
/// which waits for this one.
pub(super) async fn remove_all(
    State(store): State<Store>,
    caller: Caller<DeleteRecord>,
    kind: Named<KindName>,
    body: JsonBody<RemoveAllRequest>,
) -> Result<Response, Refusal> {
    let Caller { account, by, .. } = caller;
    let no_kind = || Refusal::not_found("there is no such kind");
    let kind = kind.get().ok_or_else(no_kind)?;
    let found = store.kind(&account, kind).await?.ok_or_else(no_kind)?;
    let RemoveAllRequest { kind: named, count } = body.value;
    if named.as_deref() != Some(kind.as_str()) {
        let message = format!("this removes every record of the kind `{kind}`: name it in the body, as `kind`");
        return Err(Refusal::unprocessable("unconfirmed", message));
    }
    let options = ImportOptions { mode: Mode::Replace, ..ImportOptions::default() };
    let order = intake::import(&store, &account, by, kind.clone(), None, options);
    let order = Import {
        kind_version: found.version,
        expires_at: order.created_at,
        everything: Some(Everything { count }),
        // It is accepted in the next step, or where that is lost by the sweeper.
        status: Status::Processing,
        waiting_for: Some(order.id.clone()),
        ..order
    };
    match store.create_import(&order, None).await? {
        Creation::Created => {}
        Creation::NoPlace => return Err(intake::no_place(&store)),
        Creation::NoKind => return Err(no_kind()),
        // It has no key, reads nothing and corrects nothing.
        Creation::Repeated(_)
        | Creation::OtherRequest
        | Creation::NoUpload
        | Creation::UploadBusy
        | Creation::NotCorrected(_) => return Err(Refusal::internal()),
    }
    store.accept_everything(&account, &order.id).await?;
    let import = store.settle(&account, &order.id).await?.ok_or_else(Refusal::no_import)?;
    // Relative to this request, so that it is right behind a stage too.
    let location = format!("../imports/{}", import.id);
    let view = view::shown(&store, import).await?;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(view)).into_response())
}
