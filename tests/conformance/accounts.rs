//! The removal of an account, step by step as the sweeper makes them: what is stored of it goes, and nothing else does.

use penstock_engine::key::RecordName;
use penstock_model::{AccountId, AccountRemovalStage, Applied, Import, Record, RowError, Scope, Stamp, Value, limits};
use penstock_store::{
    Store, account_removals::Stepped, errors::Extent, keys::NewKey, records::Write, uploads::upload_key,
};

use super::{
    bench::{Bench, KIND, account},
    files::{post, stored},
    support::s3_client,
};

fn new_key(account: &AccountId) -> NewKey {
    let (id, secret) = (format!("key_{account}"), "secret".to_owned());
    NewKey { id, secret, account: account.clone(), scopes: vec![Scope::ImportRead], label: None }
}

/// Makes something of every sort of an account whose uploads can be listed: a key, an import with its upload and its
/// errors, and a record.
async fn filled(bench: &Bench) -> Import {
    let Bench { store, account, .. } = bench;
    store.put_key(&new_key(account)).await.expect("answers").expect("made");
    let created = bench.created().await;
    assert_eq!(post(&store.presign_form(&created).await.expect("a form"), b"sku\nA\n").await, 204);
    let object = stored(bench, &created).await.expect("stored");
    store.accept(account, &created.id, &object).await.expect("accepted");
    let error = RowError {
        row: 1,
        line: 2,
        source_row: None,
        key: None,
        field: None,
        value: None,
        code: "ragged_row".into(),
        message: "two cells".into(),
    };
    let extent = Extent { offset: 4, bytes: 4, first_row: 1, first_line: 2, refused: false };
    store.put_errors(&created.id, 0, extent, &[error]).await.expect("stored");
    let stamp = Stamp { order: 1, row: 1 };
    let record = Record {
        rev: 0,
        made: stamp,
        last: Applied { stamp, changed: true },
        fields: [("sku".to_owned(), Value::Text("A".into()))].into(),
        stamps: [("sku".to_owned(), stamp)].into(),
        gone: None,
    };
    store.write_records(&[Write { name: &name(account), record: &record }]).await.expect("written");
    bench.now(&created).await
}

fn name(account: &AccountId) -> RecordName {
    RecordName::of(account, &KIND.parse().expect("a kind"), "A")
}

/// Whether key, import, record and upload are there.
async fn is_there(bench: &Bench, import: &Import) -> [bool; 4] {
    let Bench { store, account, settings, .. } = bench;
    let name = name(account);
    let versions = s3_client::of(settings).list_object_versions().bucket(&settings.uploads_bucket);
    let versions = versions.prefix(upload_key(account, &import.id)).send().await.expect("S3 lists them");
    [
        store.authenticate(&format!("key_{account}"), "secret").await.expect("answers").is_some(),
        store.import(account, &import.id).await.expect("answers").is_some(),
        !store.records(&[&name]).await.expect("answers").is_empty(),
        !versions.versions().is_empty(),
    ]
}

/// Takes the removal up and makes its steps until it rests or is done; where it stands then.
async fn go_on(store: &Store, account: &AccountId) -> AccountRemovalStage {
    let mut removal = store.take_up_account_removal(account).await.expect("answers").expect("it is due");
    assert!(store.take_up_account_removal(account).await.expect("answers").is_none(), "it is taken");
    loop {
        match store.step_account_removal(&removal).await.expect("answers") {
            Stepped::GoesOn(next) => removal = *next,
            Stepped::Rests => return store.account_removal(account).await.expect("answers").expect("there").stage,
            Stepped::Done(report) => return report.stage,
        }
    }
}

pub(crate) async fn a_removed_account_is_gone_and_its_neighbour_stays(bench: Bench) {
    let Bench { store, account: gone, .. } = bench.clone();
    // One whose name goes on where the other's ends.
    let longer = format!("{gone}2").parse().expect("an account");
    let neighbour = Bench { account: longer, ..bench.clone() };
    let (mine, theirs) = (filled(&bench).await, filled(&neighbour).await);
    assert_eq!(is_there(&bench, &mine).await, [true; 4]);
    let never = account();
    assert!(store.order_account_removal(&never).await.expect("answers").is_none());
    let ordered = store.order_account_removal(&gone).await.expect("answers").expect("ordered");
    assert_eq!(store.order_account_removal(&gone).await.expect("answers"), Some(ordered));
    assert_eq!(is_there(&bench, &mine).await, [false, true, true, true], "its keys are refused at once");
    assert!(store.put_key(&new_key(&gone)).await.expect("answers").is_none(), "it gets no other");
    // Its import, which runs, has no block: it is ended at once.
    assert_eq!(go_on(&store, &gone).await, AccountRemovalStage::Waiting);
    assert_eq!(is_there(&bench, &mine).await, [false, true, false, false]);
    assert!(store.take_up_account_removal(&gone).await.expect("answers").is_none(), "a day is waited for");
    let later = bench.shifted(limits::ACCOUNT_REMOVAL_WAIT_SECONDS as i64 * 1000 + 60_000);
    assert_eq!(go_on(&later.store, &gone).await, AccountRemovalStage::Removed);
    assert_eq!(is_there(&bench, &mine).await, [false; 4]);
    assert!(store.account(&gone).await.expect("answers").is_none());
    let report = store.account_removal(&gone).await.expect("answers").expect("there");
    assert_eq!(
        (report.removed.keys, report.removed.imports, report.removed.records, report.removed.uploads),
        (1, 1, 1, 1)
    );
    assert_eq!(is_there(&neighbour, &theirs).await, [true; 4]);
    assert!(store.account(&neighbour.account).await.expect("answers").is_some());
    // The name is free.
    assert!(store.put_key(&new_key(&gone)).await.expect("answers").is_some());
    assert_eq!(store.keys(&gone).await.expect("answers").len(), 1);
}
