//! The tables are restored to a moment of before, under other names, and the stack is pointed at them: what
//! `infra/OPERATIONS.md` says becomes of imports that were in flight then, and of what came after.
//!
//! DynamoDB's restore itself is its own; here the items of both tables at that moment are put into new ones.

use std::path::Path;

use penstock_client::NewKey;
use penstock_local::Options;
use penstock_model::{QueueName, Scope, Status};

use crate::support::{
    Stack,
    held::{half_done, held_and},
    refused,
    tables::{import_items, items_of, put_items, record_items},
    until, upload,
};

const ROWS: u64 = 100;
const RESTORED: [(&str, &str); 2] =
    [("PENSTOCK_IMPORTS_TABLE", "imports-restored"), ("PENSTOCK_RECORDS_TABLE", "records-restored")];

/// A file of new records.
fn file(prefix: &str) -> Vec<u8> {
    let rows = (0..ROWS).map(|row| format!("{prefix}-{row},Name,Acme,{row}\n"));
    format!("sku,name,brand,cost\n{}", rows.collect::<String>()).into_bytes()
}

/// The number of a file's records that are there.
async fn records_of(stack: &Stack, prefix: &str) -> u64 {
    let skus: Vec<_> = (0..ROWS).map(|row| format!("{prefix}-{row}")).collect();
    stack.records("1", &skus).await.len() as u64
}

/// The stack of a data folder that uses the restored tables; its queues are empty.
async fn pointed(data: &Path, change: impl FnOnce(&mut Options)) -> Stack {
    Stack::with(|options| {
        options.data = Some(data.to_owned());
        options.environment.extend(RESTORED.map(|(variable, table)| (variable.to_owned(), table.to_owned())));
        options.environment.push(("PENSTOCK_CHUNK_ROWS".into(), "10".into()));
        change(options);
    })
    .await
}

/// The message of a chunk of an import that only another stack knows.
async fn strange_message() -> String {
    let stack = Stack::with(|options| options.mapped = false).await;
    let import = stack.uploaded(&file("strange")).await;
    // Nobody takes its chunks, so this cloud has no rest.
    let is_split = async || stack.client.import(&import.id).await.expect("it is there").rows.total.is_some();
    until("it is split", is_split).await;
    let chunks = stack.cloud.queue(QueueName::Chunks.as_str()).expect("there is one");
    let message = chunks.take(1, None).pop().expect("a chunk");
    stack.stop().await;
    message.body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_pointed_at_tables_of_an_earlier_moment_and_goes_on_from_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = held_and(|options| options.data = Some(folder.path().to_owned())).await;
    let ended = stack.uploaded(&file("ended")).await;
    let ended = stack.ended(&ended.id).await;
    assert_eq!((ended.status, ended.rows.created), (Status::Completed, ROWS));
    let running = half_done(&stack, &file("running"), ROWS).await;
    let waiting = stack.create(Default::default()).await;
    let wanted = NewKey { account: None, scopes: vec![Scope::ImportRead], label: None };
    let key = stack.client.create_key(&wanted).await.expect("a key");

    // The moment to which the tables are restored.
    let (imports, records) = (import_items(&stack).await, record_items(&stack).await);

    // What was done after it is lost, but for the files.
    assert_eq!(upload(&waiting, &file("waiting")).await, 200);
    let lost = stack.uploaded(&file("lost")).await;
    for import in [&running, &waiting, &lost] {
        let import = stack.ended(&import.id).await;
        assert_eq!((import.status, import.rows.created), (Status::Completed, ROWS), "{import:?}");
    }
    stack.client.revoke_key(&key.id).await.expect("revoked");
    let damaged = record_items(&stack).await.len();
    let own_table = stack.cloud.settings().records_table.clone();
    stack.stop().await;

    // Nothing runs while the tables are restored, and the queues are purged.
    let stopped = pointed(folder.path(), |options| (options.scheduled, options.mapped) = (false, false)).await;
    put_items(&stopped, RESTORED[0].1, &imports).await;
    put_items(&stopped, RESTORED[1].1, &records).await;
    stopped.stop().await;

    let stack = pointed(folder.path(), |_| {}).await;
    // A message of an import that is not there changes nothing.
    let chunks = stack.cloud.queue(QueueName::Chunks.as_str()).expect("there is one");
    chunks.send(strange_message().await, None, std::time::Duration::ZERO);
    // It goes on where it was, and each of its rows counts once.
    let running = stack.ended(&running.id).await;
    assert_eq!((running.status, running.rows.created), (Status::Completed, ROWS), "{running:?}");
    // Its file is found when its time to upload is over.
    let waiting = stack.ended(&waiting.id).await;
    assert_eq!((waiting.status, waiting.rows.created), (Status::Completed, ROWS), "{waiting:?}");
    assert_eq!(stack.client.import(&ended.id).await.expect("it is there").rows, ended.rows);
    assert_eq!(refused(stack.client.import(&lost.id).await).0, 404);
    for (prefix, there) in [("ended", ROWS), ("running", ROWS), ("waiting", ROWS), ("lost", 0), ("strange", 0)] {
        assert_eq!(records_of(&stack, prefix).await, there, "{prefix}");
    }
    // A key that was revoked since is as it was, so it is to be revoked again.
    let revoked_since = stack.client_of(&key.token.expect("told once"));
    revoked_since.list(None, 10).await.expect("it is a key again");
    // What is lost is sent again.
    let again = stack.import(&file("lost")).await;
    assert_eq!((again.status, again.rows.created), (Status::Completed, ROWS), "{again:?}");
    // The table of before is as it was left.
    assert_eq!(items_of(&stack, &own_table).await.len(), damaged);
    stack.stop().await;
}
