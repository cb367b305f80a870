//! The native API, `/v1`.

mod accounts;
mod again;
mod body;
mod confirm;
mod create;
mod exports;
mod idempotency;
mod imports;
mod keys;
mod kinds;
mod parts;
mod presets;
mod preview;
mod record_deletes;
mod records;
mod removals;
mod story;
mod view;
mod webhooks;

#[cfg(test)]
mod contract;

use axum::{Json, extract::DefaultBodyLimit};
use penstock_model::{limits, views};
use serde_json::{Value, json};

#[cfg(test)]
use penstock_model::{Scope, Status, codes};

#[cfg(test)]
use crate::contract::op;
use crate::{
    contract::{Served, routes},
    dialect::Dialect,
    refusal::Refusal,
};

pub(crate) static DIALECT: Dialect = Dialect {
    name: "native",
    bases: &["/"],
    kinds: None,
    rate_limits: &[],
    limits: &[],
    media_type: "application/problem+json",
    error: problem,
    missing: Refusal::no_import,
};

pub(crate) static SERVED: Served = Served {
    dialect: &DIALECT,
    router: || router().layer(DefaultBodyLimit::max(limits::REQUEST_BYTES)),
    document: include_str!("../openapi/native.json"),
    guide: include_str!("../openapi/guides/native.html"),
    #[cfg(test)]
    contract: &contract::CONTRACT,
};

async fn health() -> Json<views::Health> {
    Json(views::Health { status: "ok".to_owned() })
}

