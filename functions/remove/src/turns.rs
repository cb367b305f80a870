//! The shards of one run of a pass, and what others have done of them meanwhile.
//!
//! The order to remove may come twice at the same time: of validators that were last together each sends it. Two runs
//! begin at different shards, and one that finds a shard done by another looks which others are. So they share the
//! work instead of doing it twice.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use penstock_model::Import;
use penstock_runtime::Deadline;
use penstock_store::{Store, replace::Pass};

use crate::{list::List, run::Stop};

pub(crate) struct Turns<'a> {
    store: &'a Store,
    import: &'a Import,
    pass: Pass,
    deadline: Deadline,
    /// Shards that others have done.
    by_others: Mutex<BTreeSet<u8>>,
    /// Whether this run has done one: each gets further by one at least.
    has_done: AtomicBool,
}

impl<'a> Turns<'a> {
    pub(crate) fn new(store: &'a Store, import: &'a Import, pass: Pass, deadline: Deadline) -> Self {
        Self { store, import, pass, deadline, by_others: Mutex::default(), has_done: AtomicBool::new(false) }
    }

    /// The shards in the order in which this run does them.
    pub(crate) fn in_order<T>(&self, mut shards: Vec<T>) -> Vec<T> {
        if !shards.is_empty() {
            let [first] = penstock_store::random();
            let first = usize::from(first) % shards.len();
            shards.rotate_left(first);
        }
        shards
    }

    pub(crate) fn is_done_by_another(&self, shard: u8) -> bool {
        self.by_others.lock().expect("no holder panics").contains(&shard)
    }

    /// Whether the invocation's time is near its end.
    ///
    /// # Errors
    /// [`Stop::NoTime`], unless this run has got no further yet.
    pub(crate) fn goes_on(&self) -> Result<(), Stop> {
        let stops = self.deadline.is_near() && self.has_done.load(Ordering::Relaxed);
        if stops { Err(Stop::NoTime) } else { Ok(()) }
    }

    /// Ends a shard: what the list holds counts, or what another run has found.
    pub(crate) async fn end(&self, list: List<'_>) -> Result<(), Stop> {
        if !list.finish(self.pass).await? {
            let tallies = self.store.shard_tallies(&self.import.id, self.pass).await?;
            *self.by_others.lock().expect("no holder panics") = tallies.into_keys().collect();
        }
        self.has_done.store(true, Ordering::Relaxed);
        Ok(())
    }
}
