//! Orders: what the messages on the queues say.
//!
//! A message's first line is JSON with one member, whose name says which order it is and whose value what to do:
//!
//! ```text
//! {"chunk":{"job":{…},"index":7,…,"carried":"text"}}
//! SKU-1,Lamp,Acme
//! …
//! {"continue":{"account":"1","import":"imp_…","died_at":null}}
//! {"resend_missing":{"account":"1","import":"imp_…","from":{…}}}
//! {"report":{"account":"1","import":"imp_…"}}
//! {"export":{"account":"1","export":"exp_…"}}
//! {"remove":{"account":"1","import":"imp_…"}}
//! {"tell":{"account":"1","event":"evt_…"}}
//! {"deliver":{"account":"1","webhook":"whk_…","event":"evt_…","attempt":0}}
//! ```
//!
//! A chunk's rows follow as they came. Rows that SQS would refuse or alter (control characters, invalid UTF-8; Amazon
//! SQS API Reference, SendMessage) follow in base64 instead.
//!
//! A message that is no order of this version, such as one of a later version, is refused by whoever reads it: it goes
//! back to its queue, then to the dead-letter queue, and stays there, where an alarm shows it.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    AccountId, Body, Checkpoint, Chunk, Delivery, Dropped, Event, EventId, Export, ExportId, Import, ImportId, Job,
    QueueName, RecordFlaw, Repeats, WebhookId, limits::MESSAGE_BYTES,
};

/// What a message on a queue orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// A chunk's rows are to be validated and applied. On the wire they follow the first line.
    #[serde(skip)]
    Chunk(Box<ChunkMessage>),
    /// A split is to continue: its upload is looked for and accepted, if that has not been done, and split from the
    /// checkpoint on.
    Continue {
        /// Whose import it is.
        account: AccountId,
        /// The import.
        import: ImportId,
        /// The chunk at which the checkpoint stood when a splitter was dead-lettered before: the import is given up if
        /// this order is dead-lettered without getting further.
        died_at: Option<u32>,
    },
    /// The chunks that have no tally are to be sent again, from here on.
    ResendMissing {
        /// Whose import it is.
        account: AccountId,
        /// The import.
        import: ImportId,
        /// Where in the file.
        from: Checkpoint,
    },
    /// The rejected rows of an ended import are to be written.
    Report {
        /// Whose import it is.
        account: AccountId,
        /// The import.
        import: ImportId,
    },
    /// The records of an export are to be read, from its checkpoint on.
    Export {
        /// Whose export it is.
        account: AccountId,
        /// The export.
        export: ExportId,
    },
    /// The records that the file of a replace does not name are to be counted, or removed.
    Remove {
        /// Whose import it is.
        account: AccountId,
        /// The import.
        import: ImportId,
    },
    /// An event is to be told: to the bus, and to each endpoint that asks for it.
    Tell {
        /// Whose event it is.
        account: AccountId,
        /// The event.
        event: EventId,
    },
    /// An event is to be sent to an endpoint.
    Deliver {
        /// Whose endpoint it is.
        account: AccountId,
        /// The endpoint.
        webhook: WebhookId,
        /// The event.
        event: EventId,
        /// The number of the attempt, from 0. Once that has begun, the order means nothing any more.
        attempt: u32,
    },
}

