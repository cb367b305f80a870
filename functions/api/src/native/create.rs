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
    let import = match make(&store, &work, &caller, body, idempotency.as_ref()).await {
        Ok(import) => import,
        // What the same request has made before is there, whatever has become since of the preset, the kind and the
        // imports that it names, and of what the account may have.
        Err(refusal) => made_before(&store, &caller, idempotency.as_ref()).await?.ok_or(refusal)?,
    };
    answer(&store, import).await
}

/// Makes the import of a request as things are now. A repeat with the same `Idempotency-Key` gives that of the first
/// time, if it could be made now.
///
/// # Errors
/// Why it cannot be made now.
async fn make(
    store: &Store,
    work: &Work,
    caller: &Caller<Create>,
    body: JsonBody<ImportRequest>,
    idempotency: Option<&Idempotency>,
) -> Result<Import, Refusal> {
    let mut request = body.value;
    let kept = match &request.preset {
        None => None,
        Some(name) => {
            let named: BTreeSet<String> =
                body.plain["options"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
            let preset = preset_named(store, &caller.account, name).await?;
            let of_preset =
                preset.options.said().into_iter().map(|(name, _)| name).filter(|name| !named.contains(name)).collect();
            request.options = request.options.over(&preset.options, &named);
            request.kind = request.kind.or(Some(preset.kind));
            Some(Kept { name: preset.name, options: of_preset })
        }
    };
    // A request does not have what is its preset's.
    let told = |refusal: Refusal| kept.iter().fold(refusal, |refusal, kept| kept.tell(refusal));
    let preset = request.preset.clone();
    let NewImport { kind, from, corrects, format, filename, size, options, metadata, webhook } =
        NewImport::check(request).map_err(told)?;
    if options.mode == Mode::Replace {
        may_replace(caller).map_err(told)?;
    }
    let source = match &from {
        None => None,
        Some(from) => Some(again::source(store, caller, from).await?),
    };
    let corrected = match &corrects {
        None => None,
        Some(id) => Some(story::corrected(store, caller, id).await?),
    };
    let of_other = corrected.as_ref().or(source.as_ref().map(|(of, _)| of)).map(|of| of.kind.clone());
    let default = || -> KindName { kinds::DEFAULT.parse().expect("the default kind is a kind's name") };
    let kind = kind.or(of_other).unwrap_or_else(default);
    let size = source.as_ref().and_then(|(of, _)| of.object.as_ref()).map_or(size, |object| Some(object.bytes));
    let account = caller.account.clone();
    let found = check_with_kind(store, work, &account, &kind, &options).await.map_err(told)?;
    if let Some(id) = &webhook
        && store.webhook(&account, id).await?.is_none()
    {
        let message = format!("`webhook`: the account has no webhook {id}");
        return Err(Refusal::unprocessable("unknown_webhook", message));
    }
    intake::admit(store, &account, size).await?;
    let import = intake::import(store, &account, caller.by.clone(), kind.clone(), filename, options);
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
    match store.create_import(&import, idempotency).await? {
        Creation::Created => {
            if import.from.is_some() {
                store.order_again(&import).await?;
            }
            Ok(import)
        }
        Creation::NoUpload => Err(again::gone()),
        Creation::UploadBusy => {
            let message = format!(
                "{UPLOAD_READERS} imports read this upload, the most that may at once; wait for one to end, or cancel one"
            );
            Err(Refusal::conflict("upload_busy", message))
        }
        Creation::NotCorrected(why) => Err(story::refusal(why, corrects.as_ref().unwrap_or(&import.id))),
        Creation::NoKind => Err(no_kind(&kind)),
        Creation::NoPlace => Err(intake::no_place(store)),
        Creation::OtherRequest => Err(idempotency::reused()),
        Creation::Repeated(id) => repeated(store, caller, &id).await,
    }
}

/// The import that the same request has made before, if it has made one.
///
/// # Errors
/// See [`repeated`].
async fn made_before(
    store: &Store,
    caller: &Caller<Create>,
    idempotency: Option<&Idempotency>,
) -> Result<Option<Import>, Refusal> {
    let Some(idempotency) = idempotency else { return Ok(None) };
    match store.made_before(&caller.account, idempotency).await? {
        Some(id) => repeated(store, caller, &id).await.map(Some),
        None => Ok(None),
    }
}

/// The import of this id, which a repeated request has made before.
///
/// # Errors
/// 409 where it has been deleted; 403 where the key of the repeat could not have made it.
async fn repeated(store: &Store, caller: &Caller<Create>, id: &ImportId) -> Result<Import, Refusal> {
    let deleted = "the import that this Idempotency-Key made has been deleted";
    let import = store.import(&caller.account, id).await?;
    let import = import.ok_or_else(|| Refusal::conflict("import_deleted", deleted))?;
    if import.options.mode == Mode::Replace {
        may_replace(caller)?;
    }
    Ok(import)
}

/// Refuses a key that may not create a replace.
///
/// # Errors
/// 403.
pub(super) fn may_replace<T>(caller: &Caller<T>) -> Result<(), Refusal> {
    caller.needs(Scope::RecordDelete).map_err(|mut refusal| {
        refusal.message.push_str(", which a replace takes");
        refusal
    })
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

/// The preset that an import names.
///
/// # Errors
/// 422 where there is none.
async fn preset_named(store: &Store, account: &AccountId, name: &PresetName) -> Result<Preset, Refusal> {
    let message = || format!("there is no preset `{name}`: GET /v1/presets lists those that there are");
    store.preset(account, name).await?.ok_or_else(|| Refusal::unprocessable("unknown_preset", message()))
}

/// What the options of an import have of its preset.
struct Kept {
    name: PresetName,
    /// The options that the preset says, and the request does not.
    options: Vec<String>,
}

impl Kept {
    /// A refusal, which says of the options that it is about which ones are the preset's, and how to do without them.
    fn tell(&self, mut refusal: Refusal) -> Refusal {
        let says = |text: &str| refusal.message.contains(text);
        let is_about = |option: &&String| {
            says(option.as_str()) || says(&option.replace('_', " ")) || (*option == "mode" && says("replace"))
        };
        // How much may go is asked with the mode.
        let by_itself =
            |option: &&String| *option != "most_removed_percent" || !self.options.contains(&"mode".to_owned());
        let about: Vec<String> =
            self.options.iter().filter(is_about).filter(by_itself).map(|option| format!("`{option}`")).collect();
        let which = match &about[..] {
            [] => return refusal,
            [one] => format!("{one} is of the preset `{}`: give it its default to do without it", self.name),
            more => format!(
                "{} are of the preset `{}`: give them their defaults to do without them",
                more.join(" and "),
                self.name
            ),
        };
        refusal.message.push_str(&format!("; {which}"));
        refusal
    }
}

/// The refusal of a request whose import would fail.
pub(super) fn refused(failure: Failure) -> Refusal {
    Refusal::unprocessable(failure.code, failure.message)
}
