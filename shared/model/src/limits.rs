//! Every bound that a file, a request, an import or a service's call meets, once. A limit is a product of numbers:
//! `tests/limits.rs` reads this file, and fails for one that the documents do not print as it is.

/// Largest record of a text file, in bytes, its terminator included: 256 KiB. A longer one is a row error; the file
/// goes on.
pub const RECORD_BYTES: usize = 256 * 1024;

/// Bytes of rows in one chunk, at most: 248 KiB, so that with the header of its message it is four billing units of SQS
/// (64 KiB each).
pub const CHUNK_BYTES: usize = 248 * 1024;

/// Rows in one chunk, at most, so that a chunk of very short rows stays a bounded amount of work.
pub const CHUNK_ROWS: u64 = 4_096;

/// Keys that a splitter remembers, those of the digest that it goes by among them, at most. Its map has 17 bytes a
/// place and 71 MB of them, a sixty-fourth more while it grows: a function of 1,024 MB has room for that. Rows of
/// further keys are never dropped, and are written even where they change nothing.
pub const REMEMBERED_KEYS: usize = 3_500_000;

/// Digests of a kind, each of files with another set of columns, at most. Of more the first by their names stay.
pub const DIGESTS: usize = 4;

/// Fields of a file that are compared with those of another one to tell whether they share one, at most: a file with
/// more may set any.
pub const DIGEST_FIELDS: usize = 100;

/// Records that are deleted one by one, at most, before the digests of their kind are no more.
pub const DIGEST_HOLES: usize = 100;

/// How many splits of a file go by a digest that get no further than where they began: the next ones read every row's
/// key alone, since a row may be what ended them.
pub const DIGEST_TRIES: usize = 2;

/// How long a splitter reads the rows of one chunk, in seconds of processor time, at most: of a file whose rows take
/// longer it goes on to tell nothing.
pub const DIGEST_CHUNK_SECONDS: u64 = 2;

/// Keys that a replace holds at once to tell the records that its file names, at most. Their table has 17 bytes a place
/// and some 300 MB of them, a half more while it grows: of a function of 1,024 MB the rest is room for the file and for
/// the records that are read. For a file of more keys it is read again, for a part of the shards each time.
pub const NAMED_KEYS: usize = 14_000_000;

/// Bytes of a record over [`RECORD_BYTES`] in which a replace looks for the key, at most: 8 MiB. A longer one may name
/// any record, so that none is removed.
pub const NAMED_RECORD_BYTES: usize = 8 * 1024 * 1024;

/// Rows of one chunk that its message lists as naming a record again, at most; where there are more, each counts as
/// one.
pub const LISTED_REPEATS: usize = 256;

/// Chunks whose fates and tallies share one block item. A checkpoint is written four times a block.
pub const BLOCK_CHUNKS: u32 = 64;

/// Bytes of a file's header, at most: it travels with every chunk and is stored with its import.
pub const HEADER_BYTES: usize = 64 * 1024;

/// Columns of a file, at most.
pub const COLUMNS: usize = 1_000;

/// Characters of a column's name, in a header or in an import's mapping, at most.
pub const COLUMN_NAME_CHARS: usize = 1_000;

/// Largest upload, in bytes: 5 GiB, what one PUT to S3 stores.
pub const UPLOAD_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// How long an upload URL is valid when the deployment says nothing else, in seconds: 30 minutes.
pub const UPLOAD_TTL_SECONDS: u64 = 30 * 60;

/// How long an upload URL is valid whatever the deployment says, in seconds, at most: 45 minutes. It works no longer
/// than the credentials that sign it, and of their hour [`SIGNER_EARLY_SECONDS`] and some time to sign in are left.
pub const UPLOAD_TTL_MOST_SECONDS: u64 = 45 * 60;

/// How long the credentials live that sign URLs, in seconds: an hour, the most that one role gets of another (AWS IAM
/// User Guide, "Methods to assume a role", on role chaining).
pub const SIGNER_SECONDS: u64 = 60 * 60;

/// By how much the credentials that sign URLs outlive the URL that is valid longest, in seconds, at least; with less
/// they are renewed. So long the service that renews them may fail, and no URL ends early.
pub const SIGNER_EARLY_SECONDS: u64 = 5 * 60;

/// How long a URL works that ends early since nothing could be renewed, in seconds, at least. None is signed for less.
pub const SIGNED_LEAST_SECONDS: u64 = 60;

