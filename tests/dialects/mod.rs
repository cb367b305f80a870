//! The dialects, as the clients of their documents speak them: transcripts against the local cloud.

mod algure;
mod betterdata;
mod clients;
mod connectif;
mod crowd;
mod documents;
mod forms;
mod front_door;
mod limiter;
mod productsmanager;
mod quotiza;
mod transcript;
mod uploads;

use documents::Document;
use penstock_client::NewKey;
use penstock_model::Scope;

use crate::support;

/// The document of every dialect: the tests of all dialects go through this table.
static DOCUMENTS: &[&Document] =
    &[&algure::DOCUMENT, &betterdata::DOCUMENT, &connectif::DOCUMENT, &productsmanager::DOCUMENT, &quotiza::DOCUMENT];

/// The token of a new key of account `1` with these scopes alone.
async fn key(stack: &support::Stack, scopes: &[Scope]) -> String {
    let new = NewKey { scopes: scopes.to_vec(), ..NewKey::default() };
    stack.client.create_key(&new).await.expect("a key is made").token.expect("a token")
}