/// What is wrong with a message; it never repeats any of it.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The first line is no order that this version writes.
    #[error("the message is no order that this version knows")]
    Unknown,
    /// The order came to a queue whose function does not take it.
    #[error("the message is an order for the queue {0}, and came elsewhere")]
    Misplaced(QueueName),
    /// Something follows the first line of an order that has nothing to carry.
    #[error("the message carries rows that its order does not announce")]
    Rows,
    /// The rows are not the base64 that the first line announces, or what it says of dropped rows is none.
    #[error("the chunk message's rows, or those that it says are dropped, are not base64")]
    Base64(#[source] base64::DecodeError),
    /// The rows are not as long as the first line says.
    #[error("the chunk message carries {found} bytes of rows, its header says {stated}")]
    Length {
        /// Bytes announced.
        stated: u64,
        /// Bytes found.
        found: u64,
    },
    /// A number is none that a splitter writes.
    #[error("the chunk message's {0} is out of bounds")]
    OutOfBounds(&'static str),
    /// The message would be larger than SQS takes.
    #[error("the chunk message has {bytes} bytes, the limit is {MESSAGE_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
}

/// The first line of a message.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FirstLine<'a> {
    Chunk(Box<Header<'a>>),
    #[serde(untagged)]
    Other(Cow<'a, Order>),
}

impl Order {
    /// That an import's split is to continue.
    pub fn to_continue(import: &Import, died_at: Option<u32>) -> Self {
        Self::Continue { account: import.account.clone(), import: import.id.clone(), died_at }
    }

    /// That an import's missing chunks are to be sent again.
    pub fn to_resend(import: &Import, from: Checkpoint) -> Self {
        Self::ResendMissing { account: import.account.clone(), import: import.id.clone(), from }
    }

    /// That an import's rejected rows are to be written.
    pub fn to_report(import: &Import) -> Self {
        Self::Report { account: import.account.clone(), import: import.id.clone() }
    }

    /// That an export's records are to be read.
    pub fn to_export(export: &Export) -> Self {
        Self::Export { account: export.account.clone(), export: export.id.clone() }
    }

    /// That an import's removal of records is to go on, of its kind's gate as well.
    pub fn to_remove(account: &AccountId, import: &ImportId) -> Self {
        Self::Remove { account: account.clone(), import: import.clone() }
    }

    /// That an event is to be told.
    pub fn to_tell(event: &Event) -> Self {
        Self::Tell { account: event.account.clone(), event: event.id.clone() }
    }

    /// That the next attempt of a delivery is to be made.
    pub fn to_deliver(delivery: &Delivery) -> Self {
        Self::Deliver {
            account: delivery.event.account.clone(),
            webhook: delivery.webhook.clone(),
            event: delivery.id().clone(),
            attempt: delivery.begun,
        }
    }

    /// The group of messages that the order belongs to: fair queues keep one group's burst from starving the others
    /// (Amazon SQS Developer Guide, "Amazon SQS fair queues"). An endpoint is one, so that none is held up by another.
    pub fn group(&self) -> &str {
        match self {
            Self::Deliver { webhook, .. } => webhook.as_str(),
            _ => self.account().as_str(),
        }
    }

    /// The queue on which the order travels.
    pub fn queue(&self) -> QueueName {
        match self {
            Self::Chunk(_) => QueueName::Chunks,
            Self::Continue { .. } | Self::ResendMissing { .. } => QueueName::Splits,
            Self::Report { .. } => QueueName::Reports,
            Self::Export { .. } => QueueName::Exports,
            Self::Remove { .. } => QueueName::Removals,
            Self::Tell { .. } | Self::Deliver { .. } => QueueName::Notifications,
        }
    }

    /// Whose import, export or event the order is about.
    pub fn account(&self) -> &AccountId {
        match self {
            Self::Chunk(message) => &message.job.account,
            Self::Continue { account, .. }
            | Self::ResendMissing { account, .. }
            | Self::Report { account, .. }
            | Self::Remove { account, .. }
            | Self::Export { account, .. }
            | Self::Tell { account, .. }
            | Self::Deliver { account, .. } => account,
        }
    }

    /// Why a function refuses an order that came to its queue and is for another.
    pub fn misplaced(&self) -> MessageError {
        MessageError::Misplaced(self.queue())
    }

    /// The body of the message, at most [`MESSAGE_BYTES`] of characters that SQS takes.
    ///
    /// # Errors
    /// See [`ChunkMessage::encode`].
    pub fn encode(&self) -> Result<String, MessageError> {
        match self {
            Self::Chunk(message) => message.encode(),
            other => Ok(first_line(&FirstLine::Other(Cow::Borrowed(other)))),
        }
    }

    /// Reads what [`Order::encode`] wrote.
    ///
    /// # Errors
    /// [`MessageError`] for anything else.
    pub fn decode(body: &str) -> Result<Self, MessageError> {
        let (line, rows) = match body.split_once('\n') {
            Some((line, rows)) => (line, Some(rows)),
            None => (body, None),
        };
        match (serde_json::from_str(line).map_err(|_| MessageError::Unknown)?, rows) {
            (FirstLine::Chunk(header), rows) => {
                Ok(Self::Chunk(Box::new(ChunkMessage::read(*header, rows.unwrap_or_default())?)))
            }
            (FirstLine::Other(order), None) => Ok(order.into_owned()),
            (FirstLine::Other(_), Some(_)) => Err(MessageError::Rows),
        }
    }
}

/// JSON whose characters SQS takes: what it refuses can stand in a string alone, such as a column's name, and has an
/// escape there.
fn first_line(line: &FirstLine<'_>) -> String {
    let json = serde_json::to_string(line).expect("an order's members have JSON");
    if json.chars().all(is_carried) {
        return json;
    }
    let escaped = |c: char| if is_carried(c) { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) };
    json.chars().map(escaped).collect()
}

/// A chunk on its way from the splitter to a validator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkMessage {
    /// What is the same for every chunk of the import.
    pub job: Job,
    /// The chunk.
    pub chunk: Chunk,
    /// Its rows that may name a record again.
    pub repeats: Repeats,
    /// Its rows that are dropped. A chunk that is made again has none.
    pub dropped: Dropped,
    /// Whether the chunk is given up if this message is dead-lettered before it has begun: it was, once, before.
    pub last_try: bool,
}