/// How long an upload in parts may take from the creation of its import, in seconds: 24 hours.
pub const PARTS_SECONDS: u64 = 24 * 60 * 60;

/// Parts of an upload, at most (Amazon S3 User Guide, "Amazon S3 multipart upload limits").
pub const PARTS: u32 = 10_000;

/// Bytes of a part that is not the last one, at least: 5 MiB (Amazon S3 User Guide, "Amazon S3 multipart upload
/// limits").
pub const PART_LEAST_BYTES: u64 = 5 * 1024 * 1024;

/// URLs of parts that one request signs, at most: the answer stays within a few hundred KB.
pub const PART_URLS: usize = 100;

/// Bytes of the body that completes an upload in parts, at most: 1 MiB, room for the ETags of [`PARTS`] parts.
pub const COMPLETE_BYTES: usize = 1024 * 1024;

/// A file of more bytes than this is uploaded in parts by the command: 64 MiB.
pub const PARTS_ABOVE_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of a part that the command sends: 8 MiB, which a line of 1.2 Mbit/s takes within a minute. A larger file than
/// [`PARTS`] of them has larger ones.
pub const SENT_PART_BYTES: u64 = 8 * 1024 * 1024;

/// How long a chunk's rows may be worked out beside other chunks of the same batch, in seconds. One that takes longer
/// goes back, and is worked off alone when it comes again.
pub const CHUNK_TOGETHER_SECONDS: u64 = 3;

/// How long a chunk's rows may be worked out that is worked off alone, in seconds.
pub const CHUNK_ALONE_SECONDS: u64 = 10;

/// How many tries of a chunk that came again may begin and get no further: then its rows fail.
pub const CHUNK_TRIES: usize = 3;

/// How long a message stays hidden that goes back to its queue for the first time, in seconds, at most. The time
/// doubles each time it goes back.
pub const RETRY_FIRST_SECONDS: u64 = 2;

/// How long a message stays hidden that goes back to its queue, in seconds, at most: 5 minutes.
pub const RETRY_MOST_SECONDS: u64 = 5 * 60;

/// For how long at a time the message of a split or a report stays hidden that is worked on, in seconds. When its
/// receiver dies it comes again after that.
pub const KEPT_HIDDEN_SECONDS: u64 = 30;

/// How many times the splitting of a file may begin and get no further: the next one fails the import.
pub const SPLIT_TRIES: usize = 8;

/// Largest item of a DynamoDB table, in bytes (Amazon DynamoDB Developer Guide, "Constraints").
pub const ITEM_BYTES: usize = 400 * 1024;

/// Bytes of a stored record, at most; the rest of [`ITEM_BYTES`] is room for its bookkeeping.
pub const RECORD_ITEM_BYTES: usize = 390 * 1024;

/// Bytes of the records of one page of a list, as JSON, at most: 1 MiB, well under what a function may answer. A record
/// that is larger is a page of its own.
pub const RECORD_PAGE_BYTES: usize = 1024 * 1024;

/// Bytes of records that a request for a page of a list reads, at most, before it gives what it has: 8 MiB. What one
/// round of queries reads comes on top.
pub const RECORD_READ_BYTES: usize = 8 * 1024 * 1024;

/// Records that one query of a filtered list is asked for, at most.
pub const RECORD_QUERY_ITEMS: usize = 1_000;

/// Shards that a request for a page of a list reads at once, at most.
pub const RECORD_SHARDS_AT_ONCE: usize = 16;

/// Bytes of a sort key, at most (Amazon DynamoDB Developer Guide, "Constraints").
pub const SORT_KEY_BYTES: usize = 1_024;

/// Bytes of a canonical key that stands whole in the sort key of its record, at most. A longer one is cut, and then has
/// more bytes than this up to [`SORT_KEY_BYTES`], since a character has at most four.
pub const WHOLE_KEY_BYTES: usize = 1_020;

/// Partition keys that the records of one account and kind are spread over.
///
/// One partition key takes 1,000 write units a second, so a kind needs many. Before DynamoDB splits what is hot, they
/// fall into the partitions of the table by their hashes, and the fullest partition bounds what a kind can write.
/// `infra/scale/simulate.py` computes how much of a table one kind reaches then: with 1,024 keys 94, 85 and 69 % of a
/// table of 4, 12 and 40 partitions; with 256 keys 89, 74 and 52 %; with 64 keys 80, 57 and 34 %. More keys cost reads:
/// whoever lists a kind asks every one of them, even for a kind of ten records. With 256 a kind reaches most of a new
/// table, which has 4 partitions, and a look at a small kind is 256 queries of one read unit each.
pub const RECORD_SHARDS: usize = 256;

