//! Creating an import.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use penstock_engine::{kinds, mapping::Names, options, reading};
use penstock_model::{
    Failure, Format, Import, ImportId, ImportOptions, KindName, Mode, Schema, Scope, UnknownFormat,
    limits::UPLOAD_READERS,
};
use penstock_store::{Store, imports::Creation};
use serde::Deserialize;

use super::{
    again,
    body::{JsonBody, JsonShape},
    idempotency, view,
};
use crate::{
    api::Api,
    auth::{Caller, Create},
    intake,
    refusal::Refusal,
};

/// The body of `POST /v1/imports`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct ImportRequest {
    kind: Option<KindName>,
    from: Option<ImportId>,
    format: Option<String>,
    filename: Option<String>,
    size: Option<u64>,
    #[serde(default)]
    options: ImportOptions,
}

impl JsonShape for ImportRequest {
    const ARRAYS: &'static [&'static str] = &["/options/true_values", "/options/false_values"];
}

pub(super) async fn create(
    State(Api { store, work, .. }): State<Api>,
    caller: Caller<Create>,
    headers: HeaderMap,
    body: JsonBody<ImportRequest>,
) -> Result<Response, Refusal> {
    let idempotency = idempotency::read(&headers, &body.hash)?;
    let NewImport { kind, from, format, filename, size, options } = NewImport::check(body.value)?;
    if options.mode == Mode::Replace {
        caller.needs(Scope::RecordDelete)?;
    }
    let source = match &from {
        None => None,
        Some(from) => match (again::source(&store, &caller, from).await, &idempotency) {
            (Ok(found), _) => Some(found),
            // What the request made before is there whatever has become of the upload since.
            (Err(refusal), Some(idempotency)) => match store.made_before(&caller.account, idempotency).await? {
                Some(id) => return answer(&store, caller.import(&store, Some(&id)).await?).await,
                None => return Err(refusal),
            },
            (Err(refusal), None) => return Err(refusal),
        },
    };
    let kind = match (kind, &source) {
        (Some(kind), _) => kind,
        (None, Some((of, _))) => of.kind.clone(),
        (None, None) => kinds::DEFAULT.parse().expect("the default kind is a kind's name"),
    };
    let size = source.as_ref().and_then(|(of, _)| of.object.as_ref()).map_or(size, |object| Some(object.bytes));
    let Caller { account, by, .. } = caller;
    let found = store.kind(&account, &kind).await?;
    let no_kind = || Refusal::unprocessable("unknown_kind", format!("there is no kind `{kind}`"));
    let found = found.ok_or_else(no_kind)?;
    check_mapping(&found.schema, &options)?;
    if !options.reading.values().is_empty() {
        // It may have to be compiled.
        let _share = work.share(&account, 0).await?;
        if let Some(kind) = store.compiled_kind(&account, &kind, found.version).await? {
            kind.read_by(&options.reading).map_err(refused)?;
        }
    }
    intake::admit(&store, &account, size).await?;
    let import = intake::import(&store, &account, by, kind.clone(), filename, options);
    let import = Import { kind_version: found.version, format, ..import };
    let import = match source {
        Some((of, source)) => import.reading(source, &of),
        None => import,
    };
    let import = match store.create_import(&import, idempotency.as_ref()).await? {
        Creation::Created => {
            if import.from.is_some() {
                store.order_again(&import).await?;
            }
            import
        }
        Creation::NoUpload => return Err(again::gone()),
        Creation::UploadBusy => {
            let message = format!(
                "{UPLOAD_READERS} imports read this upload, the most that may at once; wait for one to end, or cancel one"
            );
            return Err(Refusal::conflict("upload_busy", message));
        }
        Creation::NoKind => return Err(no_kind()),
        Creation::NoPlace => return Err(intake::no_place(&store)),
        Creation::OtherRequest => return Err(idempotency::reused()),
        Creation::Repeated(id) => store.import(&account, &id).await?.ok_or_else(|| {
            Refusal::conflict("import_deleted", "the import that this Idempotency-Key made has been deleted")
        })?,
    };
    answer(&store, import).await
}

/// 201 with the import and, where it awaits its file, with the ways to upload that.
async fn answer(store: &Store, import: Import) -> Result<Response, Refusal> {
    // Relative to this request, so that it is right behind a stage too.
    let location = format!("imports/{}", import.id);
    let view = view::with_upload(store, import).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)).into_response())
}

/// A request that names a possible import. Whether its kind exists is still open.
struct NewImport {
    kind: Option<KindName>,
    from: Option<ImportId>,
    format: Option<Format>,
    filename: Option<String>,
    size: Option<u64>,
    options: ImportOptions,
}

impl NewImport {
    fn check(request: ImportRequest) -> Result<Self, Refusal> {
        let ImportRequest { kind, from, format, filename, size, options } = request;
        if from.is_some() && size.is_some() {
            let message = "`size` says how long a file is that is to be uploaded, and `from` names one that is stored: \
                           leave one of them out";
            return Err(Refusal::unprocessable("size_of_stored_file", message));
        }
        let unknown = |error: UnknownFormat| Refusal::unprocessable("unknown_format", error.to_string());
        let format = format.map(|word| word.parse().map_err(unknown)).transpose()?;
        size.map_or(Ok(()), reading::check_size).map_err(refused)?;
        let filename = filename.as_deref().map(intake::filename).transpose()?;
        options::check(&options).map_err(refused)?;
        Ok(Self { kind, from, format, filename, size, options })
    }
}

/// Refuses a mapping to a field that the kind does not have: it would fail every file.
fn check_mapping(schema: &Schema, options: &ImportOptions) -> Result<(), Refusal> {
    let fields = schema.fields.iter().map(|field| field.name.as_str());
    Names::new(&schema.name, fields, &options.mapping).check().map_err(refused)
}

/// The refusal of a request whose import would fail.
fn refused(failure: Failure) -> Refusal {
    Refusal::unprocessable(failure.code, failure.message)
}