/// What the first line of a chunk's message says.
#[derive(Serialize, Deserialize)]
struct Header<'a> {
    job: Cow<'a, Job>,
    index: u32,
    first_row: u64,
    first_line: u64,
    offset: u64,
    bytes: u64,
    rows: u64,
    /// [`Repeats::Rows`], if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repeats: Option<Cow<'a, [u64]>>,
    /// [`Dropped`], if there are any. A version that does not know it applies the rows, which comes to the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dropped: Option<String>,
    #[serde(default)]
    last_try: bool,
    carried: Carried,
}

/// How the rows follow.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Carried {
    Text,
    Base64,
    /// Not at all.
    Refused(RecordFlaw),
}

impl ChunkMessage {
    /// The body of the message, at most [`MESSAGE_BYTES`] of characters that SQS takes.
    ///
    /// # Errors
    /// [`MessageError::TooLarge`]: the columns' names alone must be huge, since a chunk's bytes are bounded.
    pub fn encode(&self) -> Result<String, MessageError> {
        let (carried, rows) = match &self.chunk.body {
            Body::Refused(refusal) => (Carried::Refused(*refusal), Cow::Borrowed("")),
            Body::Rows(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if text.chars().all(is_carried) => (Carried::Text, Cow::Borrowed(text)),
                _ => (Carried::Base64, Cow::Owned(STANDARD.encode(bytes))),
            },
        };
        let Chunk { index, first_row, first_line: line, offset, bytes, rows: count, .. } = self.chunk;
        let mut body = first_line(&FirstLine::Chunk(Box::new(Header {
            job: Cow::Borrowed(&self.job),
            index,
            first_row,
            first_line: line,
            offset,
            bytes,
            rows: count,
            repeats: match &self.repeats {
                Repeats::Any => None,
                Repeats::Rows(rows) => Some(Cow::Borrowed(rows)),
            },
            dropped: self.dropped.to_text(),
            last_try: self.last_try,
            carried,
        })));
        body.reserve_exact(1 + rows.len());
        body.push('\n');
        body.push_str(&rows);
        if body.len() > MESSAGE_BYTES {
            return Err(MessageError::TooLarge { bytes: body.len() });
        }
        Ok(body)
    }