/// Arrays and objects inside one another in one field, at most: the 32 levels of DynamoDB (Amazon DynamoDB Developer
/// Guide, "Constraints"), less one for the map that a record's fields are in and one for what is innermost.
pub const NESTING: usize = 30;

/// Arrays and objects inside one another in a row of a JSON document, at most. A deeper one cannot be followed to its
/// end, so nothing behind it can be trusted.
pub const JSON_DEPTH: usize = 128;

/// Schemas of items inside one another, at most.
pub const ITEM_SCHEMAS: usize = 8;

/// Errors that are reported for one cell, at most. An array of ten thousand wrong items needs no more.
pub const CELL_ERRORS: usize = 50;

/// Bytes of row errors that share one stored part, at most; well under [`ITEM_BYTES`].
pub const ERROR_PART_BYTES: usize = 300 * 1024;

/// Partition keys over which the row errors of an import are spread: one takes some 1,000 write units a second (Amazon
/// DynamoDB Developer Guide, "Best practices for designing partition keys"), and a file of bad rows shall be held up by
/// its validators alone.
pub const ERROR_SHARDS: u32 = 16;

/// Kinds of errors, by code and field, that are counted of one chunk, at most; further ones are counted together.
pub const COUNTED_ERRORS: usize = 50;

/// Kinds of errors, by code and field, that are counted of one file, at most; further ones are counted together.
pub const SUMMED_ERRORS: usize = 1_000;

/// Kinds of errors, by code and field, that the summary of an import's errors shows, at most: those with the most
/// errors.
pub const SHOWN_GROUPS: usize = 100;

/// Ranges of rows that are told of one kind of errors, at most.
pub const ERROR_RANGES: usize = 10;

/// Errors of one kind that are shown as examples, at most: the first.
pub const ERROR_EXAMPLES: usize = 3;

/// Characters of a rejected cell that its error shows.
pub const ERROR_VALUE_CHARS: usize = 200;

/// Names of a header that a message shows, at most.
pub const SHOWN_NAMES: usize = 20;

/// Characters of a name of a column, a sheet or a field that a message shows.
pub const SHOWN_NAME_CHARS: usize = 60;

/// Records of a file's first chunk among which a header is looked for where the first record is none, at most.
pub const SOUGHT_RECORDS: u64 = 50;

/// Rows of a file's first chunk from which options are suggested, at most.
pub const NOTED_ROWS: u64 = 1_000;

/// Largest SQS message and largest batch of them, in bytes (Amazon SQS Developer Guide, "Message quotas"): 1 MiB.
pub const MESSAGE_BYTES: usize = 1024 * 1024;

/// Messages of one batch, at most (Amazon SQS API Reference, SendMessageBatch).
pub const MESSAGE_BATCH: usize = 10;

/// Largest payload of an invocation, and largest answer, in bytes (AWS Lambda Developer Guide, "Lambda quotas"): 6 MiB.
pub const INVOCATION_BYTES: usize = 6 * 1024 * 1024;

/// Items of one read, at most (Amazon DynamoDB API Reference, BatchGetItem).
pub const READ_BATCH: usize = 100;

/// Statements of one write, at most (Amazon DynamoDB API Reference, BatchExecuteStatement).
pub const WRITE_BATCH: usize = 25;

/// Bytes of a body that are held before they are stored as one part: 8 MiB. S3 takes 10,000 parts, so that 80 GB fit.
pub const UPLOAD_PART_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of a request body that the native API reads, at most.
pub const REQUEST_BYTES: usize = 64 * 1024;

/// Bytes of a file that a preview takes, at most: a synchronous invocation of Lambda has no room for more (AWS Lambda
/// Developer Guide, "Lambda quotas").
pub const PREVIEW_BYTES: usize = 4 * 1024 * 1024;

/// Rows that a preview shows, at most.
pub const PREVIEW_ROWS: u64 = 10;

/// Cells of a column that a preview shows, at most.
pub const PREVIEW_SAMPLES: usize = 3;

/// Requests whose work a process does at once, each on a thread of its own, at most.
pub const WORK_AT_ONCE: usize = 4;

/// Requests of one account among them, at most.
pub const WORK_OF_ACCOUNT: usize = 2;

/// Requests of one account whose work is being done or waits for that, at most.
pub const WORK_ASKED: usize = 16;

