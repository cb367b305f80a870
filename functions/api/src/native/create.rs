//! Creating an import.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use penstock_engine::{kinds, mapping::Names, options, reading};
use penstock_model::{
    AccountId, Failure, Format, Import, ImportId, ImportOptions, KindName, Mode, Preset, PresetName, Schema, Scope,
    UnknownFormat, WebhookId,
    limits::{self, UPLOAD_READERS},
};
use penstock_store::{
    Store,
    imports::{Creation, Idempotency},
    kinds::KindVersion,
};
use serde::Deserialize;

use super::{
    again,
    body::{JsonBody, JsonShape},
    idempotency, story, view,
};
use crate::{
    api::Api,
    auth::{Caller, Create},
    intake,
    refusal::Refusal,
    work::Work,
};

/// The body of `POST /v1/imports`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct ImportRequest {
    kind: Option<KindName>,
    from: Option<ImportId>,
    corrects: Option<ImportId>,
    preset: Option<PresetName>,
    format: Option<String>,
    filename: Option<String>,
    size: Option<u64>,
    #[serde(default)]
    options: ImportOptions,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    webhook: Option<WebhookId>,
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
    let mut request = body.value;
    if let Some(name) = &request.preset {
        let named = body.plain["options"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        match with_preset(&store, &caller.account, name, &request.options, &named).await {
            Ok((preset, options)) => {
                (request.kind, request.options) = (request.kind.or(Some(preset.kind)), options);
            }
            Err(refusal) => return made_before(&store, &caller, idempotency.as_ref(), refusal).await,
        }
    }
    let preset = request.preset.clone();
    let NewImport { kind, from, corrects, format, filename, size, options, metadata, webhook } =
        NewImport::check(request)?;
    if options.mode == Mode::Replace {
        caller.needs(Scope::RecordDelete)?;
    }
    let source = match &from {
        None => None,
        Some(from) => match again::source(&store, &caller, from).await {
            Ok(found) => Some(found),
            Err(refusal) => return made_before(&store, &caller, idempotency.as_ref(), refusal).await,
        },
    };
    let corrected = match &corrects {
        None => None,
        Some(id) => match story::corrected(&store, &caller, id).await {
            Ok(found) => Some(found),
            Err(refusal) => return made_before(&store, &caller, idempotency.as_ref(), refusal).await,
        },
    };
    let of_other = corrected.as_ref().or(source.as_ref().map(|(of, _)| of)).map(|of| of.kind.clone());
    let default = || -> KindName { kinds::DEFAULT.parse().expect("the default kind is a kind's name") };
    let kind = kind.or(of_other).unwrap_or_else(default);
    let size = source.as_ref().and_then(|(of, _)| of.object.as_ref()).map_or(size, |object| Some(object.bytes));
    let account = caller.account.clone();
    let found = check_with_kind(&store, &work, &account, &kind, &options).await?;
    if let Some(id) = &webhook
        && store.webhook(&account, id).await?.is_none()
    {
        let message = format!("`webhook`: the account has no webhook {id}");
        let refusal = Refusal::unprocessable("unknown_webhook", message);
        return made_before(&store, &caller, idempotency.as_ref(), refusal).await;
    }
    intake::admit(&store, &account, size).await?;
    let import = intake::import(&store, &account, caller.by.clone(), kind.clone(), filename, options);
    let import = Import { kind_version: found.version, format, preset, metadata, webhook, ..import };
    let import = match source {
        Some((of, source)) => import.reading(source, &of),
        // Its file may be uploaded for as long as a URL for it works.
        None => Import { expires_at: import.expires_at.min(store.uploads_until().await?), ..import },
    };
    let import = match &corrected {
        Some(of) => import.correcting(of),
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
        Creation::NotCorrected(why) => {
            let of = corrects.as_ref().unwrap_or(&import.id);
            return made_before(&store, &caller, idempotency.as_ref(), story::refusal(why, of)).await;
        }
        Creation::NoKind => return Err(no_kind(&kind)),
        Creation::NoPlace => return Err(intake::no_place(&store)),
        Creation::OtherRequest => return Err(idempotency::reused()),
        Creation::Repeated(id) => store.import(&account, &id).await?.ok_or_else(|| {
            Refusal::conflict("import_deleted", "the import that this Idempotency-Key made has been deleted")
        })?,
    };
    answer(&store, import).await
}

