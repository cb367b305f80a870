//! Algure, `/v1/products`: an id by POST, a CSV by PUT.
//!
//! Settled here: `status` has the words of the native API. A row that changed nothing counts as updated, so that the
//! three totals add up. A quote is data, since the client in the document joins values and never quotes: every line is
//! a row.

#[cfg(test)]
mod contract;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
};
use penstock_model::{AccountId, Format, Import, ImportId, ImportOptions, Status, UTF_8, rfc3339};
use penstock_store::{
    Store, StoreError,
    imports::{Creation, Filter},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::shown::Counts;
#[cfg(test)]
use penstock_model::Scope;

#[cfg(test)]
use crate::contract::op;
use crate::{
    api::Api,
    auth::{Caller, Create, Read, Write},
    contract::{Served, routes},
    dialect::{Dialect, JSON, Limit, bundled_kind},
    intake,
    named::Named,
    page::Page,
    refusal::Refusal,
};

pub(crate) static DIALECT: Dialect = Dialect {
    name: "algure",
    bases: &["/v1/products"],
    kinds: Some(&[KIND]),
    rate_limits: &[],
    limits: &[Limit { name: "ALGURE_FEED_BYTES", value: FEED_BYTES, unit: "bytes" }],
    media_type: JSON,
    error,
    missing: Refusal::no_import,
};

pub(crate) static SERVED: Served = Served {
    dialect: &DIALECT,
    router,
    document: include_str!("../../../openapi/algure.json"),
    guide: include_str!("../../../openapi/guides/algure.html"),
    #[cfg(test)]
    contract: &contract::CONTRACT,
};

const KIND: &str = "algure-products";

/// Bytes of a feed, at most: "Upload size limit is 10 MB".
const FEED_BYTES: u64 = 10 * 1024 * 1024;

/// The media types of a feed.
const FEED_TYPES: [&str; 2] = ["text/csv", "text/plain"];

/// Imports on a page, unless the client sets a limit.
const PAGE_DEFAULT: usize = 10;

routes! {
    "/v1/products/import" => {
        post create => op("createImport", "Asks for an import: an id, to which a feed can be sent for 30 minutes.")
            .needs(Scope::ImportWrite)
            .answers_with(201, "The id.", "application/json", contract::created())
            .leads(201, &["getImport", "uploadFeed"], "id", "$response.body#/id")
            .refuses(429, &["too_many_bytes", "too_many_imports"]);
    }
    "/v1/products/import/{id}" => {
        get show => op("getImport", "Reads an import.")
            .needs(Scope::ImportRead)
            .answers_with(200, "The import.", "application/json", contract::import())
            .refuses(404, &["not_found"]);
        put upload => op("uploadFeed", "Sends the feed.")
            .needs(Scope::ImportWrite)
            .body(contract::feed())
            .done(201, "The feed is accepted and queued.")
            .refuses(404, &["not_found"])
            .refuses(409, &["already_uploaded", "import_cancelled"])
            .refuses(410, &["import_expired"])
            .refuses(415, &["unsupported_media_type"]);
    }
    "/v1/products/imports" => {
        get list => op("listImports", "Lists imports, the newest first.")
            .needs(Scope::ImportRead)
            .pages_of(PAGE_DEFAULT)
            .answers_with(200, "A page of them.", "application/json", contract::page())
            .leads(200, &["getImport"], "id", "$response.body#/imports/0/id")
            .leads(200, &["listImports"], "cursor", "$response.body#/nextCursor");
    }
}

fn error(refusal: &Refusal) -> Value {
    json!({ "error": { "code": refusal.code, "message": refusal.message } })
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    id: ImportId,
    expires_at: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    id: ImportId,
    created_at: String,
    expires_at: String,
    status: Status,
    total: Option<u64>,
    total_created: u64,
    total_updated: u64,
    total_errors: u64,
}

impl View {
    async fn new(store: &Store, import: Import) -> Result<Self, StoreError> {
        let counts = Counts::of(store, &import).await?;
        Ok(Self {
            created_at: rfc3339(import.created_at),
            expires_at: rfc3339(import.expires_at),
            status: import.status,
            total: counts.counted,
            total_created: counts.created,
            total_updated: counts.updated,
            total_errors: counts.failed,
            id: import.id,
        })
    }
}

/// A repeat creates another import.
async fn create(
    State(store): State<Store>,
    Caller { account, by, .. }: Caller<Create>,
) -> Result<(StatusCode, Json<Created>), Refusal> {
    // "Build a UTF-8 CSV string": nothing of a feed has to be detected.
    let options = ImportOptions {
        delimiter: Some(','),
        quoting: Some(false),
        encoding: Some(UTF_8.to_owned()),
        ..ImportOptions::default()
    };
    let import = intake::import(&store, &account, by, bundled_kind(KIND), None, options);
    let import = Import { format: Some(Format::Csv), ..import };
    intake::admit(&store, &account, None).await?;
    // What else it can come to does not here: the kind is bundled, the request has no key and names no stored upload.
    if matches!(store.create_import(&import, None).await?, Creation::NoPlace) {
        return Err(intake::no_place(&store));
    }
    Ok((StatusCode::CREATED, Json(Created { expires_at: rfc3339(import.expires_at), id: import.id })))
}

/// A repeat is refused with 409. The expiry of the import is checked when the request begins, as S3 checks the expiry
/// of a URL.
async fn upload(
    State(Api { store, bodies, .. }): State<Api>,
    Caller { account, .. }: Caller<Write>,
    id: Named<ImportId>,
    request: Request,
) -> Result<StatusCode, Refusal> {
    let import = awaiting(&store, &account, id.get(), request.headers()).await?;
    let limit = bodies.of(FEED_BYTES);
    limit.check(request.headers())?;
    let upload = store.upload(&account, &import.id, limit.bytes);
    intake::store_body(upload, limit, request.into_body()).await?;
    Ok(StatusCode::CREATED)
}

/// The import of this id, if it takes an upload with these headers now.
///
/// # Errors
/// 404, 409, 410 or 415.
pub(crate) async fn awaiting(
    store: &Store,
    account: &AccountId,
    id: Option<&ImportId>,
    headers: &HeaderMap,
) -> Result<Import, Refusal> {
    let import = DIALECT.find(store, account, id).await?;
    let expired = || Refusal::new(StatusCode::GONE, "import_expired", "this import has expired; create another one");
    match import.status {
        Status::Expired => return Err(expired()),
        Status::AwaitingUpload if store.now_ms() > import.expires_at => return Err(expired()),
        // What was dropped off is its file.
        Status::AwaitingUpload if import.inbox.is_some() => {
            return Err(Refusal::conflict("already_uploaded", "this import has been uploaded to"));
        }
        Status::AwaitingUpload => {}
        Status::Cancelled => return Err(Refusal::conflict("import_cancelled", "this import has been cancelled")),
        _ => return Err(Refusal::conflict("already_uploaded", "this import has been uploaded to")),
    }
    if FEED_TYPES.iter().any(|taken| media_type(headers).eq_ignore_ascii_case(taken)) {
        Ok(import)
    } else {
        Err(Refusal::unsupported_media_type("a feed is sent as text/csv or text/plain"))
    }
}

/// What API Gateway would not pass on as it came. It knows the media types of bytes as they are listed, and a body of
/// any other type is made UTF-8, whatever it was (Amazon API Gateway Developer Guide, "Content type conversions in API
/// Gateway"); that it compares them in any letter case is said nowhere.
///
/// # Errors
/// 415.
pub(crate) fn passes_as_bytes(headers: &HeaderMap) -> Result<(), Refusal> {
    if FEED_TYPES.contains(&media_type(headers)) {
        Ok(())
    } else {
        Err(Refusal::unsupported_media_type(
            "the type of a feed is written in small letters here: text/csv or text/plain",
        ))
    }
}

fn media_type(headers: &HeaderMap) -> &str {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim()
}

async fn show(State(store): State<Store>, caller: Caller<Read>, id: Named<ImportId>) -> Result<Json<View>, Refusal> {
    let import = caller.import(&store, id.get()).await?;
    Ok(Json(View::new(&store, import).await?))
}

async fn list(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Read>,
    page: Page,
) -> Result<Json<Value>, Refusal> {
    let filter = Filter { status: None, kinds: vec![bundled_kind(KIND)] };
    let (imports, next_cursor) = page.imports(&store, &account, &filter, PAGE_DEFAULT).await?;
    let mut views = Vec::with_capacity(imports.len());
    for import in imports {
        views.push(View::new(&store, import).await?);
    }
    Ok(Json(json!({ "imports": views, "nextCursor": next_cursor })))
}
