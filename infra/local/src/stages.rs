//! Following imports and exports, to tell of the stages that they reach.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use penstock_model::{AccountId, ExportId, ExportStatus, ImportId, Status};
use penstock_store::{Store, names::Folder, uploads};
use tokio::sync::mpsc;

use crate::events::{Event, Events, ExportReached, Reached};
use crate::lambda::LambdaHost;
use crate::pulse::Pulse;
use crate::s3::StoredObject;

/// How often imports and exports are looked at, at most, while something happens.
const PACE: Duration = Duration::from_millis(100);

/// Where the storage tells of objects, and a start of imports that it found unfinished.
#[derive(Clone, Debug)]
pub(crate) struct Stages {
    events: Events,
    follow: mpsc::UnboundedSender<Followed>,
}

/// What is followed.
#[derive(Debug)]
enum Followed {
    Import(AccountId, ImportId),
    Export(AccountId, ExportId),
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

/// What has been told of an export.
#[derive(Debug, Default)]
struct ExportTold {
    is_ordered: bool,
    is_read: bool,
    has_ended: bool,
}

/// All that is followed, with what has been told of each.
#[derive(Debug, Default)]
struct Following {
    imports: BTreeMap<(AccountId, ImportId), Told>,
    exports: BTreeMap<(AccountId, ExportId), ExportTold>,
}

impl Following {
    fn take(&mut self, followed: Followed) {
        match followed {
            Followed::Import(account, import) => drop(self.imports.entry((account, import)).or_default()),
            Followed::Export(account, export) => drop(self.exports.entry((account, export)).or_default()),
        }
    }
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
        } else if let Some((Folder::Exports, account)) = Folder::of(&object.key)
            && let Some((_, name)) = object.key.rsplit_once('/')
            && let Some(export) = name.split('.').next().and_then(|id| id.parse().ok())
        {
            // It may have been ordered and be done between two looks.
            let _ = self.follow.send(Followed::Export(account, export));
        }
    }

    /// Follows an import from where it stands.
    pub(crate) fn follow(&self, account: AccountId, import: ImportId) {
        // Nobody follows when the cloud has stopped.
        let _ = self.follow.send(Followed::Import(account, import));
    }
}

async fn run(
    events: Events,
    store: Store,
    activity: Pulse,
    host: LambdaHost,
    mut followed: mpsc::UnboundedReceiver<Followed>,
) {
    let mut changes = activity.subscribe();
    let mut following = Following::default();
    loop {
        tokio::select! {
            Some(new) = followed.recv() => following.take(new),
            // An export may have been ordered.
            Ok(()) = changes.changed() => {}
            () = host.stopped() => return,
            else => return,
        }
        // What happens meanwhile is seen at the next look.
        tokio::time::sleep(PACE).await;
        while let Ok(new) = followed.try_recv() {
            following.take(new);
        }
        changes.mark_unchanged();
        let Following { imports, exports } = &mut following;
        let mut ended = Vec::new();
        for ((account, import), told) in imports.iter_mut() {
            if look(&events, &store, account, import, told).await {
                ended.push((account.clone(), import.clone()));
            }
        }
        for import in &ended {
            imports.remove(import);
        }
        look_at_exports(&events, &store, exports).await;
    }
}

/// Tells what is new of exports: of those that are followed, and of those that the sweeper would look at. What is told
/// whole is remembered for as long as the sweeper would.
async fn look_at_exports(events: &Events, store: &Store, exports: &mut BTreeMap<(AccountId, ExportId), ExportTold>) {
    // What cannot be read now is read at the next look.
    let Ok(listed) = store.unfinished_exports().await else { return };
    let listed: BTreeSet<_> = listed.into_iter().collect();
    for export in &listed {
        exports.entry(export.clone()).or_default();
    }
    for ((account, id), told) in exports.iter_mut().filter(|(_, told)| !told.has_ended) {
        let Ok(found) = store.export(account, id).await else { continue };
        let Some(export) = found else {
            told.has_ended = true;
            continue;
        };
        let tell = |stage| events.tell(Event::Export { id: id.to_string(), stage });
        if !std::mem::replace(&mut told.is_ordered, true) {
            tell(ExportReached::Ordered { kind: export.kind.to_string() });
        }
        let is_read = matches!(export.status, ExportStatus::Processing | ExportStatus::Completed);
        if is_read && !std::mem::replace(&mut told.is_read, true) {
            tell(ExportReached::Reading);
        }
        if export.status.is_final() {
            told.has_ended = true;
            let (records, bytes) = (export.checkpoint.records, export.checkpoint.bytes);
            tell(ExportReached::Ended { status: export.status, records, bytes, failure: export.failure });
        }
    }
    exports.retain(|export, told| !told.has_ended || listed.contains(export));
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
        tell(match import.is_review() {
            true => Reached::Judged,
            false => Reached::Held { records: import.to_remove.unwrap_or_default().records },
        });
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
