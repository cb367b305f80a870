//! The nouns of Penstock: plain data that every function, the store and the command share.
//!
//! No AWS, no tokio, no clock: what stands here can be built, compared and printed by a unit test.

mod account_removal;
mod actor;
pub mod advice;
pub mod again;
mod block;
mod chunk;
pub mod codes;
pub mod cost;
mod decimal;
pub mod digest;
pub mod event;
mod export;
mod id;
mod import;
mod inbox;
mod job;
mod layout;
mod lifecycle;
pub mod limits;
mod listed;
mod order;
pub mod parts;
mod pipeline;
mod preset;
mod read_options;
mod record;
mod remedy;
mod removal;
pub mod replace;
mod retention;
pub mod retry;
pub mod review;
mod row_error;
mod schema;
mod scope;
pub mod story;
mod tally;
mod timestamp;
pub mod views;
pub mod webhook;

pub use account_removal::{AccountRemoval, AccountRemovalStage, PurgePlace, PurgeStep, Purged, RemovedCounts};
pub use actor::Actor;
pub use block::{Begin, Block, Fate, Verdict};
pub use chunk::{Body, Chunk, DocumentFlaw, Dropped, RecordFlaw, Repeats};
pub use decimal::{Decimal, DecimalError};
pub use event::{Event, EventMessage, EventType, Listener, Listeners, Subject};
pub use export::{
    ChangedAfter, Export, ExportBegin, ExportCheckpoint, ExportCompression, ExportFormat, ExportLook, ExportStatus,
    SHARDS,
};
pub use id::{AccountId, EventId, ExportId, ImportId, InvalidId, KindName, PresetName, WebhookId};
pub use import::{
    Abort, Checkpoint, Chunking, EmptyCells, Failure, Halt, Import, ImportOptions, Mode, Report, ReportCheckpoint,
    Status, StoredObject,
};
pub use inbox::{InboxFile, Waits};
pub use job::Job;
pub use layout::{Compression, Format, Grammar, InvalidDelimiter, Layout, UTF_8, UnknownFormat, delimiter_byte};
pub use lifecycle::{ClosedBlocks, Deletion, Marks, Settlement, Stage, Transition, Uploaded};
pub use order::{ChunkMessage, MessageError, Order};
pub use parts::{Closed, Part, PartsFault, PartsUpload, StoredPart};
pub use pipeline::{FunctionName, MOST_RECEIVES, QueueName, QueueRow, VISIBILITY_PER_TIMEOUT};
pub use preset::Preset;
pub use read_options::{InvalidOption, ReadOptions, ShortRows, number_char};
pub use record::{Applied, Record, Stamp, Value};
pub use remedy::{has_remedy, remedy};
pub use removal::{Kept, Removal};
pub use retention::Retention;
pub use row_error::{ErrorCount, ErrorCounts, ErrorCursor, RowError, RowRange, without_places};
pub use schema::{
    AdditionalFields, ColumnNames, Constraints, Conversion, DefaultFrom, Field, FieldDefault, FieldType, FieldsMatch,
    ItemSchema, Others, RowRule, Scalar, Schema, ValueScope,
};
pub use scope::Scope;
pub use tally::{Rows, Tally};
pub use timestamp::{rfc3339, unix_ms};
pub use webhook::{
    Attempt, Delivery, DeliveryBegin, DeliveryState, Disabled, DisabledFor, Outcome, SignatureStyle, Webhook,
    WebhookChange, WebhookSecret,
};
