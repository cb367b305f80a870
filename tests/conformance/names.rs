//! API keys, kinds of accounts, rate limits.

use penstock_model::{AccountId, Schema, Scope};
use penstock_store::{
    Store,
    keys::{Key, NewKey},
    kinds::Registration,
    rate::{Judgement, Rate, Subject, Window},
};

use super::bench::{Bench, account, at_once};

fn new_key(bench: &Bench, id: &str, secret: &str) -> NewKey {
    NewKey {
        id: id.to_owned(),
        secret: secret.to_owned(),
        account: bench.account.clone(),
        scopes: vec![Scope::Admin],
        label: Some("Läbel".to_owned()),
    }
}

pub(crate) async fn a_key_is_taken_until_it_is_revoked(bench: Bench) {
    let Bench { store, account, .. } = &bench;
    let id = format!("key_{account}");
    let key = store.put_key(&new_key(&bench, &id, "secret")).await.expect("stored").expect("the account stays");
    assert_eq!(store.authenticate(&id, "secret").await.expect("answers"), Some(key.clone()));
    assert_eq!(store.authenticate(&id, "other").await.expect("answers"), None);
    assert_eq!(store.authenticate("key_none", "secret").await.expect("answers"), None);
    assert_eq!(store.keys(account).await.expect("answers"), std::slice::from_ref(&key));
    store.note_use(&key).await.expect("answers");
    let used = store.authenticate(&id, "secret").await.expect("answers").expect("the key is there");
    assert!(used.last_used_at.is_some_and(|at| at >= key.created_at), "{used:?}");
    // Whoever read the key before notes nothing a second time.
    store.note_use(&key).await.expect("answers");
    assert_eq!(store.keys(account).await.expect("answers"), std::slice::from_ref(&used));
    let key = used;
    for _ in 0..2 {
        let revoked = store.revoke_key(&id).await.expect("answers").expect("the key is there");
        assert_eq!(revoked, Key { revoked: true, ..key.clone() });
        assert_eq!(store.authenticate(&id, "secret").await.expect("answers"), None);
        assert_eq!(store.keys(account).await.expect("answers"), [revoked]);
    }
    assert_eq!(store.revoke_key("key_none").await.expect("answers"), None);
}

pub(crate) async fn a_key_put_again_belongs_to_the_last_account_alone(bench: Bench) {
    let Bench { store, .. } = &bench;
    let id = format!("key_{}", bench.account);
    store.put_key(&new_key(&bench, &id, "one")).await.expect("stored");
    let other = account();
    let moved = NewKey { account: other.clone(), ..new_key(&bench, &id, "two") };
    store.put_key(&moved).await.expect("stored");
    assert_eq!(store.authenticate(&id, "one").await.expect("answers"), None);
    assert_eq!(store.authenticate(&id, "two").await.expect("answers").map(|key| key.account), Some(other.clone()));
    assert!(store.keys(&bench.account).await.expect("answers").is_empty());
    assert_eq!(store.keys(&other).await.expect("answers").len(), 1);
}

async fn put(store: &Store, account: &AccountId, schema: &Schema) -> Registration {
    let document = serde_json::to_string(schema).expect("JSON");
    store.put_kind(account, schema, &document).await.expect("stored")
}

fn version(version: u32) -> Registration {
    Registration::Version { version, is_first: false }
}

fn schema(fields: usize) -> Schema {
    let fields: Vec<String> = (0..fields)
        .map(|n| format!(r#"{{"name": "f{n}", "type": "number", "constraints": {{"maximum": 1.50}}}}"#))
        .collect();
    let text = format!(r#"{{"name": "own", "primaryKey": "f0", "fields": [{}]}}"#, fields.join(","));
    serde_json::from_str(&text).expect("a schema")
}

pub(crate) async fn a_kind_keeps_every_version(bench: Bench) {
    let Bench { store, account, .. } = &bench;
    let name = "own".parse().expect("a kind");
    assert!(store.kind(account, &name).await.expect("answers").is_none());
    assert_eq!(put(store, account, &schema(1)).await, Registration::Version { version: 1, is_first: true });
    assert_eq!(put(store, account, &schema(1)).await, version(1), "a repeat of the newest");
    let laid_out = serde_json::to_string_pretty(&schema(1)).expect("JSON");
    let again = store.put_kind(account, &schema(1), &laid_out).await.expect("stored");
    assert_eq!(again, version(1), "the same, laid out otherwise");
    assert_eq!(put(store, account, &schema(2)).await, version(2));
    assert_eq!(put(store, account, &schema(1)).await, version(3));
    let newest = store.kind(account, &name).await.expect("answers").expect("the kind is there");
    assert_eq!((newest.version, &*newest.schema), (3, &schema(1)));
    for (version, there) in [(1, true), (2, true), (3, true), (4, false)] {
        assert_eq!(store.compiled_kind(account, &name, version).await.expect("answers").is_some(), there, "{version}");
    }
    assert_eq!(store.list_kinds(account, None, 10).await.expect("answers").len(), 1);
    assert_eq!(store.list_kind_versions(account, &name, Some(3), 10).await.expect("answers").len(), 2);
    assert!(store.kind(&super::bench::account(), &name).await.expect("answers").is_none(), "another account's");
}

pub(crate) async fn versions_registered_at_once_are_all_kept(bench: Bench) {
    let registered = at_once(5, |at| {
        let bench = bench.clone();
        async move { put(&bench.store, &bench.account, &schema(at + 1)).await }
    })
    .await;
    for version in 1..=5 {
        let wanted = Registration::Version { version, is_first: version == 1 };
        assert!(registered.contains(&wanted), "{registered:?}");
    }
}

fn windows(bench: &Bench) -> Vec<Window> {
    let window =
        |policy: &str, limit, subject| Window { policy: policy.to_owned(), rate: Rate { limit, seconds: 60 }, subject };
    vec![
        window("conformance.imports.account", 3, Subject::Account(bench.account.clone())),
        window("conformance.all.address", 100, Subject::Address(format!("::1-{}", bench.account))),
    ]
}

pub(crate) async fn a_window_lets_as_many_through_as_it_allows(bench: Bench) {
    let clock = bench.shifted(0);
    let windows = windows(&bench);
    let mut allowed = Vec::new();
    for at in [0, 10_000, 20_000, 21_000, 60_000, 60_000, 71_000] {
        clock.set(at);
        let Judgement { allowed: passes, .. } = clock.store.admit(&windows).await.expect("answers").expect("windows");
        allowed.push(passes);
    }
    // What passes between two settings of the clock is less than the slack of these times.
    assert_eq!(allowed, [true, true, true, false, true, false, true]);
    assert_eq!(clock.store.admit(&[]).await.expect("answers"), None);
}

pub(crate) async fn of_requests_at_once_no_more_pass_than_are_allowed(bench: Bench) {
    let windows = windows(&bench);
    let allowed = at_once(8, |_| {
        let (store, windows) = (bench.store.clone(), windows.clone());
        async move { store.admit(&windows).await.expect("answers").expect("windows").allowed }
    })
    .await;
    assert_eq!(allowed.iter().filter(|allowed| **allowed).count(), 3, "{allowed:?}");
}
