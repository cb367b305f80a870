//! The imports table: the name of every item in it. What names begin with is registered in [`crate::names`].
//!
//! | partition | sort key | what |
//! | --- | --- | --- |
//! | `account#<account>` | `import#<id>` | an import |
//! | `account#<account>` | `removal#<import>` | an order to remove what no import keeps |
//! | `account#<account>` | `export#<id>` | an export |
//! | `account#<account>` | `kind#<kind>` | the order of the imports of a kind |
//! | `account#<account>` | `order#<kind>#<place>` | the import that took a place in that order; it outlives the import |
//! | `account#<account>` | `taken#<import>` | the place that an import took which is gone |
//! | `account#<account>` | `story#<import>` | the story of imports that correct one another, by the first of them |
//! | `account#<account>` | `idempotency#<hash>` | what an `Idempotency-Key` stands for |
//! | `account#<account>` | `unfinished#<quota>` | the imports that count against a quota |
//! | `account#<account>` | `bytes#<day>` | the bytes of its uploads that were accepted on a day |
//! | `account#<account>` | `schema#<kind>`, `schema-version#<kind>#<version>` | a kind of the account's own |
//! | `account#<account>` | `kinds`, `schema-number#<kind>` | the names of those; the last version of one that was removed |
//! | `account#<account>` | `use#<kind>#<import>` | that an import uses a kind of the account's own |
//! | `account#<account>` | `preset#<name>`, `presets` | a preset; the names of those that there are |
//! | `account#<account>` | `key#<id>` | what may be shown of an API key |
//! | `account#<account>` | `limit#<policy>` | a rate-limit window of the account |
//! | `account#<account>` | `webhook#<id>` | an endpoint that is told events |
//! | `account#<account>` | `webhooks` | which endpoints there are, and what each asks for |
//! | `account#<account>` | `event#<id>` | an event that is to be told |
//! | `account#<account>` | `delivery#<webhook>#<event>` | the delivery of an event to an endpoint |
//! | `key#<id>` | `key` | an API key |
//! | `block#<import>#<number>` | `block` | a block of an import |
//! | `errors#<import>` | `<chunk>` | what there is of row errors of a chunk |
//! | `errors#<import>#<shard>` | `<chunk>#<part>` | a part of them |
//! | `replace#<import>#<shard>` | `counted`, `removed` | how many records of a shard a replace would remove, removed |
//! | `replace#<import>#<shard>` | `keys#<run>#<part>` | a part of their keys |
//! | `review#<import>#<shard>` | `<hash>` | the chunk of a review that claims the record whose key has this hash |
//! | `limit#<policy>#<address>` | `limit` | a rate-limit window of a network address |
//! | `accounts` | `<account>` | that there is an account, and whether it is being removed |
//! | `account-removal#<account>` | `account-removal` | the removal of an account, and the report of it |
//! | `inbox` | `inbox` | where the sweeper's list of the inbox goes on, and when |
//!
//! Whatever belongs to one account is one query, and a foreign id looks like a missing one.

use std::{fmt::Display, str::FromStr};

use penstock_engine::key::RecordName;
use penstock_model::{AccountId, EventId, ExportId, ImportId, KindName, PresetName, WebhookId, limits};

use crate::{
    dynamo::{self, Item},
    names::{FoundBy, Own, Partition},
    sha256_hex,
};

/// The number of partitions of the index `due`.
pub(crate) const DUE_SHARDS: u32 = 4;

pub(crate) fn account_pk(account: &AccountId) -> String {
    Partition::Account.named(account)
}

/// The key of an item in an account's own partition.
fn own_key(account: &AccountId, own: Own, rest: impl Display) -> Item {
    dynamo::key(account_pk(account), own.named(rest))
}

/// The account in whose own partition an item stands, and what follows the beginning of its sort key, if it begins so.
fn of_own<T: FromStr>(pk: &str, sk: &str, own: Own) -> Option<(AccountId, T)> {
    let account = pk.strip_prefix(Partition::Account.text())?.parse().ok()?;
    Some((account, sk.strip_prefix(own.text())?.parse().ok()?))
}

pub(crate) fn import_key(account: &AccountId, id: &ImportId) -> Item {
    own_key(account, Own::Import, id)
}