    fn read(header: Header<'_>, rows: &str) -> Result<Self, MessageError> {
        let Header {
            job,
            index,
            first_row,
            first_line,
            offset,
            bytes,
            rows: count,
            repeats,
            dropped,
            last_try,
            carried,
        } = header;
        let repeats = repeats.map_or(Repeats::Any, |rows| Repeats::Rows(rows.into_owned()));
        let dropped = Dropped::of_text(dropped.as_deref()).map_err(MessageError::Base64)?;
        // Half the range, so that sums of two stay inside it.
        let most = u64::MAX / 2;
        for (what, number, least) in [
            ("first row", first_row, 1),
            ("first line", first_line, 1),
            ("number of rows", count, 1),
            ("number of chunks to a block", job.chunking.per_block.into(), 1),
            ("offset", offset, 0),
            ("number of bytes", bytes, 0),
        ] {
            if !(least..=most).contains(&number) {
                return Err(MessageError::OutOfBounds(what));
            }
        }
        let body = match carried {
            Carried::Refused(refusal) => Body::Refused(refusal),
            Carried::Text => Body::Rows(rows.as_bytes().to_vec()),
            Carried::Base64 => Body::Rows(STANDARD.decode(rows).map_err(MessageError::Base64)?),
        };
        let (stated, found) = match &body {
            Body::Rows(rows) => (bytes, rows.len() as u64),
            Body::Refused(_) => (0, rows.len() as u64),
        };
        if stated != found {
            return Err(MessageError::Length { stated, found });
        }
        let chunk = Chunk { index, first_row, first_line, offset, bytes, rows: count, body };
        Ok(Self { job: job.into_owned(), chunk, repeats, dropped, last_try })
    }
}

