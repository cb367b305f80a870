//! DynamoDB by dynoxide: an embedded emulator, in memory or in a file, behind the wire protocol.
//!
//! dynoxide has a server of its own, which takes requests of anyone and lets every page read the answers. Here its
//! operations are called instead, those that Penstock uses and a few to look around.

use std::path::Path;

use anyhow::Context;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dynoxide::{Database, DynoxideError};
use penstock_api::{Bounds, Server};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::private;

/// Largest request (Amazon DynamoDB Developer Guide, "Constraints"): 16 MB.
const REQUEST_BYTES: usize = 16 << 20;

/// The two tables: imports (everything but records) and records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables<'a> {
    pub(crate) imports: &'a str,
    pub(crate) records: &'a str,
}

/// Starts the service on a free port, below `/<secret>`. With a file, the tables that are stored there stay.
///
/// It has a thread of its own: dynoxide works on whatever thread a request arrives, one request at a time, and would
/// hold up everything else in this process.
///
/// # Errors
/// The file cannot be opened, or a table not be made.
pub(crate) async fn start(file: Option<&Path>, tables: Tables<'_>, secret: &str) -> anyhow::Result<Server> {
    let database = open(file)?;
    create_tables(&database, tables)?;
    let router = private::behind(secret, router(database));
    let (listener, address) = Server::bind().await?;
    let listener = listener.into_std()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (ending, ended) = oneshot::channel::<()>();
    let (stop, stopped) = oneshot::channel::<()>();
    std::thread::Builder::new().name("dynamodb".to_owned()).spawn(move || {
        let _ending = ending;
        runtime.block_on(async {
            match TcpListener::from_std(listener) {
                Ok(listener) => {
                    let server = Server::serve(listener, address, router, Bounds::PRIVATE);
                    // An error means that the server's owner is gone: the same.
                    let _ = stopped.await;
                    server.stop().await;
                }
                Err(error) => tracing::error!(%error, "DynamoDB cannot listen"),
            }
        });
    })?;
    Ok(Server::spawn(address, async move |stopped| {
        stopped.await;
        drop::<oneshot::Sender<()>>(stop);
        let _ = ended.await;
    }))
}

fn router(database: Database) -> Router {
    Router::new().fallback(answer).layer(DefaultBodyLimit::max(REQUEST_BYTES)).with_state(database)
}

async fn answer(State(database): State<Database>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.strip_prefix("DynamoDB_20120810.").unwrap_or_default();
    let (status, body) = match call(&database, operation, &body) {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => {
            let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            tracing::debug!(operation, %status, "DynamoDB refuses");
            (status, error.to_json())
        }
    };
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], body).into_response()
}

fn call(database: &Database, operation: &str, body: &[u8]) -> dynoxide::Result<String> {
    fn run<I: DeserializeOwned, O: Serialize>(
        body: &[u8],
        operation: impl FnOnce(I) -> dynoxide::Result<O>,
    ) -> dynoxide::Result<String> {
        let input = serde_json::from_slice(body);
        let input = input.map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
        serde_json::to_string(&operation(input)?).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
    }
    match operation {
        "BatchExecuteStatement" => run(body, |input| database.batch_execute_statement(input)),
        "BatchGetItem" => run(body, |input| database.batch_get_item(input)),
        "BatchWriteItem" => run(body, |input| database.batch_write_item(input)),
        "DeleteItem" => run(body, |input| database.delete_item(input)),
        "DescribeTable" => run(body, |input| database.describe_table(input)),
        "GetItem" => run(body, |input| database.get_item(input)),
        "ListTables" => run(body, |input| database.list_tables(input)),
        "PutItem" => run(body, |input| database.put_item(input)),
        "Query" => run(body, |input| database.query(input)),
        "Scan" => run(body, |input| database.scan(input)),
        "TransactGetItems" => run(body, |input| database.transact_get_items(input)),
        "TransactWriteItems" => run(body, |input| database.transact_write_items(input)),
        "UpdateItem" => run(body, |input| database.update_item(input)),
        _ => Err(DynoxideError::UnsupportedCapability(format!("the local DynamoDB has no operation {operation:?}"))),
    }
}

fn open(file: Option<&Path>) -> anyhow::Result<Database> {
    let Some(file) = file else { return Ok(Database::memory()?) };
    let path = file.to_str().context("the data folder's path is not UTF-8")?;
    let database = Database::new(path).with_context(|| format!("opening {path}"))?;
    // Leaves SQLite at `synchronous = NORMAL`: with its write-ahead log a commit then waits for no disk, the file
    // survives the death of this process whole, and a power cut costs the last moments at most. At the default, FULL,
    // every write waits for the disk: inserts by BatchExecuteStatement, 25 at a time, came to 290 items/s then, to
    // 12,000 so, and to 39,000 in memory.
    database.disable_bulk_loading()?;
    Ok(database)
}

/// Makes the tables that are missing, as `template.yaml` has them; a repeat changes nothing.
///
/// # Errors
/// Also for a table with other keys, which an earlier version made.
fn create_tables(database: &Database, tables: Tables<'_>) -> anyhow::Result<()> {
    let imports = json!({
        "TableName": tables.imports,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            { "AttributeName": "pk", "AttributeType": "S" },
            { "AttributeName": "sk", "AttributeType": "S" },
            { "AttributeName": "due_shard", "AttributeType": "S" },
            { "AttributeName": "due_at", "AttributeType": "N" },
        ],
        "KeySchema": [
            { "AttributeName": "pk", "KeyType": "HASH" },
            { "AttributeName": "sk", "KeyType": "RANGE" },
        ],
        "GlobalSecondaryIndexes": [{
            "IndexName": "due",
            "KeySchema": [
                { "AttributeName": "due_shard", "KeyType": "HASH" },
                { "AttributeName": "due_at", "KeyType": "RANGE" },
            ],
            "Projection": { "ProjectionType": "KEYS_ONLY" },
        }],
    });
    let records = json!({
        "TableName": tables.records,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            { "AttributeName": "pk", "AttributeType": "S" },
            { "AttributeName": "sk", "AttributeType": "S" },
        ],
        "KeySchema": [
            { "AttributeName": "pk", "KeyType": "HASH" },
            { "AttributeName": "sk", "KeyType": "RANGE" },
        ],
    });
    for (name, table) in [(tables.imports, imports), (tables.records, records)] {
        match database.get_table_metadata(name)? {
            None => {
                let request =
                    serde_json::from_value(table).with_context(|| format!("the definition of table {name}"))?;
                database.create_table(request).with_context(|| format!("creating table {name}"))?;
            }
            Some(found) => {
                let keys: serde_json::Value = serde_json::from_str(&found.key_schema)?;
                anyhow::ensure!(
                    keys == table["KeySchema"],
                    "the table {name} of this data folder has other keys than this version of Penstock writes: give an \
                     empty folder, and import the files again"
                );
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_an_earlier_version_are_refused() {
        let database = Database::memory().expect("in memory");
        let tables = Tables { imports: "imports", records: "records" };
        let earlier = json!({
            "TableName": "records",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "B" }],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
        });
        database.create_table(serde_json::from_value(earlier).expect("a definition")).expect("a new table");
        let refused = create_tables(&database, tables).expect_err("the table has other keys").to_string();
        assert!(refused.starts_with("the table records of this data folder has other keys"), "{refused}");

        let database = Database::memory().expect("in memory");
        create_tables(&database, tables).expect("made, or there");
        create_tables(&database, tables).expect("made, or there");
    }
}
