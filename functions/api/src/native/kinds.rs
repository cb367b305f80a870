//! Kinds: the bundled kinds, and the kinds that an account registers.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection, rejection::PathRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use penstock_engine::{
    kind::{Kind, SchemaError},
    kinds,
};
use penstock_model::{
    AccountId, KindName, Schema, limits,
    views::{KindLine, KindList, VersionList},
};
use penstock_store::{
    Store,
    kinds::{KindEntry, KindVersion, Registration},
    uses::Removal,
};
use serde_json::json;

use crate::{
    api::Api,
    auth::{Caller, Delete, Read, Write},
    intake,
    named::Named,
    page::{Page, invalid_cursor},
    refusal::Refusal,
};

/// One line of the list of kinds: of a version of an account's own kind, or with 0 of a bundled one.
fn line(version: u32, schema: &Schema) -> KindLine {
    let version = Some(version).filter(|version| *version > 0);
    KindLine { name: schema.name.to_string(), title: schema.title.clone(), version }
}

fn own_line(KindEntry { name, version, title }: KindEntry) -> KindLine {
    KindLine { name: name.to_string(), version: Some(version), title }
}

/// `GET /v1/kinds`: the bundled kinds, then the account's own by name, by page.
pub(super) async fn list(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Read>,
    page: Page,
) -> Result<Json<KindList>, Refusal> {
    let limit = page.limit(limits::PAGE_DEFAULT)?;
    let after: Option<KindName> =
        page.cursor.as_ref().map(|cursor| cursor.parse()).transpose().map_err(|_| invalid_cursor())?;
    let of_bundled = after.as_ref().map(|after| kinds::all().iter().position(|schema| schema.name == *after));
    let (bundled, after) = match of_bundled {
        None => (kinds::all(), None),
        Some(Some(at)) => (&kinds::all()[at + 1..], None),
        Some(None) => (&[][..], after),
    };
    // One more tells whether there is another page.
    let mut lines: Vec<KindLine> = bundled.iter().take(limit + 1).map(|schema| line(0, schema)).collect();
    if lines.len() <= limit {
        let own = store.list_kinds(&account, after.as_ref(), limit + 1 - lines.len()).await?;
        lines.extend(own.into_iter().map(own_line));
    }
    let more = lines.len() > limit;
    lines.truncate(limit);
    let next_cursor = lines.last().filter(|_| more).map(|line| line.name.clone());
    Ok(Json(KindList { kinds: lines, next_cursor }))
}

/// `GET /v1/kinds/{kind}/versions`: the versions of an account's own kind, newest first, by page.
pub(super) async fn versions(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Read>,
    name: Named<KindName>,
    page: Page,
) -> Result<Json<VersionList>, Refusal> {
    let limit = page.limit(limits::PAGE_DEFAULT)?;
    let before: Option<u32> =
        page.cursor.as_ref().map(|cursor| cursor.parse()).transpose().map_err(|_| invalid_cursor())?;
    let kind = find(&store, &account, &name).await?;
    let mut found = match kind.version {
        0 => Vec::new(),
        _ => store.list_kind_versions(&account, &kind.schema.name, before, limit + 1).await?,
    };
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|entry| entry.version.to_string());
    let versions: Vec<KindLine> = found.into_iter().map(own_line).collect();
    Ok(Json(VersionList { versions, next_cursor }))
}