/// Whether SQS carries the character as it is: `#x9 | #xA | #xD | #x20-#xD7FF | #xE000-#xFFFD | #x10000-#x10FFFF`.
fn is_carried(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Grammar, ImportOptions, KindName};

    fn import() -> Import {
        let kind: KindName = "products".parse().expect("valid");
        Import::new(ImportId::new(1, [7; 10]), "1".parse().expect("valid"), kind, 1, 2)
    }

    fn message(body: Body) -> ChunkMessage {
        let bytes = match &body {
            Body::Rows(rows) => rows.len() as u64,
            Body::Refused(_) => 300_000,
        };
        let Import { account, kind, .. } = import();
        let columns = vec!["sku".into(), "näme\n".into(), "\u{fffe}\u{ffff}".into()];
        ChunkMessage {
            job: Job::dry(account, kind, &ImportOptions::default(), Grammar::CSV, columns),
            chunk: Chunk { index: 2, first_row: 10, first_line: 12, offset: 99, bytes, rows: 1, body },
            repeats: Repeats::Rows(vec![10]),
            dropped: Dropped::default(),
            last_try: false,
        }
    }

    #[test]
    fn every_order_comes_back_as_it_was() {
        let at = Checkpoint { chunk: 2, offset: 9, row: 3, line: 4 };
        let Import { account, kind, .. } = import();
        let export = Export::new(ExportId::new(1, [7; 10]), account, kind, 1);
        let event = import().event_of_upload(1).expect("it awaits one");
        let delivery = Delivery::new(WebhookId::new(1, [7; 10]), false, event.clone(), 1);
        assert_eq!(Order::to_deliver(&delivery).group(), delivery.webhook.as_str());
        assert_eq!(Order::to_tell(&event).group(), "1");
        let orders = [
            Order::to_continue(&import(), Some(4)),
            Order::to_resend(&import(), at),
            Order::to_report(&import()),
            Order::to_export(&export),
            Order::to_remove(&import().account, &import().id),
            Order::to_tell(&event),
            Order::to_deliver(&delivery),
        ];
        let chunks = [
            Body::Rows(b"a,b\r\n\"x\ny\",z\n".to_vec()),
            Body::Rows("ä,\u{1f600}\n".into()),
            Body::Rows(b"nul\0,b\n".to_vec()),
            Body::Rows("not a character \u{ffff}\n".into()),
            Body::Rows(vec![0xff, 0xfe, b'\n']),
            Body::Refused(RecordFlaw::TooLarge),
            Body::Refused(RecordFlaw::UnterminatedQuote { opened_line: 14 }),
        ]
        .map(|body| Order::Chunk(Box::new(message(body))));
        for sent in chunks.into_iter().chain(orders) {
            let wire = sent.encode().expect("small");
            assert!(wire.chars().all(is_carried));
            assert_eq!(Order::decode(&wire).expect("as written"), sent);
        }
    }

    #[test]
    fn a_message_says_which_rows_are_dropped_and_one_of_before_says_none() {
        let mut sent = message(Body::Rows(b"a,b\n".to_vec()));
        let before = sent.encode().expect("small");
        assert!(!before.contains("dropped"));
        for place in [0, 9, 4_095] {
            sent.dropped.add(place);
        }
        let wire = sent.encode().expect("small");
        assert!(wire.len() - before.len() < 720, "{}", wire.len() - before.len());
        assert_eq!(
            (sent.dropped.len(), sent.dropped.has(9), sent.dropped.has(8), sent.dropped.has(9_000)),
            (3, true, false, false)
        );
        let none = ChunkMessage { dropped: Dropped::default(), ..sent.clone() };
        assert!(none.dropped.is_empty() && !none.dropped.has(0));
        for (wire, sent) in [(wire, sent), (before, none)] {
            assert_eq!(Order::decode(&wire).expect("as written"), Order::Chunk(Box::new(sent)));
        }
    }

    #[test]
    fn a_message_says_what_it_is() {
        let tag = |order: Order| {
            let wire = order.encode().expect("small");
            wire.split('"').nth(1).map(str::to_owned).expect("a name")
        };
        let chunk = Order::Chunk(Box::new(message(Body::Rows(b"a,b\n".to_vec()))));
        let orders = [chunk, Order::to_continue(&import(), None), Order::to_resend(&import(), Checkpoint::START)];
        assert_eq!(orders.map(tag), ["chunk", "continue", "resend_missing"]);
        assert_eq!(
            Order::to_report(&import()).encode().expect("small"),
            format!(r#"{{"report":{{"account":"1","import":"{}"}}}}"#, import().id)
        );
    }

    #[test]
    fn the_largest_chunk_of_the_worst_bytes_fits_a_message() {
        let worst = message(Body::Rows(vec![0; crate::limits::CHUNK_BYTES + crate::limits::RECORD_BYTES]));
        assert!(worst.encode().expect("fits").len() <= MESSAGE_BYTES);
    }

    #[test]
    fn a_cut_foreign_or_newer_message_is_refused() {
        let wire = message(Body::Rows(b"a,b\nc,d\n".to_vec())).encode().expect("small");
        let read = |body: &str| Order::decode(body).expect_err("refused");
        assert!(matches!(read(&wire[..wire.len() - 1]), MessageError::Length { stated: 8, found: 7 }));
        let no_rows = wire.replacen("\"rows\":1", "\"rows\":0", 1);
        assert!(matches!(read(&no_rows), MessageError::OutOfBounds("number of rows")));
        let no_row = wire.replacen("\"first_row\":10", "\"first_row\":0", 1);
        assert!(matches!(read(&no_row), MessageError::OutOfBounds("first row")));
        let refused = message(Body::Refused(RecordFlaw::TooLarge)).encode().expect("small");
        assert!(matches!(read(&(refused + "a")), MessageError::Length { stated: 0, found: 1 }));
        let report = Order::to_report(&import()).encode().expect("small");
        assert!(matches!(read(&(report.clone() + "\na,b\n")), MessageError::Rows));
        // An order of a later version, whose account and import are those of a report.
        let newer = report.replacen("report", "forget", 1);
        let bare = &report["{\"report\":".len()..report.len() - 1];
        for unknown in [&newer, bare, "", "{}", "{}\nrows", "null", "\"chunk\"", "\"report\"", "{\"chunk\":{}}\na,b\n"]
        {
            assert!(matches!(read(unknown), MessageError::Unknown), "{unknown}");
        }
        assert!(bare.starts_with("{\"account\""), "{bare}");
    }
}