/// Seconds for which a request for an import waits for a change of it, at most.
pub const WAIT_SECONDS: u32 = 20;

/// Such waits of one account that begin within [`WAIT_SECONDS`], and so are there at once, at most.
pub const WAITS: u32 = 4;

/// Bytes of memory that the previews of a process take together, at most: 384 MiB.
pub const PREVIEW_MEMORY_BYTES: u64 = 384 * 1024 * 1024;

/// Items on a page when the client names no limit.
pub const PAGE_DEFAULT: usize = 20;

/// Items on a page, at most.
pub const PAGE_MAX: usize = 100;

/// How long an `Idempotency-Key` is remembered, in milliseconds: 24 hours.
pub const IDEMPOTENCY_MS: i64 = 24 * 60 * 60 * 1000;

/// How long the URL of a rejected rows file is valid, in seconds: 5 minutes.
pub const REJECTED_URL_SECONDS: i64 = 5 * 60;

/// How long an upload is kept when the deployment says nothing else, in days.
pub const UPLOAD_RETENTION_DAYS: u64 = 30;

/// How long an import is kept once it has ended when the deployment says nothing else, in days.
pub const IMPORT_RETENTION_DAYS: u64 = 90;

/// Imports whose retention is over that one look of the sweeper removes, at most, from each of four partitions.
pub const RETIRED_AT_ONCE: usize = 25;

/// How long an upload must be kept yet for another import to be made of it, in milliseconds: 2 days.
pub const UPLOAD_LEFT_MS: i64 = 2 * 24 * 60 * 60 * 1000;

/// Imports that read one upload of another import at once, at most: their ids stand in its item.
pub const UPLOAD_READERS: usize = 100;

/// Imports of a story, each of which corrects the one before, at most.
pub const STORY_ROUNDS: usize = 20;

/// How long an import may make no progress before the sweeper looks at it when the deployment says nothing else, in
/// seconds: 5 minutes.
pub const STALL_SECONDS: u64 = 5 * 60;

/// Characters of the name of an account, a kind or an API key, at most.
pub const NAME_CHARS: usize = 64;

/// Rows that an abort threshold judges, at most.
pub const ABORT_ROWS: u64 = 100_000;

/// Texts that an import's options name as true, or as false, at most.
pub const OPTION_VALUES: usize = 50;

/// Characters of such a text, at most.
pub const OPTION_VALUE_CHARS: usize = 100;

/// Characters of the date format of an import's options, at most.
pub const DATE_FORMAT_CHARS: usize = 100;

/// The last line on which an import's options may say that the header stands.
pub const HEADER_LINE: u64 = 1_000;

/// Characters of the path of the rows in a JSON document, at most.
pub const ROWS_AT_CHARS: usize = 500;

/// Names of members in such a path, at most.
pub const ROWS_AT_NAMES: usize = 16;

/// How long after `expires_at` an upload that S3 accepted in time may still be noticed, in milliseconds: 5 minutes.
pub const EXPIRY_GRACE_MS: i64 = 5 * 60 * 1000;

/// How long after an import's deletion its files are removed once more, at least, in milliseconds: 15 minutes, longer
/// than whoever was at work on it when it was deleted may take.
pub const REMOVAL_AGAIN_MS: i64 = 15 * 60 * 1000;

/// How long an upload may lie under the key of an import that does not exist, in milliseconds: 15 minutes. A form's
/// file is stored before its import is made, a moment later.
pub const STRAY_MS: i64 = 15 * 60 * 1000;

/// Blocks of an import that ends early which are closed at once, at most.
pub const BLOCKS_CLOSED_AT_ONCE: usize = 32;

/// Blocks that the request to cancel an import closes itself, at most; those of a larger import are closed by the
/// splitter. A file of 5 GiB has 330, one of tiny rows some 10,000.
pub const REQUEST_BLOCKS: u32 = 256;

/// Versions of an upload, and parts of row errors, that are removed at one look, at most: then it is another's turn.
pub const REMOVED_AT_ONCE: usize = 1_000;

/// Removals that the sweeper takes up together, at most, from each of four partitions.
pub const REMOVALS_AT_ONCE: usize = 100;

/// How long the removal of an account waits once all its imports and exports have ended, in seconds: 24 hours, far more
/// than a function lives. Whatever was in flight cannot act any more then, and is removed once more.
pub const ACCOUNT_REMOVAL_WAIT_SECONDS: u64 = 24 * 60 * 60;

