//! A folder that outlives its local cloud.

use penstock_model::{ImportOptions, Scope, Status};

use super::{
    products,
    support::{OTHER_TOKEN, Stack, TOKEN, refused, until, upload},
};

/// A stack in a data folder.
async fn stack_in(data: &std::path::Path, change: impl FnOnce(&mut penstock_local::Options)) -> Stack {
    Stack::with(|options| {
        options.data = Some(data.to_owned());
        change(options);
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_run_left_unfinished_goes_on_at_once() {
    let data = tempfile::tempdir().expect("a folder");
    // Chunks are queued and nobody reads them: with the queue they are gone.
    let first = stack_in(data.path(), |options| options.mapped = false).await;
    let import = first.create(ImportOptions::default()).await;
    assert_eq!(upload(&import, &products(5000)).await, 200);
    let shown = async || first.client.import(&import.id).await.expect("is there");
    until("it is split", async || shown().await.rows.total == Some(5000)).await;
    assert_eq!((shown().await.status, shown().await.rows.processed), (Status::Processing, 0));
    first.stop().await;
    // The splitter is never told of this one.
    let second = stack_in(data.path(), |options| {
        options.mapped = false;
        options.scheduled = false;
        options.faults.event_lost = 1.0;
    })
    .await;
    let untold = second.create(ImportOptions::default()).await;
    assert_eq!(upload(&untold, &products(3)).await, 200);
    second.stop().await;

    let again = stack_in(data.path(), |_| {}).await;
    for (id, rows) in [(&import.id, 5000), (&untold.id, 3)] {
        // No time passes but what this takes.
        until("the import ends", async || again.client.import(id).await.expect("is there").status.is_final()).await;
        let import = again.client.import(id).await.expect("is there");
        assert_eq!((import.status, import.rows.processed), (Status::Completed, rows));
    }
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_given_any_more_is_refused() {
    let data = tempfile::tempdir().expect("a folder");
    let keys = |ids: &[&str]| -> Vec<(String, String, String)> {
        ids.iter().map(|id| ("1".to_owned(), (*id).to_owned(), "secret".to_owned())).collect()
    };
    let first = stack_in(data.path(), |options| options.keys = keys(&["test", "local"])).await;
    let made = first
        .client
        .create_key(&penstock_client::NewKey { account: None, scopes: vec![Scope::ImportRead], label: None })
        .await
        .expect("a key");
    let list = async |stack: &Stack, token: &str| stack.client_of(token).imports(&Default::default(), None, 1).await;
    assert!(list(&first, "local.secret").await.is_ok());
    first.stop().await;

    let second = stack_in(data.path(), |options| options.keys = keys(&["test", "other"])).await;
    assert_eq!(refused(list(&second, "local.secret").await).0, 401);
    for token in [TOKEN, OTHER_TOKEN, made.token.as_deref().expect("shown this once")] {
        assert!(list(&second, token).await.is_ok(), "{token}");
    }
    second.stop().await;

    // Another secret for the same id counts, and a key comes back when it is given again.
    let third = stack_in(data.path(), |options| {
        options.keys = keys(&["local"]);
        options.keys.push(("1".to_owned(), "test".to_owned(), "changed".to_owned()));
    })
    .await;
    assert!(list(&third, "local.secret").await.is_ok() && list(&third, "test.changed").await.is_ok());
    for token in [TOKEN, OTHER_TOKEN] {
        assert_eq!(refused(list(&third, token).await).0, 401, "{token}");
    }
    third.stop().await;
}
