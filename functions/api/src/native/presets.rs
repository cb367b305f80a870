//! Presets: options that an account keeps under a name.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use penstock_engine::options;
use penstock_model::{ImportOptions, KindName, Mode, Preset, PresetName, limits, rfc3339, views};
use penstock_store::{Store, presets::PresetPut};
use serde::Deserialize;

use super::{
    body::{JsonBody, JsonShape},
    create::{check_with_kind, may_replace, refused},
};
use crate::{
    api::Api,
    auth::{Caller, Delete, Read, Write},
    named::Named,
    page::{self, Page},
    refusal::Refusal,
};

/// The body of `PUT /v1/presets/{preset}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct PresetRequest {
    kind: KindName,
    #[serde(default)]
    options: ImportOptions,
}

impl JsonShape for PresetRequest {
    const ARRAYS: &'static [&'static str] = &["/options/true_values", "/options/false_values"];
}

fn missing() -> Refusal {
    Refusal::not_found("there is no such preset")
}

/// `PUT /v1/presets/{preset}`: keeps options under a name, in place of those before. A repeat keeps the same.
pub(super) async fn put(
    State(Api { store, work, .. }): State<Api>,
    caller: Caller<Write>,
    name: Named<PresetName>,
    body: JsonBody<PresetRequest>,
) -> Result<Response, Refusal> {
    let rule = "a preset's name is 1 to 64 of a-z, 0-9 and -";
    let name = name.get().ok_or_else(|| Refusal::unprocessable("invalid_preset_name", rule))?;
    let PresetRequest { kind, options } = body.value;
    options::check(&options).map_err(refused)?;
    // Who puts it has the rights of its imports: a file that is dropped off brings no key.
    if options.mode == Mode::Replace {
        may_replace(&caller)?;
    }
    let (bytes, most) = (serde_json::to_vec(&options).map_or(0, |text| text.len()), limits::PRESET_BYTES);
    if bytes > most {
        let message = format!("`options` have {bytes} bytes as JSON, the limit is {most}: name fewer columns");
        return Err(Refusal::unprocessable("preset_too_large", message));
    }
    let account = &caller.account;
    check_with_kind(&store, &work, account, &kind, &options).await?;
    let preset = Preset { name: name.clone(), kind, options, put_at: store.now_ms(), put_by: caller.by.clone() };
    let status = match store.put_preset(account, &preset).await? {
        PresetPut::New => StatusCode::CREATED,
        PresetPut::Changed => StatusCode::OK,
        PresetPut::TooMany => {
            let message = format!("the account has {} presets, the limit: delete one", limits::ACCOUNT_PRESETS);
            return Err(Refusal::conflict("too_many_presets", message));
        }
    };
    Ok((status, Json(views::Preset::from(preset))).into_response())
}

/// `GET /v1/presets/{preset}`.
pub(super) async fn show(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Read>,
    name: Named<PresetName>,
) -> Result<Json<views::Preset>, Refusal> {
    let preset = store.preset(&account, name.get().ok_or_else(missing)?).await?;
    Ok(Json(preset.ok_or_else(missing)?.into()))
}

/// `GET /v1/presets`: by name, by page.
pub(super) async fn list(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Read>,
    page: Page,
) -> Result<Json<views::PresetPage>, Refusal> {
    let limit = page.limit(limits::PAGE_DEFAULT)?;
    let found = store.list_presets(&account, page.after()?.as_ref(), limit + 1).await?;
    let (found, next) = page::cut(found, limit, |preset| preset.name.to_string());
    let line = |preset: Preset| views::PresetLine {
        name: preset.name.into(),
        kind: preset.kind.into(),
        put_at: rfc3339(preset.put_at),
    };
    Ok(Json(views::PresetPage { presets: found.into_iter().map(line).collect(), next_cursor: next }))
}

/// `DELETE /v1/presets/{preset}`: imports that have its options keep them. A repeat finds none.
pub(super) async fn delete(
    State(store): State<Store>,
    Caller { account, .. }: Caller<Delete>,
    name: Named<PresetName>,
) -> Result<StatusCode, Refusal> {
    let is_gone = store.delete_preset(&account, name.get().ok_or_else(missing)?).await?;
    if is_gone { Ok(StatusCode::NO_CONTENT) } else { Err(missing()) }
}