/// How long the removal of an account is one sweeper's, in seconds: 5 minutes, longer than a sweeper may take. When one
/// dies, another goes on after that.
pub const ACCOUNT_REMOVAL_TURN_SECONDS: u64 = 5 * 60;

/// How long the report of a removed account is kept, in seconds: 90 days.
pub const ACCOUNT_REPORT_SECONDS: u64 = 90 * 24 * 60 * 60;

/// Keys that the request which removes an account revokes itself, at most; the sweeper revokes what is left.
pub const KEYS_REVOKED_AT_ONCE: usize = 100;

/// Imports of an account that is being removed which are cancelled, or whose traces are removed, at one step, at most.
pub const IMPORTS_REMOVED_AT_ONCE: usize = 100;

/// Items that the removal of an account deletes in a second, at most: half of the writes that a new table takes, so
/// that the imports of others go on.
pub const REMOVED_A_SECOND: usize = 2_000;

/// Requests of a removal that are under way at once, each of at most 25 items or one object, at most.
pub const REMOVAL_REQUESTS_AT_ONCE: usize = 16;

/// Bytes of a schema's document, at most.
pub const SCHEMA_BYTES: usize = 64 * 1024;

/// Characters of a field's name, at most.
pub const FIELD_NAME_CHARS: usize = 256;

/// Values of an enumeration, at most: a cell is compared with each.
pub const ENUM_VALUES: usize = 1_000;

/// Bytes of an enumeration's texts, at most.
pub const ENUM_BYTES: usize = 32 * 1024;

/// Texts that a schema or a field names as missing, as true or as false, at most: a cell is compared with each.
pub const VALUE_TEXTS: usize = 100;

/// Characters of a pattern, at most.
pub const PATTERN_CHARS: usize = 2_000;

/// Classes of characters beyond ASCII in the patterns of a schema, at most.
pub const PATTERN_CLASSES: usize = 500;

/// Bytes of a compiled pattern, at most.
pub const PATTERN_BYTES: usize = 512 * 1024;

/// Steps that one byte of a cell may take in a pattern's automaton, at most: looks at a state, and at each way out of
/// it. The cells of a chunk, of [`CHUNK_BYTES`] together, take some 250 million then. That was 0.7 s on a machine that
/// did other work beside it, at 2.5 ns a step.
pub const PATTERN_STEPS: u64 = 1_000;

/// Imports of an account that are unfinished at once, at most, when the deployment says nothing else.
pub const ACCOUNT_IMPORTS: usize = 1_000;

/// Bytes of uploads that an account may have accepted on one day (UTC) before it gets no further import, when the
/// deployment says nothing else: 1 TiB.
pub const ACCOUNT_DAY_BYTES: u64 = 1024 * 1024 * 1024 * 1024;

/// The most that a deployment can allow of [`ACCOUNT_IMPORTS`]: their ids share one item.
pub const ACCOUNT_IMPORTS_MOST: usize = 10_000;

/// How often the sweeper lists the inbox, in milliseconds: 15 minutes. A list costs as much as a write, and S3 tells of
/// nearly every file at once.
pub const INBOX_LOOK_MS: i64 = 15 * 60 * 1000;

/// Versions of the inbox that the sweeper lists at one look, at most; where there are more it goes on at the next one.
pub const INBOX_LISTED: usize = 500;

/// How long S3 may take to copy a file out of the inbox, in seconds: 4 minutes, less than an invocation of the splitter
/// has. It copies [`UPLOAD_BYTES`] in one request, and no more.
pub const INBOX_COPY_SECONDS: u64 = 4 * 60;

/// How long an import waits for the copy of its file, in seconds: 24 hours. Then it expires.
pub const INBOX_SECONDS: u64 = 24 * 60 * 60;

/// Kinds of an account's own, at most.
pub const ACCOUNT_KINDS: usize = 200;

/// Presets of an account, at most.
pub const ACCOUNT_PRESETS: usize = 200;

/// Bytes of a preset's options as JSON, at most: they are copied into each of its imports.
pub const PRESET_BYTES: usize = 32 * 1024;

/// Versions of a kind, at most.
pub const KIND_VERSIONS: u32 = 1_000;

/// Patterns of a schema, those of dates and times among them: each is compiled wherever its kind is used.
pub const SCHEMA_PATTERNS: usize = 50;

/// Rules across cells of a schema, at most: each may add an error to a row.
pub const KIND_RULES: usize = 50;