routes! {
    "/health" => {
        get health => op("getHealth", "Tells that the service answers.").answers::<views::Health>(200, "It \
            does.").refuses(500, &["internal"]);
    }
    "/v1/imports" => {
        post create::create => op("createImport", "Creates an import.")
            .about("The answer says where its file goes: by one PUT, or from a form. A repeat with the same \
                `Idempotency-Key` gives the same import. With `from` nothing is uploaded: it reads what was uploaded to \
                that import. With `corrects` its rows are those that were rejected there, mended. With `preset` it has \
                the kind and the options of that, but for those that are given here.")
            .needs(Scope::ImportWrite)
            .header("Idempotency-Key", "Names the request, so that a repeat of it within 24 hours makes no other \
                import.", contract::idempotency_key())
            .takes::<views::NewImport>(false)
            .answers::<views::Import>(201, "The import, with `upload` and `form` unless it is made `from` another one.")
            .leads(201, contract::OF_AN_IMPORT, "id", "$response.body#/id")
            .with(201, "Location", "Where the import is, relative to this request.")
            .refuses(400, &["invalid_idempotency_key"])
            .refuses(404, &["not_found"])
            .refuses(409, &["import_deleted", "nothing_uploaded", "upload_busy", "upload_expires", "upload_gone"])
            .refuses(409, &["already_corrected", "import_runs", "nothing_to_correct", "too_many_corrections"])
            .refuses(409, &["was_dry_run"])
            .refuses(422, &["another_kind", "idempotency_key_reused", "size_of_stored_file", "unknown_kind", "unknown_preset"])
            .refuses(422, &["unknown_format", "filename_too_long", "file_too_large"])
            .refuses(422, &["invalid_metadata", "unknown_webhook"])
            .refuses(422, codes::OPTIONS)
            .refuses(429, &["busy", "too_many_bytes", "too_many_imports"]);
        get imports::list => op("listImports", "Lists imports, the newest first.")
            .needs(Scope::ImportRead)
            .query::<Status>("status", "Those that stand there.")
            .query::<String>("kind", "Those of this kind.")
            .pages()
            .answers::<views::ImportPage>(200, "A page of them.")
            .leads(200, &["getImport", "listErrors", "getRejected"], "id", "$response.body#/imports/0/id")
            .leads(200, &["listImports"], "cursor", "$response.body#/next_cursor");
    }
    "/v1/imports/{id}" => {
        get imports::show => op("getImport", "Reads an import.")
            .about("With `wait` the answer comes once something has changed, or the time is over. Each account has few \
                such waits at once; beyond them the answer comes at once.")
            .needs(Scope::ImportRead)
            .parameter("wait", "query", "For how many seconds to wait for a change.", contract::wait())
            .answers::<views::Import>(200, "The import.")
            .with(200, "Retry-After", "Seconds after which `rejected` is there, where the import has ended and it is not.")
            .refuses(400, &["invalid_query"])
            .refuses(404, &["not_found"]);
        delete imports::delete => op("deleteImport", "Deletes an import that does not run, with its files and errors. \
            Records stay.")
            .needs(Scope::ImportDelete)
            .done(204, "It is gone.")
            .refuses(404, &["not_found"])
            .refuses(409, &["import_runs", "upload_read"]);
    }
    "/v1/imports/{id}/errors" => {
        get imports::errors => op("listErrors", "Lists the errors of an import's rows, in the order of the file.")
            .needs(Scope::ImportRead)
            .pages()
            .answers::<views::ErrorPage>(200, "A page of them.")
            .leads_with(200, &["listErrors"], &[
                ("id", "$request.path.id"),
                ("cursor", "$response.body#/next_cursor"),
            ])
            .refuses(404, &["not_found"]);
    }
    "/v1/imports/{id}/errors/summary" => {
        get imports::errors_summary => op("summariseErrors", "Sums up the errors of an import's rows, by code and field.")
            .about("While the import runs, the sums are of the chunks that have been worked off so far.")
            .needs(Scope::ImportRead)
            .answers::<views::ErrorSummary>(200, "The sums.")
            .refuses(404, &["not_found"]);
    }
    "/v1/imports/{id}/rejected" => {
        get imports::rejected => op("getRejected", "Leads to the file of rejected rows.")
            .about("A page in a browser cannot read where a redirect leads: with `link` the answer names the URL.")
            .needs(Scope::ImportRead)
            .query::<bool>("link", "Whether the URL is in the body of the answer, instead of a redirect.")
            .answers::<views::RejectedLink>(200, "The URL of the file, where `link` asks for it.")
            .done(303, "The file is at the URL, which is a credential.")
            .with(303, "Location", "The URL of the file.")
            .refuses(404, &["not_found"])
            .refuses(409, &["not_ready"])
            .with(409, "Retry-After", "Seconds after which to try again.");
    }
    "/v1/imports/{id}/history" => {
        get story::history => op("getHistory", "Tells an import with those that it corrects and those that correct it.")
            .about("The same for each of them. `sum` counts every row of the first file once, over all of them, and what \
                later files add.")
            .needs(Scope::ImportRead)
            .answers::<views::History>(200, "The imports, the first one first, and the sum of them.")
            .leads(200, &["getImport", "listErrors", "getRejected"], "id", "$response.body#/rounds/0/id")
            .refuses(404, &["not_found"]);
    }
    "/v1/imports/{id}/cancel" => {
        post imports::cancel => op("cancelImport", "Cancels an import. A repeat gives the same answer.")
            .needs(Scope::ImportWrite)
            .answers::<views::Import>(200, "It has ended.")
            .answers::<views::Import>(202, "It ends when what has begun is finished.")
            .refuses(404, &["not_found"])
            .refuses(409, &["already_ended"]);
    }
    "/v1/imports/{id}/removals" => {
        get removals::list => op("listRemovals", "Lists the records that an import would remove, or has removed.")
            .needs(Scope::ImportRead)
            .pages()
            .answers::<views::RemovalPage>(200, "A page of them.")
            .refuses(404, &["not_found"])
            .refuses(409, &["not_ready"])
            .with(409, "Retry-After", "Seconds after which to try again.");
    }
    "/v1/imports/{id}/confirm" => {
        post confirm::confirm => op("confirmImport", "Confirms what an import removes, or what a review has judged.")
            .about("Of a replace the answer is the import itself, and the key needs `record:delete` as well. Of a review \
                it is another import, `from` the review, which applies what was judged. A repeat gives the same import \
                as it is then. Where the catalogue may have changed since the rows of a review were judged, `moved` \
                says by whom.")
            .needs(Scope::ImportConfirm)
            .takes::<views::Confirm>(false)
            .answers::<views::Import>(200, "It has ended.")
            .with(200, "Location", "Where the import is, relative to this request.")
            .answers::<views::Import>(202, "It removes, or applies its rows.")
            .with(202, "Location", "Where the import is, relative to this request.")
            .refuses(404, &["not_found"])
            .refuses(409, &["not_held", "another_replace", "import_deleted", "moved"])
            .with(409, "Retry-After", "Seconds after which to try again, with `another_replace`.");
    }
    "/v1/imports/{id}/parts" => {
        post parts::sign => op("signParts", "Gives URLs for parts of an import's file.")
            .about("The first call begins the upload in parts; a repeat gives URLs of the same upload.")
            .needs(Scope::ImportWrite)
            .takes::<views::PartNumbers>(true)
            .answers::<views::PartUrls>(200, "The URLs, each of which is a credential.")
            .leads(200, &["completeParts", "removeParts"], "id", "$request.path.id")
            .refuses(404, &["not_found"])
            .refuses(409, &["expired", "already_uploaded"])
            .refuses(422, &["invalid_parts"]);
        delete parts::give_up => op("removeParts", "Gives up an upload in parts: the import awaits its file as before.")
            .needs(Scope::ImportWrite)
            .done(204, "The parts are removed.")
            .refuses(404, &["not_found"])
            .refuses(409, &["already_uploaded"]);
    }
    "/v1/imports/{id}/complete" within limits::COMPLETE_BYTES => {
        post parts::complete => op("completeParts", "Makes of the parts the import's file. A repeat gives the import \
            as it is then.")
            .needs(Scope::ImportWrite)
            .takes::<views::TakenParts>(true)
            .answers::<views::Import>(200, "The import, which has its file.")
            .refuses(404, &["not_found"])
            .refuses(409, &["already_uploaded", "no_parts", "parts_gone"])
            .refuses(422, &["invalid_parts"]);
    }
    "/v1/imports/{id}/preview" within limits::PREVIEW_BYTES => {
        post preview::preview => op("previewImport", "Shows how a file, or its first part, is read under an import's \
            options.")
            .about("Without a body, the import's upload is read. Nothing is written.")
            .needs(Scope::ImportRead)
            .query::<bool>("whole", "Whether the body is the whole file.")
            .body(contract::file())
            .answers::<views::Preview>(200, "How it is read.")
            .refuses(404, &["not_found"])
            .refuses(409, &["nothing_uploaded", "unknown_kind"])
            .refuses(422, &["too_much_memory"])
            .refuses(422, codes::FILES)
            .refuses(429, &["busy"]);
    }
    "/v1/kinds" => {
        get kinds::list => op("listKinds", "Lists the kinds: the bundled ones, then the account's own by name.")
            .needs(Scope::ImportRead)
            .pages()
            .answers::<views::KindList>(200, "A page of them.")
            .leads(200, &["getKind", "getTemplate", "listRecords"], "kind", "$response.body#/kinds/0/name");
    }
    "/v1/kinds/{kind}" => {
        get kinds::show => contract::schema(op("getKind", "Reads the schema of a kind, as it was registered."));
        put kinds::put => op("putKind", "Registers a schema as the newest version of the account's kind.")
            .about("A repeat of the newest version makes no new one. An import keeps the version with which it was \
                created.")
            .needs(Scope::ImportWrite)
            .body(contract::table_schema())
            .answers::<views::KindLine>(200, "A further version of the kind.")
            .leads(200, contract::OF_A_KIND, "kind", "$response.body#/name")
            .answers::<views::KindLine>(201, "The first version of the kind.")
            .leads(201, contract::OF_A_KIND, "kind", "$response.body#/name")
            .refuses(409, &["bundled_kind", "too_many_kinds", "too_many_versions"])
            .refuses(422, &["invalid_kind_name", "invalid_schema"])
            .refuses(429, &["busy"]);
        delete kinds::delete => op("deleteKind", "Deletes the account's kind with all its versions.")
            .needs(Scope::ImportDelete)
            .done(204, "It is gone.")
            .refuses(404, &["not_found"])
            .refuses(409, &["bundled_kind", "kind_in_use", "kind_has_records", "kind_not_looked_through"])
            .with(409, "Retry-After", "Where a repeat goes on: seconds after which to send it.");
    }
    "/v1/kinds/{kind}/preview" within limits::PREVIEW_BYTES => {
        post preview::of_kind => op("previewKind", "Shows how a file, or its first part, is read as one of a kind.")
            .about("Without a body, what was uploaded to the import `from` is read. Nothing is written, and no import \
                is made.")
            .needs(Scope::ImportRead)
            .query::<bool>("whole", "Whether the body is the whole file.")
            .query::<String>("from", "The import whose upload is read.")
            .query::<String>("filename", "What the file is called.")
            .query::<penstock_model::Format>("format", "What it is; detected if not given.")
            .query::<String>("options", "Options of an import, as an object in JSON.")
            .body(contract::file())
            .answers::<views::Preview>(200, "How it is read.")
            .refuses(404, &["not_found"])
            .refuses(409, &["nothing_uploaded", "unknown_kind", "upload_expires"])
            .refuses(422, &["filename_too_long", "too_much_memory", "unknown_format"])
            .refuses(422, codes::FILES)
            .refuses(422, codes::OPTIONS)
            .refuses(429, &["busy"]);
    }
    "/v1/kinds/{kind}/versions" => {
        get kinds::versions => op("listKindVersions", "Lists the versions of the account's kind, the newest first.")
            .needs(Scope::ImportRead)
            .pages()
            .answers::<views::VersionList>(200, "A page of them.")
            .leads_with(200, &["getKindVersion", "deleteKindVersion"], &[
                ("kind", "$request.path.kind"),
                ("version", "$response.body#/versions/0/version"),
            ])
            .refuses(404, &["not_found"]);
    }
    "/v1/kinds/{kind}/versions/{version}" => {
        get kinds::show_version => contract::schema(op("getKindVersion", "Reads the schema of a version, as it was \
            registered."));
        delete kinds::delete_version => op("deleteKindVersion", "Deletes a version that is not the newest and not in \
            use.")
            .needs(Scope::ImportDelete)
            .done(204, "It is gone.")
            .refuses(404, &["not_found"])
            .refuses(409, &["newest_version", "kind_in_use"]);
    }
    "/v1/kinds/{kind}/template.csv" => {
        get kinds::template => op("getTemplate", "Gives a header line with a column for each field of the kind.")
            .needs(Scope::ImportRead)
            .answers_with(200, "The file.", "text/csv", contract::text())
            .refuses(404, &["not_found"]);
    }
    "/v1/presets" => {
        get presets::list => op("listPresets", "Lists the account's presets by name.")
            .needs(Scope::ImportRead)
            .pages()
            .answers::<views::PresetPage>(200, "A page of them.")
            .leads(200, &["getPreset", "deletePreset"], "preset", "$response.body#/presets/0/name");
    }
    "/v1/presets/{preset}" => {
        get presets::show => op("getPreset", "Reads a preset.")
            .needs(Scope::ImportRead)
            .answers::<views::Preset>(200, "The preset.")
            .refuses(404, &["not_found"]);
        put presets::put => op("putPreset", "Keeps options for imports of a kind under a name.")
            .about("They take the place of those before. A repeat changes nothing more. A preset with the mode \
                `replace` takes a key that has the scope `record:delete` as well.")
            .needs(Scope::ImportWrite)
            .takes::<views::NewPreset>(true)
            .answers::<views::Preset>(200, "The preset, which was there before.")
            .leads(200, &["getPreset", "deletePreset"], "preset", "$response.body#/name")
            .answers::<views::Preset>(201, "The preset, which is new.")
            .leads(201, &["getPreset", "deletePreset"], "preset", "$response.body#/name")
            .refuses(409, &["too_many_presets"])
            .refuses(422, &["invalid_preset_name", "preset_too_large", "unknown_kind"])
            .refuses(422, codes::OPTIONS)
            .refuses(429, &["busy"]);
        delete presets::delete => op("deletePreset", "Deletes a preset. Imports that have its options keep them.")
            .needs(Scope::ImportDelete)
            .done(204, "It is gone.")
            .refuses(404, &["not_found"]);
    }
    "/v1/records/{kind}" => {
        get records::list => op("listRecords", "Lists the records of a kind.")
            .needs(Scope::ImportRead)
            .query::<String>("changed_by", "Those that this import made or changed last.")
            .query::<String>("changed_after", "Those that an import which was accepted after this one made, changed \
                or deleted.")
            .pages()
            .answers::<views::RecordPage>(200, "A page of them.")
            .leads_with(200, &["getRecord", "deleteRecord"], &[
                ("kind", "$request.path.kind"),
                ("key", "$response.body#/records/0/key"),
            ])
            .refuses(404, &["not_found"])
            .refuses(409, &["not_accepted"])
            .refuses(422, &["another_kind"]);
        delete removals::remove_all => op("removeAllRecords", "Orders the removal of every record of a kind.")
            .about("What is ordered is an import without a file. A repeat orders another one.")
            .needs(Scope::RecordDelete)
            .takes::<views::RemoveAll>(true)
            .answers::<views::Import>(202, "The import that removes them.")
            .leads(202, &["getImport", "listRemovals", "confirmImport", "cancelImport"], "id", "$response.body#/id")
            .with(202, "Location", "Where the import is, relative to this request.")
            .refuses(404, &["not_found"])
            .refuses(422, &["unconfirmed"])
            .refuses(429, &["too_many_imports"]);
    }
    "/v1/records/{kind}/{key}" => {
        get records::show => op("getRecord", "Reads a record.")
            .needs(Scope::ImportRead)
            .query::<bool>("provenance", "Whether it is shown where its values come from.")
            .answers::<views::Record>(200, "The record.")
            .refuses(404, &["not_found"]);
        delete record_deletes::delete => op("deleteRecord", "Deletes a record. A repeat finds none.")
            .needs(Scope::RecordDelete)
            .done(204, "It is gone.")
            .refuses(404, &["not_found"])
            .refuses(503, &["kind_busy"]);
        post record_deletes::delete_many => op("deleteRecords", "Deletes records by their keys. A repeat finds none \
            of them.")
            .shown_at("/v1/records/{kind}/delete")
            .needs(Scope::RecordDelete)
            .takes::<views::KeysToDelete>(true)
            .answers::<views::Deleted>(200, "What became of them.")
            .refuses(404, &["not_found"])
            .refuses(422, &["too_many_keys"])
            .refuses(503, &["kind_busy"]);
    }
    "/v1/exports" => {
        post exports::create => op("createExport", "Orders an export of a kind's records.")
            .about("A repeat with the same `Idempotency-Key` gives the same export; without one it orders another.")
            .needs(Scope::ImportRead)
            .header("Idempotency-Key", "Names the request, so that a repeat of it within 24 hours orders no other \
                export.", contract::idempotency_key())
            .takes::<views::NewExport>(true)
            .answers::<views::Export>(202, "The export.")
            .leads(202, &["getExport", "cancelExport", "deleteExport"], "id", "$response.body#/id")
            .with(202, "Location", "Where the export is, relative to this request.")
            .refuses(404, &["not_found"])
            .refuses(400, &["invalid_idempotency_key"])
            .refuses(409, &["not_accepted", "export_deleted"])
            .refuses(422, &["idempotency_key_reused", "unknown_kind", "not_flat", "ambiguous_deletions", "another_kind"])
            .refuses(429, &["busy", "too_many_exports"]);
        get exports::list => op("listExports", "Lists exports, the newest first.")
            .needs(Scope::ImportRead)
            .pages()
            .answers::<views::ExportPage>(200, "A page of them.")
            .leads(200, &["getExport", "deleteExport"], "id", "$response.body#/exports/0/id");
    }
    "/v1/exports/{id}" => {
        get exports::show => op("getExport", "Reads an export.")
            .needs(Scope::ImportRead)
            .answers::<views::Export>(200, "The export, with `url` once its file is there.")
            .refuses(404, &["not_found"]);
        delete exports::delete => op("deleteExport", "Deletes an export that has ended, and its file.")
            .needs(Scope::ImportRead)
            .done(204, "It is gone.")
            .refuses(404, &["not_found"])
            .refuses(409, &["export_runs"]);
    }
    "/v1/exports/{id}/cancel" => {
        post exports::cancel => op("cancelExport", "Cancels an export. A repeat gives the same answer.")
            .needs(Scope::ImportRead)
            .answers::<views::Export>(200, "The export, cancelled.")
            .refuses(404, &["not_found"])
            .refuses(409, &["already_ended"]);
    }
    "/v1/webhooks" => {
        post webhooks::create => op("createWebhook", "Makes an endpoint, to which events are sent. A repeat makes another \
            one.")
            .about("The answer has the secret that verifies what is sent, which is shown this once.")
            .needs(Scope::AccountWrite)
            .takes::<views::NewWebhook>(true)
            .answers::<views::Webhook>(201, "The endpoint.")
            .leads(201, contract::OF_A_WEBHOOK, "id", "$response.body#/id")
            .with(201, "Location", "Where the endpoint is, relative to this request.")
            .refuses(409, &["too_many_webhooks"])
            .refuses(422, &["invalid_url", "invalid_webhook"]);
        get webhooks::list => op("listWebhooks", "Lists the endpoints, the newest first.")
            .needs(Scope::AccountWrite)
            .answers::<views::WebhookList>(200, "The endpoints, without secrets.")
            .leads(200, &["getWebhook", "listDeliveries"], "id", "$response.body#/webhooks/0/id");
    }
    "/v1/webhooks/{id}" => {
        get webhooks::show => op("getWebhook", "Reads an endpoint.")
            .needs(Scope::AccountWrite)
            .answers::<views::Webhook>(200, "The endpoint, without secrets.")
            .refuses(404, &["not_found"]);
        patch webhooks::change => op("changeWebhook", "Changes an endpoint. What is not given stays as it is.")
            .needs(Scope::AccountWrite)
            .takes::<views::WebhookPatch>(true)
            .answers::<views::Webhook>(200, "The endpoint as it is now.")
            .refuses(404, &["not_found"])
            .refuses(422, &["invalid_url", "invalid_webhook"]);
        delete webhooks::delete => op("deleteWebhook", "Deletes an endpoint. From then on nothing is sent to it.")
            .needs(Scope::AccountWrite)
            .done(204, "It is gone.")
            .refuses(404, &["not_found"]);
    }
    "/v1/webhooks/{id}/rotate" => {
        post webhooks::rotate => op("rotateWebhookSecret", "Gives an endpoint a new secret.")
            .about("What is sent is signed with it and, for 24 hours, with the ones before. A repeat makes another \
                one.")
            .needs(Scope::AccountWrite)
            .answers::<views::Webhook>(200, "The endpoint, with its new secret, which is shown this once.")
            .refuses(404, &["not_found"])
            .refuses(409, &["too_many_secrets"]);
    }
    "/v1/webhooks/{id}/test" => {
        post webhooks::test => op("testWebhook", "Sends an event `webhook.test` to an endpoint. A repeat sends another \
            one.")
            .needs(Scope::AccountWrite)
            .answers::<views::Delivery>(202, "The delivery, which is attempted at once.")
            .refuses(404, &["not_found"])
            .refuses(409, &["webhook_disabled"]);
    }
    "/v1/webhooks/{id}/deliveries" => {
        get webhooks::deliveries => op("listDeliveries", "Lists the deliveries to an endpoint of the last 30 days, \
            that of the newest event first.")
            .needs(Scope::AccountWrite)
            .pages()
            .answers::<views::DeliveryPage>(200, "A page of them.")
            .leads_with(200, &["resendDelivery"], &[
                ("id", "$request.path.id"),
                ("event", "$response.body#/deliveries/0/id"),
            ])
            .refuses(404, &["not_found"]);
    }
    "/v1/webhooks/{id}/deliveries/{event}/resend" => {
        post webhooks::resend => op("resendDelivery", "Orders a delivery again: it is attempted at once, and as often \
            as a new one. A repeat orders it once more.")
            .needs(Scope::AccountWrite)
            .answers::<views::Delivery>(202, "The delivery.")
            .refuses(404, &["not_found"])
            .refuses(409, &["webhook_disabled"]);
    }
    "/v1/webhooks/{id}/resend" => {
        post webhooks::resend_range => op("resendDeliveries", "Orders the deliveries again that have not arrived, of \
            the events of a time.")
            .about("One request looks at no more than 100 of them; with `next_cursor` the next one goes on. A repeat \
                orders none again that it has ordered.")
            .needs(Scope::AccountWrite)
            .takes::<views::ResendRange>(true)
            .answers::<views::Resent>(202, "How many were ordered again.")
            .refuses(404, &["not_found"])
            .refuses(409, &["webhook_disabled"])
            .refuses(422, &["invalid_range"]);
    }
    "/v1/accounts" => {
        get accounts::list => op("listAccounts", "Lists accounts by name, with what they have.")
            .needs(Scope::Admin)
            .pages()
            .answers::<views::AccountPage>(200, "A page of them.")
            .leads(200, &["removeAccount", "getAccountRemoval"], "account", "$response.body#/accounts/0/account");
    }
    "/v1/accounts/{account}" => {
        delete accounts::remove => op("removeAccount", "Removes another account with all that is stored of it.")
            .about("Its keys are revoked at once. What is stored goes at once, and again a day later, when what was in \
                flight cannot write any more. A repeat changes nothing.")
            .needs(Scope::Admin)
            .answers::<views::AccountRemoval>(202, "The removal.")
            .leads(202, &["getAccountRemoval"], "account", "$response.body#/account")
            .with(202, "Location", "Where the removal is, relative to this request.")
            .refuses(404, &["not_found"])
            .refuses(409, &["own_account"]);
    }
    "/v1/accounts/{account}/removal" => {
        get accounts::removal => op("getAccountRemoval", "Tells how far the removal of an account is.")
            .needs(Scope::Admin)
            .answers::<views::AccountRemoval>(200, "The removal; in the end, the report of it.")
            .refuses(404, &["not_found"]);
    }
    "/v1/keys" => {
        post keys::create => op("createKey", "Makes an API key. A repeat makes another one.")
            .needs(Scope::Admin)
            .takes::<views::NewKey>(true)
            .answers::<views::Key>(201, "The key, with its secret, which is shown this once.")
            .leads(201, &["revokeKey"], "id", "$response.body#/id")
            .leads(201, &["listKeys"], "account", "$response.body#/account")
            .refuses(409, &["account_removing"])
            .refuses(422, &["no_scopes", "label_too_long"]);
        get keys::list => op("listKeys", "Lists an account's API keys, without secrets.")
            .needs(Scope::Admin)
            .query::<String>("account", "Whose they are; the caller's own account if not given.")
            .answers::<views::KeyList>(200, "The keys.");
    }
    "/v1/keys/{id}" => {
        delete keys::revoke => op("revokeKey", "Revokes an API key. A repeat gives the same answer.")
            .needs(Scope::Admin)
            .done(204, "It is refused from now on.")
            .refuses(404, &["not_found"]);
    }
}

/// A refusal as problem details (RFC 9457).
fn problem(refusal: &Refusal) -> Value {
    let Refusal { status, code, message, details, .. } = refusal;
    let title = status.canonical_reason().unwrap_or("Error");
    let mut problem =
        json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "code": code, "detail": message });
    // Further members of a problem stand beside the others (RFC 9457 §3.2).
    if let (Some(members), Some(Value::Object(more))) = (problem.as_object_mut(), details.clone()) {
        members.extend(more);
    }
    problem
}
