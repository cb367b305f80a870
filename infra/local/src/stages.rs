//! Following imports, to tell of the stages that they reach.

use std::collections::BTreeMap;
use std::time::Duration;

use penstock_model::{AccountId, ImportId, Status};
use penstock_store::{Store, uploads};
use tokio::sync::mpsc;

use crate::events::{Event, Events, Reached};
use crate::lambda::LambdaHost;
use crate::pulse::Pulse;
use crate::s3::StoredObject;

/// How often imports are looked at, at most, while something happens.
const PACE: Duration = Duration::from_millis(100);

/// Where the storage tells of objects, and a start of imports that it found unfinished.
#[derive(Clone, Debug)]
pub(crate) struct Stages {
    events: Events,
    follow: mpsc::UnboundedSender<(AccountId, ImportId)>,
}

/// What has been told of an import.
#[derive(Debug, Default)]
struct Told {
    waits: bool,
    is_held: bool,
    is_read: bool,
    is_split: bool,
    has_ended: bool,
}

impl Stages {
    /// A place to tell of imports, and the task that follows them until the host is stopped.
    pub(crate) fn new(
        events: Events,
        store: Store,
        activity: Pulse,
        host: LambdaHost,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (follow, followed) = mpsc::unbounded_channel();
        (Self { events: events.clone(), follow }, run(events, store, activity, host, followed))
    }

    /// An object has been stored.
    pub(crate) fn stored(&self, object: &StoredObject) {
        if let Some((account, import)) = uploads::of_key(&object.key) {
            let stage = Reached::Uploaded { bytes: object.size };
            self.events.tell(Event::Import { id: import.to_string(), stage });
            self.follow(account, import);
        }
    }

    /// Follows an import from where it stands.
    pub(crate) fn follow(&self, account: AccountId, import: ImportId) {
        // Nobody follows when the cloud has stopped.
        let _ = self.follow.send((account, import));
    }
}

async fn run(
    events: Events,
    store: Store,
    activity: Pulse,
    host: LambdaHost,
    mut followed: mpsc::UnboundedReceiver<(AccountId, ImportId)>,
) {
    let mut changes = activity.subscribe();
    let mut imports: BTreeMap<(AccountId, ImportId), Told> = BTreeMap::new();
    loop {
        tokio::select! {
            Some(import) = followed.recv() => {
                imports.entry(import).or_default();
            }
            Ok(()) = changes.changed(), if !imports.is_empty() => {}
            () = host.stopped() => return,
            else => return,
        }
        // What happens meanwhile is seen at the next look.
        tokio::time::sleep(PACE).await;
        while let Ok(import) = followed.try_recv() {
            imports.entry(import).or_default();
        }
        changes.mark_unchanged();
        let mut ended = Vec::new();
        for ((account, import), told) in &mut imports {
            if look(&events, &store, account, import, told).await {
                ended.push((account.clone(), import.clone()));
            }
        }
        for import in &ended {
            imports.remove(import);
        }
    }
}

/// Tells what is new of an import; whether there is nothing left to follow.
async fn look(events: &Events, store: &Store, account: &AccountId, id: &ImportId, told: &mut Told) -> bool {
    // What cannot be read now is read at the next look.
    let Ok(found) = store.import(account, id).await else { return false };
    let Some(import) = found else { return true };
    let tell = |stage| events.tell(Event::Import { id: id.to_string(), stage });
    if let Some(gate) = &import.waiting_for
        && !std::mem::replace(&mut told.waits, true)
    {
        tell(Reached::Waits { gate: gate.to_string() });
    }
    let is_taken = import.object.is_some() && import.waiting_for.is_none();
    if is_taken && !std::mem::replace(&mut told.is_read, true) {
        tell(Reached::Reading);
    }
    if let Some(rows) = import.total
        && !std::mem::replace(&mut told.is_split, true)
    {
        tell(Reached::Split { rows });
    }
    if import.status == Status::AwaitingConfirmation && !std::mem::replace(&mut told.is_held, true) {
        tell(Reached::Held { records: import.to_remove.unwrap_or_default().records });
    }
    if !import.status.is_final() {
        return false;
    }
    if !told.has_ended {
        let Ok(rows) = store.rows(&import).await else { return false };
        told.has_ended = true;
        tell(Reached::Ended { status: import.status, rows, failure: import.failure.clone() });
    }
    if import.report.is_some() {
        tell(Reached::Reported);
        return true;
    }
    !import.owes_report()
}