/// The answer of a request that cannot make its import now: what the same request has made before is there, whatever
/// has become since of the imports that it names.
///
/// # Errors
/// Why not, where it has made none.
async fn made_before(
    store: &Store,
    caller: &Caller<Create>,
    idempotency: Option<&Idempotency>,
    refusal: Refusal,
) -> Result<Response, Refusal> {
    let Some(idempotency) = idempotency else { return Err(refusal) };
    match store.made_before(&caller.account, idempotency).await? {
        Some(id) => answer(store, caller.import(store, Some(&id)).await?).await,
        None => Err(refusal),
    }
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
    corrects: Option<ImportId>,
    format: Option<Format>,
    filename: Option<String>,
    size: Option<u64>,
    options: ImportOptions,
    metadata: BTreeMap<String, String>,
    webhook: Option<WebhookId>,
}

impl NewImport {
    fn check(request: ImportRequest) -> Result<Self, Refusal> {
        let ImportRequest { kind, from, corrects, preset: _, format, filename, size, options, metadata, webhook } =
            request;
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
        if corrects.is_some() {
            story::check(&options)?;
        }
        check_metadata(&metadata)?;
        Ok(Self { kind, from, corrects, format, filename, size, options, metadata, webhook })
    }
}

/// Refuses a mapping to a field that the kind does not have: it would fail every file.
pub(super) fn check_mapping(schema: &Schema, options: &ImportOptions) -> Result<(), Refusal> {
    let fields = schema.fields.iter().map(|field| field.name.as_str());
    Names::new(&schema.name, fields, &options.mapping).check().map_err(refused)
}

/// Refuses metadata that is out of bounds: its events would carry it.
fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let invalid = |detail| Err(Refusal::unprocessable("invalid_metadata", detail));
    let (entries, most) = (metadata.len(), limits::METADATA_KEYS);
    if entries > most {
        return invalid(format!("`metadata` has {entries} entries, the limit is {most}"));
    }
    for (name, value) in metadata {
        let (chars, most) = (name.chars().count(), limits::METADATA_KEY_CHARS);
        if !(1..=most).contains(&chars) {
            return invalid(format!("`metadata`: a name has {chars} characters; it has 1 to {most}"));
        }
        let (chars, most) = (value.chars().count(), limits::METADATA_VALUE_CHARS);
        if chars > most {
            return invalid(format!("`metadata`: the value of `{name}` has {chars} characters, the limit is {most}"));
        }
    }
    Ok(())
}

/// 422 for the kind of an import or a preset, which there is not.
fn no_kind(kind: &KindName) -> Refusal {
    Refusal::unprocessable("unknown_kind", format!("there is no kind `{kind}`"))
}

/// Refuses options under which every file of a kind would fail.
pub(super) async fn check_with_kind(
    store: &Store,
    work: &Work,
    account: &AccountId,
    kind: &KindName,
    options: &ImportOptions,
) -> Result<KindVersion, Refusal> {
    let found = store.kind(account, kind).await?.ok_or_else(|| no_kind(kind))?;
    check_mapping(&found.schema, options)?;
    if !options.reading.values().is_empty() {
        // It may have to be compiled.
        let _share = work.share(account, 0).await?;
        if let Some(kind) = store.compiled_kind(account, kind, found.version).await? {
            kind.read_by(&options.reading).map_err(refused)?;
        }
    }
    Ok(found)
}

/// The preset of an import that names one, and its options with those that the request names in their place.
///
/// # Errors
/// 422 where there is no such preset.
async fn with_preset(
    store: &Store,
    account: &AccountId,
    name: &PresetName,
    options: &ImportOptions,
    named: &BTreeSet<String>,
) -> Result<(Preset, ImportOptions), Refusal> {
    let message = || format!("there is no preset `{name}`: GET /v1/presets lists those that there are");
    let preset = store.preset(account, name).await?;
    let preset = preset.ok_or_else(|| Refusal::unprocessable("unknown_preset", message()))?;
    let options = options.over(&preset.options, named);
    Ok((preset, options))
}

/// The refusal of a request whose import would fail.
pub(super) fn refused(failure: Failure) -> Refusal {
    Refusal::unprocessable(failure.code, failure.message)
}