/// The import that the item of this partition and sort key is, if it is one.
pub(crate) fn import_of(pk: &str, sk: &str) -> Option<(AccountId, ImportId)> {
    of_own(pk, sk, Own::Import)
}

/// The partition of the index `due` in which an import is found.
pub(crate) fn due_shard(id: &ImportId) -> String {
    shard_of(id.as_str()).to_string()
}

/// The number of the partition of the index `due` that an id belongs to, of those for its sort.
fn shard_of(id: &str) -> u32 {
    u32::from(id.bytes().last().unwrap_or(0)) % DUE_SHARDS
}

/// The partition of the index `due` in which an import is found that has ended, by when it did: none of those in which
/// there is something to look at.
pub(crate) fn ended_shard(id: &ImportId) -> String {
    format!("ended-{}", due_shard(id))
}

pub(crate) fn removal_key(account: &AccountId, id: &ImportId) -> Item {
    own_key(account, Own::Removal, id)
}

/// The account and import of the removal that the item of this partition and sort key is, if it is one.
pub(crate) fn removal_of(pk: &str, sk: &str) -> Option<(AccountId, ImportId)> {
    of_own(pk, sk, Own::Removal)
}

/// The partition of the index `due` in which a removal is found: none of those of imports.
pub(crate) fn removal_shard(id: &ImportId) -> String {
    format!("removal-{}", due_shard(id))
}

pub(crate) fn export_key(account: &AccountId, id: &ExportId) -> Item {
    own_key(account, Own::Export, id)
}

/// The export that the item of this partition and sort key is, if it is one.
pub(crate) fn export_of(pk: &str, sk: &str) -> Option<(AccountId, ExportId)> {
    of_own(pk, sk, Own::Export)
}

/// The partition of the index `due` in which an export is found: none of those of imports.
pub(crate) fn export_shard(id: &ExportId) -> String {
    format!("export-{}", shard_of(id.as_str()))
}

pub(crate) fn kind_order_key(account: &AccountId, kind: &KindName) -> Item {
    own_key(account, Own::Order, kind)
}

/// Places are padded, so that one query reads them in their order.
pub(crate) fn place_key(account: &AccountId, kind: &KindName, order: u64) -> Item {
    own_key(account, Own::Place, format_args!("{kind}#{order:020}"))
}

/// The place that stands under a sort key.
pub(crate) fn place_of(sk: &str) -> Option<u64> {
    sk.strip_prefix(Own::Place.text())?.rsplit_once('#')?.1.parse().ok()
}

/// The place that an import took which is gone.
pub(crate) fn taken_key(account: &AccountId, import: &ImportId) -> Item {
    own_key(account, Own::Taken, import)
}

pub(crate) fn story_key(account: &AccountId, first: &ImportId) -> Item {
    own_key(account, Own::Story, first)
}

pub(crate) fn idempotency_key(account: &AccountId, key: &str) -> Item {
    own_key(account, Own::Idempotency, sha256_hex(key.as_bytes()))
}

pub(crate) fn unfinished_key(account: &AccountId, quota: &str) -> Item {
    own_key(account, Own::Unfinished, quota)
}

/// A day is counted from 1970-01-01, in UTC.
pub(crate) fn day_bytes_key(account: &AccountId, day: i64) -> Item {
    own_key(account, Own::DayBytes, day)
}

pub(crate) fn newest_schema_key(account: &AccountId, kind: &KindName) -> Item {
    own_key(account, Own::Schema, kind)
}

/// The kind whose newest version stands under a sort key.
pub(crate) fn kind_of(sk: &str) -> Option<KindName> {
    sk.strip_prefix(Own::Schema.text())?.parse().ok()
}

/// The names of an account's own kinds, which are counted.
pub(crate) fn kind_names_key(account: &AccountId) -> Item {
    own_key(account, Own::SchemaNames, "")
}

/// The number of a kind's last version, which outlives the kind.
pub(crate) fn kind_number_key(account: &AccountId, kind: &KindName) -> Item {
    own_key(account, Own::SchemaNumber, kind)
}

pub(crate) fn schema_version_key(account: &AccountId, kind: &KindName, version: u32) -> Item {
    dynamo::key(account_pk(account), format!("{}{version:010}", schema_versions(kind)))
}