/// `GET /v1/kinds/{kind}/versions/{version}`: the schema of a version, as it was registered.
pub(super) async fn show_version(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Read>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Refusal> {
    let (kind, version) = version_in(path)?;
    let found = store.kind_version(&account, &kind, version).await?;
    Ok(document(found.ok_or_else(no_version)?))
}

/// `DELETE /v1/kinds/{kind}`: removes an account's own kind with all its versions, unless an import of it is
/// unfinished or there are records of it. A repeat finds no kind.
pub(super) async fn delete(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Delete>,
    name: Named<KindName>,
) -> Result<StatusCode, Refusal> {
    let missing = || Refusal::not_found("there is no such kind");
    let name = name.get().ok_or_else(missing)?;
    let removal = match kinds::bundled(name) {
        Some(_) => return Err(Refusal::conflict("bundled_kind", format!("`{name}` is a bundled kind, which stays"))),
        None => store.delete_kind(&account, name).await?,
    };
    removed(removal, name, missing)
}

/// `DELETE /v1/kinds/{kind}/versions/{version}`: removes an older version of an account's own kind, unless an import of
/// it is unfinished. A repeat finds no version.
pub(super) async fn delete_version(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Delete>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<StatusCode, Refusal> {
    let (kind, version) = version_in(path)?;
    removed(store.delete_kind_version(&account, &kind, version).await?, &kind, no_version)
}

fn removed(removal: Removal, kind: &KindName, missing: impl FnOnce() -> Refusal) -> Result<StatusCode, Refusal> {
    match removal {
        Removal::Removed => Ok(StatusCode::NO_CONTENT),
        Removal::Missing => Err(missing()),
        Removal::Newest => Err(Refusal::conflict(
            "newest_version",
            format!("it is the newest version of `{kind}`: register another one first, or delete the kind"),
        )),
        Removal::InUse => Err(Refusal::conflict(
            "kind_in_use",
            format!("imports of `{kind}` are unfinished, or were a moment ago: wait for their end, or cancel them"),
        )),
        Removal::HasRecords => Err(Refusal::conflict(
            "kind_has_records",
            format!(
                "there are records of `{kind}`: delete them first, all by `DELETE /v1/records/{kind}`, or some by \
                 `POST /v1/records/{kind}/delete`"
            ),
        )),
        Removal::Unfinished => Err(Refusal::conflict(
            "kind_not_looked_through",
            format!(
                "no record of `{kind}` was found yet, and what is left of deleted ones is not looked through: repeat \
                 the request, which goes on where this one ended"
            ),
        )
        .with(header::RETRY_AFTER, HeaderValue::from_static("1"))),
    }
}

fn no_version() -> Refusal {
    Refusal::not_found("there is no such version of such a kind")
}

/// The kind and the version that a path names.
fn version_in(path: Result<Path<(String, String)>, PathRejection>) -> Result<(KindName, u32), Refusal> {
    let Path((kind, version)) = path.map_err(|_| no_version())?;
    let version = version.parse().ok().filter(|version| *version > 0);
    Ok((kind.parse().map_err(|_| no_version())?, version.ok_or_else(no_version)?))
}

/// The document of a kind, as it was registered.
fn document(kind: KindVersion) -> Response {
    let headers = [
        ("penstock-kind-version", kind.version.to_string()),
        (header::CONTENT_TYPE.as_str(), "application/json".to_owned()),
    ];
    (headers, kind.document.to_string()).into_response()
}

/// `GET /v1/kinds/{kind}`: its schema, in the newest version, as it was registered.
pub(super) async fn show(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Read>,
    name: Named<KindName>,
) -> Result<Response, Refusal> {
    Ok(document(find(&store, &account, &name).await?))
}

/// `GET /v1/kinds/{kind}/template.csv`: the header of a file, with a column for each field.
pub(super) async fn template(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Read>,
    name: Named<KindName>,
) -> Result<Response, Refusal> {
    let kind = find(&store, &account, &name).await?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = kind.schema.fields.iter().map(|field| field.name.as_str());
    writer.write_record(header).expect("writing to memory succeeds");
    let file = writer.into_inner().expect("writing to memory succeeds");
    let disposition = format!("attachment; filename=\"{}.csv\"", kind.schema.name);
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, file).into_response())
}

/// `PUT /v1/kinds/{kind}`: registers the schema in the body as the account's kind of this name. Imports keep the
/// version that they were created with. A repeat of the newest version makes no new one. The path names a schema that
/// does not name itself.
pub(super) async fn put(
    State(Api { store, work, .. }): State<Api>,
    Caller { account, .. }: Caller<Write>,
    name: Named<KindName>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let body = intake::bytes(body, || format!("the schema is larger than {} bytes", limits::REQUEST_BYTES))?;
    let invalid_name = || Refusal::unprocessable("invalid_kind_name", KIND_NAME);
    let name = name.get().ok_or_else(invalid_name)?;
    if kinds::bundled(name).is_some() {
        return Err(Refusal::conflict(
            "bundled_kind",
            format!("`{name}` is a bundled kind; register yours under another name"),
        ));
    }
    let (of, called, sent) = (account.clone(), name.clone(), body.clone());
    let schema = work.run(&account, move || check(&sent, &called, &of)).await?.map_err(invalid_schema)?;
    // It has been parsed, so it is text.
    let document = String::from_utf8_lossy(&body);
    let document = document.trim_start_matches('\u{feff}');
    let (version, is_first) = match store.put_kind(&account, &schema, document).await? {
        Registration::Version { version, is_first } => (version, is_first),
        Registration::TooManyKinds => {
            let most = limits::ACCOUNT_KINDS;
            let message = format!("the account has {most} kinds, the limit: delete one that is not in use");
            return Err(Refusal::conflict("too_many_kinds", message));
        }
        Registration::TooManyVersions => {
            let most = limits::KIND_VERSIONS;
            let message = format!("`{name}` has {most} versions, the limit: delete those that are not in use");
            return Err(Refusal::conflict("too_many_versions", message));
        }
    };
    let status = if is_first { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(line(version, &schema))).into_response())
}

/// The schema in a document, of which a kind of this name is made. It takes a while: its patterns are compiled, and
/// their automata counted.
fn check(document: &[u8], name: &KindName, account: &AccountId) -> Result<Schema, SchemaError> {
    let schema = Kind::parse_as(document, name)?;
    if schema.name != *name {
        let message = format!("the schema is called `{}`, the path says `{name}`", schema.name);
        return Err(SchemaError { pointer: "/name".to_owned(), message });
    }
    Kind::register(&schema, account)?;
    Ok(schema)
}

/// The rule for the name of a kind.
const KIND_NAME: &str = "a kind's name is 1 to 64 of a-z, 0-9 and -";

fn invalid_schema(error: SchemaError) -> Refusal {
    let place = if error.pointer.is_empty() { "the document".to_owned() } else { format!("`{}`", error.pointer) };
    Refusal::unprocessable("invalid_schema", format!("{place}: {}", error.message))
        .with_details(json!({ "pointer": error.pointer }))
}

/// The kind of this name, in its newest version.
///
/// # Errors
/// 404.
pub(super) async fn find(store: &Store, account: &AccountId, name: &Named<KindName>) -> Result<KindVersion, Refusal> {
    let missing = || Refusal::not_found("there is no such kind");
    store.kind(account, name.get().ok_or_else(missing)?).await?.ok_or_else(missing)
}
