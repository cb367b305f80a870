//! The pages of a kind's records in one order, some shards read ahead.

use std::collections::VecDeque;

use penstock_engine::export::{RecordWriter, Text, Written};
use penstock_model::{
    AccountId, Export, ExportCheckpoint, KindName, Record, SHARDS,
    limits::{EXPORT_PAGE_RECORDS, EXPORT_SHARDS_AT_ONCE},
};
use penstock_store::{Result, Store};
use tokio::{sync::mpsc, task::JoinSet};

/// A page as it goes into the file, and where the next one begins.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) text: Text,
    /// The shard of what follows; [`SHARDS`] when nothing does.
    pub(crate) shard: u16,
    /// The sort key behind which it goes on there.
    pub(crate) after: Option<String>,
}

/// What is the same for every page.
#[derive(Clone)]
struct Source {
    store: Store,
    account: AccountId,
    kind: KindName,
    changed_after: Option<u64>,
    writer: RecordWriter,
}

/// The pages from a checkpoint on. At most [`EXPORT_SHARDS_AT_ONCE`] shards are read at once, each by a task that holds
/// one page and waits with the next. When this is dropped, they end.
pub(crate) struct Pages {
    source: Source,
    readers: JoinSet<()>,
    /// What the readers of the next shards give, in the order of the shards.
    shards: VecDeque<mpsc::Receiver<Result<Page>>>,
    /// The first shard that nobody reads yet.
    next_shard: u16,
    /// Where the first of them begins, of the shard that is gone on in.
    after: Option<String>,
}

impl Pages {
    pub(crate) fn new(store: &Store, export: &Export, writer: RecordWriter, from: &ExportCheckpoint) -> Self {
        let source = Source {
            store: store.clone(),
            account: export.account.clone(),
            kind: export.kind.clone(),
            changed_after: export.changed_after.as_ref().map(|after| after.order),
            writer,
        };
        Self {
            source,
            readers: JoinSet::new(),
            shards: VecDeque::new(),
            next_shard: from.shard,
            after: from.after.clone(),
        }
    }

    /// The next page; `None` behind the last one. A page may hold no record.
    ///
    /// # Errors
    /// What may be different next time.
    pub(crate) async fn next(&mut self) -> Result<Option<Page>> {
        loop {
            while self.shards.len() < EXPORT_SHARDS_AT_ONCE && self.next_shard < SHARDS {
                let (pages, shard) = mpsc::channel(1);
                self.readers.spawn(read(self.source.clone(), self.next_shard, self.after.take(), pages));
                self.shards.push_back(shard);
                self.next_shard += 1;
            }
            let Some(shard) = self.shards.front_mut() else { return Ok(None) };
            match shard.recv().await {
                Some(page) => return page.map(Some),
                None => self.shards.pop_front(),
            };
        }
    }
}

/// Reads a shard to its end, page by page, as fast as somebody takes them.
async fn read(mut source: Source, shard: u16, mut after: Option<String>, pages: mpsc::Sender<Result<Page>>) {
    loop {
        let page = source.page(shard, after.as_deref()).await;
        after = page.as_ref().ok().and_then(|page| page.after.clone());
        let is_last = page.as_ref().map_or(true, |page| page.shard != shard);
        if pages.send(page).await.is_err() || is_last {
            return;
        }
    }
}

impl Source {
    async fn page(&mut self, shard: u16, after: Option<&str>) -> Result<Page> {
        let number = u8::try_from(shard).expect("there are 256 shards");
        let (account, kind) = (&self.account, &self.kind);
        let page = self.store.shard_page(account, kind, number, after, EXPORT_PAGE_RECORDS).await?;
        let records = page.records.iter().filter_map(|(key, record)| wanted(self.changed_after, key, record));
        let text = self.writer.write(records);
        let (shard, after) = match page.next {
            Some(after) => (shard, Some(after)),
            None => (shard + 1, None),
        };
        Ok(Page { text, shard, after })
    }
}

/// A record as it goes into the file; `None` where it does not. One that was deleted is told in a difference alone.
fn wanted<'r>(changed_after: Option<u64>, key: &'r str, record: &'r Record) -> Option<Written<'r>> {
    let fields = (!record.is_gone()).then_some(&record.fields);
    match changed_after {
        None => fields.map(|fields| Written { key, fields: Some(fields) }),
        Some(order) => (record.changed().order > order).then_some(Written { key, fields }),
    }
}