/// What the sort keys of all versions of a kind begin with.
pub(crate) fn schema_versions(kind: &KindName) -> String {
    Own::SchemaVersion.named(format_args!("{kind}#"))
}

/// The version of a kind that stands under a sort key.
pub(crate) fn version_of(sk: &str) -> Option<u32> {
    sk.strip_prefix(Own::SchemaVersion.text())?.rsplit_once('#')?.1.parse().ok()
}

pub(crate) fn kind_use_key(account: &AccountId, kind: &KindName, import: &ImportId) -> Item {
    dynamo::key(account_pk(account), format!("{}{import}", kind_uses(kind)))
}

/// What the sort keys of all marks of imports of a kind begin with.
pub(crate) fn kind_uses(kind: &KindName) -> String {
    Own::SchemaUse.named(format_args!("{kind}#"))
}

pub(crate) fn preset_key(account: &AccountId, name: &PresetName) -> Item {
    own_key(account, Own::Preset, name)
}

/// The names of the account's presets.
pub(crate) fn preset_names_key(account: &AccountId) -> Item {
    own_key(account, Own::PresetNames, "")
}

pub(crate) fn webhook_key(account: &AccountId, id: &WebhookId) -> Item {
    own_key(account, Own::Webhook, id)
}

/// Which endpoints there are, and what each asks for.
pub(crate) fn listeners_key(account: &AccountId) -> Item {
    own_key(account, Own::Listeners, "")
}

pub(crate) fn event_key(account: &AccountId, id: &EventId) -> Item {
    own_key(account, Own::Event, id)
}

/// The event that the item of this partition and sort key is, if it is one.
pub(crate) fn event_of(pk: &str, sk: &str) -> Option<(AccountId, EventId)> {
    of_own(pk, sk, Own::Event)
}

/// The partition of the index `due` in which an event is found: none of those of imports.
pub(crate) fn event_shard(id: &EventId) -> String {
    format!("event-{}", shard_of(id.as_str()))
}

pub(crate) fn delivery_key(account: &AccountId, webhook: &WebhookId, event: &EventId) -> Item {
    dynamo::key(account_pk(account), format!("{}{event}", deliveries(webhook)))
}

/// What the sort keys of all deliveries to an endpoint begin with.
pub(crate) fn deliveries(webhook: &WebhookId) -> String {
    Own::Delivery.named(format_args!("{webhook}#"))
}

/// The endpoint and the event of the delivery that the item of this partition and sort key is, if it is one.
pub(crate) fn delivery_of(pk: &str, sk: &str) -> Option<(AccountId, (WebhookId, EventId))> {
    let account = pk.strip_prefix(Partition::Account.text())?.parse().ok()?;
    let (webhook, event) = sk.strip_prefix(Own::Delivery.text())?.split_once('#')?;
    Some((account, (webhook.parse().ok()?, event.parse().ok()?)))
}

/// The partition of the index `due` in which a delivery is found: none of those of events.
pub(crate) fn delivery_shard(event: &EventId) -> String {
    format!("delivery-{}", shard_of(event.as_str()))
}

pub(crate) fn listed_api_key(account: &AccountId, id: &str) -> Item {
    own_key(account, Own::Key, id)
}

pub(crate) fn api_key(id: &str) -> Item {
    dynamo::key(Partition::Key.named(id), "key")
}

pub(crate) fn block_pk(import: &ImportId, block: u32) -> String {
    Partition::Block.named(format_args!("{import}#{block}"))
}

pub(crate) fn block_key(import: &ImportId, block: u32) -> Item {
    dynamo::key(block_pk(import, block), "block")
}

pub(crate) fn errors_pk(import: &ImportId) -> String {
    Partition::Errors.named(import)
}

/// Numbers are padded, so that one query reads chunks in the order of the file.
pub(crate) fn errors_sk(chunk: u32) -> String {
    format!("{chunk:010}")
}

pub(crate) fn errors_key(import: &ImportId, chunk: u32) -> Item {
    dynamo::key(errors_pk(import), errors_sk(chunk))
}

/// The shard of a chunk's errors.
pub(crate) fn error_shard(chunk: u32) -> u32 {
    chunk % limits::ERROR_SHARDS
}

