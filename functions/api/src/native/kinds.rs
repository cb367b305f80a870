//! Kinds: the bundled kinds, and the kinds that an account registers.

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use penstock_engine::{
    kind::{Kind, SchemaError},
    kinds,
};
use penstock_model::{AccountId, KindName, Schema, limits};
use penstock_store::{
    Store,
    kinds::{KindVersion, Registration},
};
use serde::Serialize;
use serde_json::json;

use crate::{
    auth::{Caller, Read, Write},
    intake,
    named::Named,
    refusal::Refusal,
};

/// One line of the list of kinds.
#[derive(Debug, Serialize)]
struct KindLine {
    name: KindName,
    title: String,
    /// The newest version of an account's own kind; `null` for a bundled one.
    version: Option<u32>,
}

impl KindLine {
    fn new(version: u32, schema: &Schema) -> Self {
        let version = Some(version).filter(|version| *version > 0);
        Self { name: schema.name.clone(), title: schema.title.clone(), version }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct KindList {
    kinds: Vec<KindLine>,
}

/// `GET /v1/kinds`: the bundled kinds, then the account's own by name.
pub(super) async fn list(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Read>,
) -> Result<Json<KindList>, Refusal> {
    let mut lines: Vec<KindLine> = kinds::all().iter().map(|schema| KindLine::new(0, schema)).collect();
    lines.extend(store.kinds(&account).await?.iter().map(|kind| KindLine::new(kind.version, &kind.schema)));
    Ok(Json(KindList { kinds: lines }))
}

/// `GET /v1/kinds/{kind}`: its schema, in the newest version, as it was registered.
pub(super) async fn show(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Read>,
    name: Named<KindName>,
) -> Result<Response, Refusal> {
    let kind = find(&store, &account, &name).await?;
    let headers = [
        ("penstock-kind-version", kind.version.to_string()),
        (header::CONTENT_TYPE.as_str(), "application/json".to_owned()),
    ];
    Ok((headers, kind.document.to_string()).into_response())
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

/// `PUT /v1/kinds/{kind}`: registers the schema in the body as the account's kind of this name. Imports keep the version that they were
/// created with. A repeat of the newest version makes no new one. The path names a schema that does not name itself.
pub(super) async fn put(
    State(store): State<Store>,
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
    let schema = Kind::parse_as(&body, name).map_err(invalid_schema)?;
    if schema.name != *name {
        let message = format!("the schema is called `{}`, the path says `{name}`", schema.name);
        return Err(invalid_schema(SchemaError { pointer: "/name".to_owned(), message }));
    }
    Kind::compile(&schema, &account).map_err(invalid_schema)?;
    // It has been parsed, so it is text.
    let document = String::from_utf8_lossy(&body);
    let document = document.trim_start_matches('\u{feff}');
    let version = match store.put_kind(&account, &schema, document).await? {
        Registration::Version(version) => version,
        Registration::TooManyKinds => {
            let message = format!("the account has {} kinds, the most there may be", limits::ACCOUNT_KINDS);
            return Err(Refusal::conflict("too_many_kinds", message));
        }
        Registration::TooManyVersions => {
            let message = format!("`{name}` has {} versions, the most there may be", limits::KIND_VERSIONS);
            return Err(Refusal::conflict("too_many_versions", message));
        }
    };
    let status = if version == 1 { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(KindLine::new(version, &schema))).into_response())
}

/// The rule for the name of a kind.
const KIND_NAME: &str = "a kind's name is 1 to 64 of a-z, 0-9 and -";

fn invalid_schema(error: SchemaError) -> Refusal {
    let place = if error.pointer.is_empty() { "the document".to_owned() } else { format!("`{}`", error.pointer) };
    Refusal::unprocessable("invalid_schema", format!("{place}: {}", error.message))
        .with_details(json!({ "pointer": error.pointer }))
}

async fn find(store: &Store, account: &AccountId, name: &Named<KindName>) -> Result<KindVersion, Refusal> {
    let missing = || Refusal::not_found("there is no such kind");
    store.kind(account, name.get().ok_or_else(missing)?).await?.ok_or_else(missing)
}
