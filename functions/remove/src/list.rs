//! The list of a shard's keys, as it grows.

use penstock_model::{Import, limits::REPLACE_LIST_BYTES};
use penstock_store::{
    Result, Store,
    replace::{Pass, ShardTally},
};

/// The keys that a pass finds in a shard, stored in parts of at most [`REPLACE_LIST_BYTES`], each run's under a name of
/// its own.
pub(crate) struct List<'a> {
    store: &'a Store,
    import: &'a Import,
    shard: u8,
    tally: ShardTally,
    keys: Vec<String>,
    bytes: usize,
}

/// What an item of DynamoDB needs beside the text of each key.
const BYTES_BESIDE: usize = 4;

impl<'a> List<'a> {
    pub(crate) fn new(store: &'a Store, import: &'a Import, shard: u8) -> Self {
        let run = format!("{:016x}", u64::from_be_bytes(penstock_store::random()));
        Self { store, import, shard, tally: ShardTally { run, ..ShardTally::default() }, keys: Vec::new(), bytes: 0 }
    }

    /// Notes a record that was there before the import.
    pub(crate) fn note_older(&mut self) {
        self.tally.of += 1;
    }

    pub(crate) async fn push(&mut self, key: &str) -> Result<()> {
        let bytes = key.len() + BYTES_BESIDE;
        if !self.keys.is_empty() && self.bytes + bytes > REPLACE_LIST_BYTES {
            self.store_part().await?;
        }
        self.keys.push(key.to_owned());
        self.bytes += bytes;
        self.tally.records += 1;
        Ok(())
    }

    async fn store_part(&mut self) -> Result<()> {
        let ShardTally { run, parts, .. } = &self.tally;
        self.store.put_keys(&self.import.id, self.shard, run, *parts, &self.keys).await?;
        self.tally.parts += 1;
        self.keys.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Stores what is left, and the tally that names the list; whether it is this run's that counts.
    pub(crate) async fn finish(mut self, pass: Pass) -> Result<bool> {
        if !self.keys.is_empty() {
            self.store_part().await?;
        }
        self.store.tally_shard(&self.import.id, self.shard, pass, &self.tally).await
    }
}