pub(crate) fn error_shard_pk(import: &ImportId, shard: u32) -> String {
    format!("{}#{shard:02}", errors_pk(import))
}

pub(crate) fn error_part_key(import: &ImportId, chunk: u32, part: u32) -> Item {
    dynamo::key(error_shard_pk(import, error_shard(chunk)), format!("{}#{part:06}", errors_sk(chunk)))
}

/// The rate-limit window of an account under a policy.
pub(crate) fn account_window_key(account: &AccountId, policy: &str) -> Item {
    own_key(account, Own::Window, policy)
}

/// The rate-limit window of a network address under a policy.
pub(crate) fn address_window_key(policy: &str, address: &str) -> Item {
    dynamo::key(Partition::Address.named(format_args!("{policy}#{address}")), "limit")
}

pub(crate) fn listed_account_key(account: &AccountId) -> Item {
    dynamo::key(Partition::Accounts.named(""), account.as_str())
}

pub(crate) fn account_removal_key(account: &AccountId) -> Item {
    dynamo::key(Partition::AccountRemoval.named(account), "account-removal")
}

/// Where the sweeper's list of the inbox goes on.
pub(crate) fn inbox_key() -> Item {
    dynamo::key(Partition::Inbox.named(""), "inbox")
}

/// The account of the removal that the item of this partition and sort key is, if it is one.
pub(crate) fn account_removal_of(pk: &str, _: &str) -> Option<(AccountId, ())> {
    Some((pk.strip_prefix(Partition::AccountRemoval.text())?.parse().ok()?, ()))
}

/// The partition of the index `due` in which the removals of accounts are found.
pub(crate) const ACCOUNT_REMOVALS_DUE: &str = "account-removal";

/// The partition keys under which the rows of an import with so many blocks, the removal of a replace, and the claims
/// of a review are accounted for.
pub(crate) fn partitions_of_import(import: &ImportId, blocks: u32, is_replace: bool, is_review: bool) -> Vec<String> {
    let found = Partition::ALL.iter().filter(|partition| partition.found_by() == FoundBy::Imports);
    let mut partitions = Vec::new();
    for partition in found {
        match partition {
            Partition::Block => partitions.extend((0..blocks).map(|block| block_pk(import, block))),
            Partition::Errors => {
                partitions.extend((0..limits::ERROR_SHARDS).map(|shard| error_shard_pk(import, shard)));
                partitions.push(errors_pk(import));
            }
            Partition::Replace if is_replace => {
                partitions.extend((0..=u8::MAX).map(|shard| replace_pk(import, shard)));
            }
            Partition::Review if is_review => {
                partitions.extend((0..limits::CLAIM_SHARDS).map(|shard| claims_pk(import, shard)));
            }
            Partition::Replace | Partition::Review => {}
            Partition::Account
            | Partition::Key
            | Partition::Address
            | Partition::Accounts
            | Partition::AccountRemoval
            | Partition::Inbox => unreachable!("they are not found by imports"),
        }
    }
    partitions
}

/// The partition of what a replace counts and removes of one shard of its kind.
pub(crate) fn replace_pk(import: &ImportId, shard: u8) -> String {
    Partition::Replace.named(format_args!("{import}#{shard:02x}"))
}

/// The partition of a review's claims whose hashes begin with this hexadecimal digit.
pub(crate) fn claims_pk(import: &ImportId, shard: u32) -> String {
    Partition::Review.named(format_args!("{import}#{shard:x}"))
}

/// Partition and sort key of the claim of a record: 128 bits of the SHA-256 of its key, of which the first four are the
/// shard. Whoever reads them learns nothing of the key, and no two records share them.
pub(crate) fn claim_key(import: &ImportId, name: &RecordName) -> (String, String) {
    let hash = sha256_hex(name.key().as_bytes());
    (Partition::Review.named(format_args!("{import}#{}", &hash[..1])), hash[1..32].to_owned())
}

/// What the sort keys of the parts of a list of keys begin with: each run writes a list of its own.
pub(crate) const REPLACE_KEYS: &str = "keys#";

pub(crate) fn replace_keys_key(import: &ImportId, shard: u8, run: &str, part: u32) -> Item {
    dynamo::key(replace_pk(import, shard), format!("{REPLACE_KEYS}{run}#{part:06}"))
}