/// Bytes of the expression of a rule, at most.
pub const RULE_BYTES: usize = 1_000;

/// How deep the parts of a rule may stand in one another, at most: it is parsed and evaluated by recursion.
pub const RULE_DEPTH: usize = 32;

/// Steps that all rules of a schema take for a row, at most: values and operators that are looked at, each once. A step
/// reads a byte of the row once at most, so that the cells of a chunk, of [`CHUNK_BYTES`] together, take some 250
/// million such reads.
pub const RULE_STEPS: usize = 1_000;

/// Fields that a rule names as those that its error is about, at most.
pub const RULE_FIELDS: usize = 5;

/// Errors of one row that breaks rules, at most. The rules behind them are not judged of it.
pub const RULE_ERRORS: usize = 10;

/// Characters of the message of a rule, at most.
pub const RULE_MESSAGE_CHARS: usize = 300;

/// Defaults of a schema that are taken from another field.
pub const SCHEMA_DERIVED: usize = 100;

/// Fields through which a default may be taken from another field.
pub const DERIVED_STEPS: usize = 8;

/// Bytes of a file's text, from its start, from which its format, encoding and delimiter are detected.
pub const DETECT_BYTES: usize = 1024 * 1024;

/// How many times its size a compressed upload may unpack to; [`UNPACKED_LEAST_BYTES`] are always allowed.
pub const UNPACKED_RATIO: u64 = 200;

/// Bytes to which any compressed upload may unpack: 256 MiB.
pub const UNPACKED_LEAST_BYTES: u64 = 256 * 1024 * 1024;

/// Bytes to which no compressed upload may unpack more: 20 GiB.
pub const UNPACKED_BYTES: u64 = 20 * 1024 * 1024 * 1024;

/// Largest window of a Zstandard frame, in bytes: 32 MiB. The decoder holds that much of the text.
pub const ZSTD_WINDOW_BYTES: u64 = 32 * 1024 * 1024;

/// Largest workbook, in bytes: 100 MiB.
pub const WORKBOOK_BYTES: u64 = 100 * 1024 * 1024;

/// Bytes of the directory of a ZIP archive, a workbook's too, at most: 4 MiB. A name and some 50 bytes are an entry.
pub const ARCHIVE_DIRECTORY_BYTES: usize = 4 * 1024 * 1024;

/// Bytes to which the parts of a workbook that are read may unpack together: 1 GiB.
pub const WORKBOOK_UNPACKED_BYTES: u64 = 1024 * 1024 * 1024;

/// Bytes that are held in memory of what the cells of a workbook refer to (shared texts, date formats) and of its list
/// of sheets: 64 MiB.
pub const WORKBOOK_HELD_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of a tag or a text of a workbook's XML, at most: 1 MiB. A cell of Excel's holds 32,767 characters.
pub const WORKBOOK_TEXT_BYTES: usize = 1024 * 1024;

/// Rows of a sheet, at most (Microsoft, "Excel specifications and limits").
pub const SHEET_ROWS: u32 = 1_048_576;

/// Connections of an HTTP server at once, at most, of `penstock dev` and of `penstock serve`. When one more comes, the
/// one that has kept the server waiting longest is closed.
pub const HTTP_CONNECTIONS: usize = 256;

/// How long a connection may take for the head of a request, and stand idle between two requests, in seconds.
pub const HTTP_HEAD_SECONDS: u64 = 30;

/// How long a connection may take for the next piece of a request's body, and to take the next piece of an answer, in
/// seconds.
pub const HTTP_PIECE_SECONDS: u64 = 30;

/// Bytes of a request's body that API Gateway takes, at most, and passes on where no function is in between (Amazon API
/// Gateway Developer Guide, "Quotas for configuring and running a REST API").
pub const GATEWAY_BODY_BYTES: u64 = 10_485_760;

/// Bytes of a request's body behind API Gateway and Lambda, at most: 4.5 MB. The payload of 6 MB holds a file in
/// base64, and the rest of the request (AWS Lambda Developer Guide, "Lambda quotas").
pub const LAMBDA_BODY_BYTES: u64 = 4_500_000;

/// Parts of a form, at most.
pub const FORM_PARTS: usize = 32;

/// Bytes of a form's text field, at most.
pub const FORM_TEXT_BYTES: usize = 64 * 1024;

/// Bytes of the headers of a form's part, or of a preamble before the first part, at most: the parser holds them until
/// they end, and scans all of them again with each piece.
pub const FORM_HEAD_BYTES: usize = 32 * 1024;

