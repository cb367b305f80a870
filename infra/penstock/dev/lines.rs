//! What the local cloud tells as it happens, a line each: `PUT /uploads/… 200 12 ms`, `imp_… split: 8 rows`.

use std::thread;

use penstock_local::{Asked, Event, ExportReached, Reached};
use tokio::sync::{mpsc, oneshot};

/// Prints a line for each event on standard error; of a `quiet` one only what went wrong. The receiver tells when all
/// are printed.
///
/// A thread of its own does it: a terminal that is stopped holds up no request.
pub(super) fn print(mut events: mpsc::Receiver<Event>, quiet: bool) -> std::io::Result<oneshot::Receiver<()>> {
    let (ending, ended) = oneshot::channel::<()>();
    thread::Builder::new().name("lines".to_owned()).spawn(move || {
        let _ending = ending;
        while let Some(event) = events.blocking_recv() {
            if !quiet || has_failed(&event) {
                note!("{}", line(&event));
            }
        }
    })?;
    Ok(ended)
}

/// Whether it is told even to those who want to hear nothing.
fn has_failed(event: &Event) -> bool {
    match event {
        Event::Request(asked) => asked.has_failed(),
        Event::Import { stage: Reached::Ended { failure, .. }, .. } => failure.is_some(),
        Event::Export { stage: ExportReached::Ended { failure, .. }, .. } => failure.is_some(),
        Event::Import { .. } | Event::Export { .. } | Event::OnBus { .. } => false,
        Event::Missed(_) => true,
    }
}

fn line(event: &Event) -> String {
    match event {
        Event::Request(asked) => request(asked),
        Event::Import { id, stage } => format!("{id} {}", reached(stage)),
        Event::Export { id, stage } => format!("{id} {}", export_reached(stage)),
        Event::OnBus { what, id, of } => format!("{of} {what}: {id} is on the bus"),
        Event::Missed(events) => format!("{events} more lines came too fast to be printed"),
    }
}

fn request(asked: &Asked) -> String {
    let Asked { method, path, status, code, took, .. } = asked;
    let took = took.as_millis();
    let code = code.as_ref().map(|code| format!(" {code}")).unwrap_or_default();
    match status {
        Some(status) => format!("{method} {path} {status} {took} ms{code}"),
        None => format!("{method} {path} broke off after {took} ms: the client was gone, or silent for too long"),
    }
}

fn reached(stage: &Reached) -> String {
    match stage {
        Reached::Uploaded { bytes } => format!("uploaded: {bytes} bytes"),
        Reached::Waits { gate } => format!("waiting for {gate}, which replaces the records of its kind"),
        Reached::Held { records } => format!("awaiting_confirmation: it would remove {records} records"),
        Reached::Judged => "awaiting_confirmation: its rows are judged".to_owned(),
        Reached::Reading => "processing: its file is read".to_owned(),
        Reached::Split { rows } => format!("split: {rows} rows"),
        Reached::Ended { status, rows, failure } => {
            let why = failure.as_ref().map(|why| format!(": {} ({})", why.message, why.code)).unwrap_or_default();
            format!("{}: {} rows processed, {} of them rejected{why}", status.as_str(), rows.processed, rows.failed)
        }
        Reached::Reported => "reported: its rejected rows can be fetched".to_owned(),
    }
}

fn export_reached(stage: &ExportReached) -> String {
    match stage {
        ExportReached::Ordered { kind } => format!("ordered: the records of {kind}"),
        ExportReached::Reading => "processing: records are read".to_owned(),
        ExportReached::Ended { status, records, bytes, failure } => {
            let why = failure.as_ref().map(|why| format!(": {} ({})", why.message, why.code)).unwrap_or_default();
            format!("{}: {records} records, {bytes} bytes{why}", status.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use penstock_model::{ExportStatus, Failure, Rows, Status};

    use super::*;

    fn asked(status: Option<u16>, is_upload: bool) -> Event {
        Event::Request(Asked {
            method: "PUT".to_owned(),
            path: "/uploads/uploads/1/imp".to_owned(),
            status,
            code: status.filter(|status| *status == 403).map(|_| "AccessDenied".to_owned()),
            took: Duration::from_micros(12_900),
            is_upload,
        })
    }

    #[test]
    fn a_line_says_what_happened() {
        assert_eq!(line(&asked(Some(200), true)), "PUT /uploads/uploads/1/imp 200 12 ms");
        assert_eq!(line(&asked(Some(403), true)), "PUT /uploads/uploads/1/imp 403 12 ms AccessDenied");
        assert!(line(&asked(None, true)).starts_with("PUT /uploads/uploads/1/imp broke off after 12 ms"));
        let import = |stage| line(&Event::Import { id: "imp".to_owned(), stage });
        assert_eq!(import(Reached::Split { rows: 8 }), "imp split: 8 rows");
        assert_eq!(import(Reached::Held { records: 3 }), "imp awaiting_confirmation: it would remove 3 records");
        assert_eq!(import(Reached::Judged), "imp awaiting_confirmation: its rows are judged");
        let rows = Rows { processed: 8, failed: 2, ..Rows::default() };
        let failure = Some(Failure::new("missing_column", "there is no column `sku`"));
        assert_eq!(
            import(Reached::Ended { status: Status::Failed, rows, failure }),
            "imp failed: 8 rows processed, 2 of them rejected: there is no column `sku` (missing_column)"
        );
    }

    #[test]
    fn a_line_says_how_far_an_export_is() {
        let export = |stage| line(&Event::Export { id: "exp".to_owned(), stage });
        assert_eq!(export(ExportReached::Ordered { kind: "orders".to_owned() }), "exp ordered: the records of orders");
        let ended = |status, failure| ExportReached::Ended { status, records: 3, bytes: 70, failure };
        assert_eq!(export(ended(ExportStatus::Completed, None)), "exp completed: 3 records, 70 bytes");
        let failed = ended(ExportStatus::Failed, Some(Failure::new("kind_gone", "the kind is gone")));
        assert_eq!(export(failed.clone()), "exp failed: 3 records, 70 bytes: the kind is gone (kind_gone)");
        assert!(has_failed(&Event::Export { id: "exp".to_owned(), stage: failed }));
        assert!(!has_failed(&Event::Export { id: "exp".to_owned(), stage: ExportReached::Reading }));
    }

    #[test]
    fn what_went_wrong_is_told_to_everyone() {
        for (event, wrong) in [
            (asked(Some(200), true), false),
            (asked(Some(403), true), true),
            (asked(Some(404), false), false),
            (asked(Some(500), false), true),
            (asked(None, true), true),
            (asked(None, false), false),
            (Event::Missed(3), true),
        ] {
            assert_eq!(has_failed(&event), wrong, "{event:?}");
        }
    }
}
