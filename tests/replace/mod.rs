//! Replace: behind its last row an import removes what its file does not name, and nothing else. It waits for older
//! imports, newer uploads wait for it, and it is carried out once wherever a process dies. What is too much waits to be
//! confirmed.

mod all;
mod api;
mod cost;
mod crashes;
mod gate;
mod guard;
mod removal;
mod rules;

use std::collections::BTreeSet;

use penstock_client::Import;
use penstock_model::{ImportOptions, Mode};

use crate::support::{self, Stack};

/// The options of a replace with this guard.
fn replace(most_removed_percent: u8) -> ImportOptions {
    ImportOptions { mode: Mode::Replace, most_removed_percent: Some(most_removed_percent), ..ImportOptions::default() }
}

/// A file of products with these SKUs.
fn file_of<'a>(skus: impl IntoIterator<Item = &'a String>) -> Vec<u8> {
    let rows: String = skus.into_iter().map(|sku| format!("{sku},Name,Brand\n")).collect();
    format!("sku,name,brand\n{rows}").into_bytes()
}

/// `SKU-<from>` to `SKU-<to>`, without the last.
fn skus(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| format!("SKU-{number}")).collect()
}

/// The keys of the products that are there.
async fn there(stack: &Stack) -> BTreeSet<String> {
    let (mut keys, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = stack.client.records("products", &Default::default(), cursor.as_deref(), 100).await.expect("a page");
        keys.extend(page.records.into_iter().map(|record| record.key));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return keys;
        }
    }
}

/// The keys of an import's list of removals, each once, read page by page.
async fn removals(stack: &Stack, id: &str, limit: usize) -> BTreeSet<String> {
    let (mut keys, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = stack.client.removals(id, cursor.as_deref(), limit).await.expect("a page");
        assert!(page.removals.len() <= limit);
        for removal in page.removals {
            assert!(keys.insert(removal.key.clone()), "{} is listed twice", removal.key);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return keys;
        }
    }
}

fn set(skus: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    skus.into_iter().collect()
}

/// What a held or waiting import is.
async fn now(stack: &Stack, id: &str) -> Import {
    stack.cloud.quiet().await;
    stack.client.import(id).await.expect("is there")
}