/// Characters of an upload's file name, at most.
pub const FILENAME_CHARS: usize = 255;

/// Characters of an `Idempotency-Key`, at most.
pub const IDEMPOTENCY_KEY_CHARS: usize = 255;

/// Characters of an API key's label, at most.
pub const KEY_LABEL_CHARS: usize = 255;

/// How long the last use of a key stays as it was noted, in milliseconds: 1 hour. A key that is used all the time costs
/// one note in that time.
pub const KEY_USE_NOTED_MS: i64 = 60 * 60 * 1000;

/// Characters of what a client calls itself (`User-Agent`) that an import keeps of whoever asked for something.
pub const CLIENT_CHARS: usize = 200;

/// Characters of the ETag of an upload's part, at most.
pub const ETAG_CHARS: usize = 100;

/// Errors that the status of a dialect shows, at most: the first.
pub const SHOWN_ERRORS: usize = 1_000;

/// Records that one request deletes, at most: with the order of their kind they are one transaction, and DynamoDB takes
/// 100 items in one (Amazon DynamoDB API Reference, "TransactWriteItems").
pub const RECORD_DELETE_BATCH: usize = 99;

/// Bytes of the records that one transaction deletes, at most, or a single record: DynamoDB takes 4 MB of items in one.
pub const RECORD_DELETE_BYTES: usize = 3 * 1024 * 1024;

/// How long a delete of records that meets others tries again: API Gateway waits 29 seconds for its answer.
pub const RECORD_DELETE_SECONDS: u64 = 15;

/// How long a tombstone stays, if no import of its kind ran at the delete: seven days. That is far longer than a
/// function lives, so that no process of an import that ended before can write any more, and so long lists tell the
/// delete.
pub const TOMBSTONE_SECONDS: u64 = 7 * 24 * 3_600;

/// Items of a kind's shard that are read at once to tell tombstones from records, when the kind is to be deleted.
pub const TOMBSTONES_AT_ONCE: usize = 1_000;

/// Such reads, over all shards, after which a request ends that is to delete a kind; the next one goes on there.
pub const TOMBSTONE_PAGES: usize = 1_024;

/// Exports of an account that are unfinished at once, at most.
pub const ACCOUNT_EXPORTS: usize = 5;

/// Readers of an export that may begin and get no further: the next one fails the export.
pub const EXPORT_TRIES: u32 = 8;

/// How long the parts of a rejected rows file are gone on with, in milliseconds: 20 hours. The bucket's rule removes
/// them after a day; then the file is begun anew.
pub const REPORT_MS: i64 = 20 * 60 * 60 * 1000;

/// Bytes of a part of an export's file, at least, but for the last one: 8 MiB. It is held in memory while it is stored,
/// and what is compressed ends with it.
pub const EXPORT_PART_BYTES: usize = 8 * 1024 * 1024;

/// Shards of a kind's records that an export reads at once. Of each at most two pages are in memory, DynamoDB's 1 MB
/// each.
pub const EXPORT_SHARDS_AT_ONCE: usize = 4;

/// Records of a page that an export reads by one request, at most.
pub const EXPORT_PAGE_RECORDS: usize = 1_000;

/// How long the URL of an export's file is valid, in seconds: 15 minutes.
pub const EXPORT_URL_SECONDS: i64 = 15 * 60;

/// How long an export's file is kept when the deployment says nothing else, in days.
pub const EXPORT_RETENTION_DAYS: u64 = 7;

/// Endpoints of an account, at most.
pub const ACCOUNT_WEBHOOKS: usize = 16;

/// Characters of the description of an endpoint, at most.
pub const WEBHOOK_DESCRIPTION_CHARS: usize = 255;

/// Kinds that an endpoint names, at most.
pub const WEBHOOK_KINDS: usize = 20;

/// Secrets of an endpoint that sign at once, at most.
pub const WEBHOOK_SECRETS: usize = 4;

/// How long a secret signs beside the one that takes its place, in seconds: 24 hours.
pub const WEBHOOK_SECRET_OVERLAP_SECONDS: i64 = 24 * 60 * 60;

/// How long an endpoint may ask to be left alone (`Retry-After`), in seconds, at most: 24 hours.
pub const WEBHOOK_RETRY_AFTER_SECONDS: u64 = 24 * 60 * 60;

/// How long an endpoint may do nothing but fail before it is disabled, in days.
pub const WEBHOOK_FAILING_DAYS: i64 = 5;

