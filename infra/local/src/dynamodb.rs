//! DynamoDB by dynoxide: an embedded emulator, in memory or in a file, behind the wire protocol.

use std::path::Path;

use anyhow::Context;
use dynoxide::Database;
use penstock_api::Server;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The two tables: imports (everything but records) and records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables<'a> {
    pub(crate) imports: &'a str,
    pub(crate) records: &'a str,
}

/// Starts the service on a free port. With a file, the tables that are stored there stay.
///
/// It has a thread of its own: dynoxide works on whatever thread a request arrives, one request at a time, and would
/// hold up everything else in this process.
///
/// # Errors
/// The file cannot be opened, or a table not be made.
pub(crate) async fn start(file: Option<&Path>, tables: Tables<'_>) -> anyhow::Result<Server> {
    let database = open(file)?;
    create_tables(&database, tables)?;
    let (listener, address) = Server::bind().await?;
    let listener = listener.into_std()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (ending, ended) = oneshot::channel::<()>();
    let (stop, stopped) = oneshot::channel();
    std::thread::Builder::new().name("dynamodb".to_owned()).spawn(move || {
        let _ending = ending;
        let stopped = async {
            // An error means that the server's owner is gone: the same.
            let _ = stopped.await;
        };
        if let Err(error) = runtime.block_on(serve(listener, database, stopped)) {
            tracing::error!(%error, "DynamoDB has stopped");
        }
    })?;
    Ok(Server::spawn(address, async move |stopped| {
        stopped.await;
        drop::<oneshot::Sender<()>>(stop);
        let _ = ended.await;
    }))
}

async fn serve(
    listener: std::net::TcpListener,
    database: Database,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    dynoxide::server::serve_with_shutdown(listener, database, stopped).await.map_err(anyhow::Error::msg)
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
        "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "B" }],
        "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
    });
    for (name, table) in [(tables.imports, imports), (tables.records, records)] {
        if database.get_table_metadata(name)?.is_none() {
            let request = serde_json::from_value(table).with_context(|| format!("the definition of table {name}"))?;
            database.create_table(request).with_context(|| format!("creating table {name}"))?;
        }
    }
    Ok(())
}