/// How long an attempt of a delivery is one sender's, in milliseconds: 1 minute, longer than a sender lives. When it
/// dies, another goes on after that.
pub const DELIVERY_LEASE_MS: i64 = 60 * 1000;

/// How long a queue holds a message back, in seconds, at most: 15 minutes (Amazon SQS API Reference, SendMessage).
pub const DELIVERY_DELAYED_SECONDS: u32 = 15 * 60;

/// How long a delivery is kept, in days.
pub const DELIVERY_DAYS: i64 = 30;

/// Attempts of a delivery that are kept, at most: the last.
pub const DELIVERY_ATTEMPTS_KEPT: usize = 20;

/// Deliveries that one request orders again, at most.
pub const RESENT_AT_ONCE: usize = 100;

/// How long an event that the bus does not take is put there again, in milliseconds: 24 hours.
pub const BUS_MS: i64 = 24 * 60 * 60 * 1000;

/// Events, and deliveries, that one look of the sweeper orders again, at most, from each of four partitions.
pub const TOLD_AT_ONCE: usize = 250;

/// Imports, events or deliveries that the sweeper looks at side by side, at most: a look is some five requests, one
/// after the other, and hundreds may be due when a service answers again that did not.
pub const SWEPT_AT_ONCE: usize = 16;

/// Looks of one sweep for such events and deliveries, at most: as long as each finds some.
pub const TOLD_LOOKS: usize = 10;

/// Entries of an import's `metadata`, at most.
pub const METADATA_KEYS: usize = 16;

/// Characters of the name of such an entry, at most.
pub const METADATA_KEY_CHARS: usize = 40;

/// Characters of the value of such an entry, at most.
pub const METADATA_VALUE_CHARS: usize = 200;

/// Records that a replace may remove without being confirmed when its options say nothing else, in percent of those
/// that were there before it.
pub const MOST_REMOVED_PERCENT: u8 = 20;

/// Partition keys over which the claims of a review are spread, a hexadecimal digit each: as for row errors, so that a
/// file of new records is held up by its validators alone. Whoever removes them asks each one.
pub const CLAIM_SHARDS: u32 = 16;

/// How long an import waits to be confirmed when the deployment says nothing else, in days.
pub const CONFIRM_DAYS: u64 = 7;

/// Shards that a replace counts, or removes records of, at once. Of each a page of DynamoDB's 1 MB and a list of keys
/// of [`REPLACE_LIST_BYTES`] are in memory.
pub const REPLACE_SHARDS_AT_ONCE: usize = 4;

/// Bytes of the keys that share one stored part of the list of what a replace removes, at most; a longer key is a part
/// of its own.
pub const REPLACE_LIST_BYTES: usize = 128 * 1024;

/// Counts of what a replace removes that may begin and get no further: then nothing is removed.
pub const REPLACE_TRIES: usize = 8;

/// Bytes of a file's text that a replace reads for its keys although its invocation's time is near its end: 64 MiB,
/// which takes less than what is kept of the time for handing on.
pub const REPLACE_READ_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of the URL of a webhook, at most.
pub const WEBHOOK_URL_BYTES: usize = 2_048;

/// How long one attempt to deliver to a webhook may take, from the look-up of its name to the last byte of the answer,
/// in seconds (Standard Webhooks, "Request timeouts", advises 15 to 30).
pub const WEBHOOK_SECONDS: u64 = 15;

/// How long one address of a webhook may take to accept a connection, in seconds; then the next address is tried.
pub const WEBHOOK_CONNECT_SECONDS: u64 = 5;

/// Bytes of a webhook's answer that are read, its head included, at most: 64 KiB. The rest is not waited for.
pub const WEBHOOK_ANSWER_BYTES: usize = 64 * 1024;

/// Bytes of the body of a webhook's answer that are kept, at most: 1 KiB.
pub const WEBHOOK_ANSWER_KEPT_BYTES: usize = 1024;

/// Bytes of the secret of a webhook, at least (Standard Webhooks, "Signature scheme").
pub const WEBHOOK_SECRET_LEAST_BYTES: usize = 24;

/// Bytes of the secret of a webhook, at most (Standard Webhooks, "Signature scheme").
pub const WEBHOOK_SECRET_BYTES: usize = 64;

/// How far the time in a signature may be from the clock of the one who verifies it, in seconds: five minutes, as in
/// the libraries of Standard Webhooks.
pub const WEBHOOK_TOLERANCE_SECONDS: u64 = 5 * 60;
