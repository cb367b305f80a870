//! What the tests share: a stack of their own, files made from a seed, and a straightforward reference to compare with.

#![allow(unreachable_pub)]

pub mod begun;
pub mod cloudformation;
pub mod crashes;
pub mod files;
pub mod held;
pub mod http;
pub mod lines;
pub mod programs;
pub mod receiver;
pub mod reference;
pub mod rng;
pub mod rules;
pub mod s3_client;
pub mod seeds;
pub mod storage;
pub mod sts;
pub mod tables;
pub mod template;
pub mod tenant;
pub mod weather;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use penstock_client::{Client, ClientError, Import, NewImport};
use penstock_engine::key::RecordName;
use penstock_local::{LocalCloud, Options, Usage};
use penstock_model::{ImportOptions, Record, RowError};

use self::reference::Catalogue;

/// The key of account `1` on every stack.
pub const TOKEN: &str = "test.secret";

/// The key of account `2` on every stack.
pub const OTHER_TOKEN: &str = "other.secret";

/// The options of an import whose rows are applied one and all, also those that say again what was said last.
pub fn force() -> ImportOptions {
    ImportOptions { force: true, ..ImportOptions::default() }
}

/// A local cloud of a test's own, and a client of it.
pub struct Stack {
    pub cloud: LocalCloud,
    pub client: Client,
}

impl Stack {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A stack whose options the test changes first.
    pub async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(PathBuf::from(env!("CARGO_BIN_EXE_penstock")));
        let key = |account: &str, token: &str| {
            let (id, secret) = token.split_once('.').expect("a token");
            (account.to_owned(), id.to_owned(), secret.to_owned())
        };
        options.keys = vec![key("1", TOKEN), key("2", OTHER_TOKEN)];
        change(&mut options);
        let cloud = LocalCloud::start(options).await.expect("a local cloud starts");
        let client = Client::new(cloud.url(), TOKEN).expect("a client");
        Self { cloud, client }
    }

    /// A stack whose requests are counted, and none of them depends on the clock: no sweeper looks at it, and no
    /// validator runs out of its time on a busy machine, so that a chunk would be read again.
    pub async fn counted() -> Self {
        Self::with(|options| {
            options.proxy = true;
            options.scheduled = false;
            options.functions.validate.timeout = Duration::from_secs(15 * 60);
        })
        .await
    }

    /// Imports a file's bytes as this asks for it, and what that uses on a [`Stack::counted`]. Nobody asks how far it
    /// is: how often one does depends on the clock.
    pub async fn used(&self, options: ImportOptions, file: &[u8]) -> (Import, Usage) {
        let before = self.cloud.usage();
        let created = self.uploaded_as(&NewImport { options, ..NewImport::default() }, file).await;
        self.cloud.idle().await;
        let import = self.client.import(&created.id).await.expect("it is there");
        (import, self.cloud.usage().since(&before))
    }

    pub fn client_of(&self, token: &str) -> Client {
        Client::new(self.cloud.url(), token).expect("a client")
    }

    /// Asks for an import with these options.
    pub async fn create(&self, options: ImportOptions) -> Import {
        self.client.create(&NewImport { options, ..NewImport::default() }, None).await.expect("an import is created")
    }

    /// An import with the defaults whose file is uploaded.
    pub async fn uploaded(&self, file: &[u8]) -> Import {
        self.uploaded_as(&NewImport::default(), file).await
    }

    async fn uploaded_as(&self, new: &NewImport, file: &[u8]) -> Import {
        let import = self.client.create(new, None).await.expect("an import is created");
        assert_eq!(upload(&import, file).await, 200);
        import
    }

    /// Imports a file's bytes with the defaults and waits for the end.
    pub async fn import(&self, file: &[u8]) -> Import {
        self.import_as(NewImport::default(), file).await
    }

    pub async fn import_with(&self, file: &[u8], options: ImportOptions) -> Import {
        self.import_as(NewImport { options, ..NewImport::default() }, file).await
    }

    /// Imports a file's bytes as this asks for it and waits for the end.
    pub async fn import_as(&self, new: NewImport, file: &[u8]) -> Import {
        let import = self.uploaded_as(&new, file).await;
        self.ended(&import.id).await
    }

    /// The text of an import's rejected rows file.
    pub async fn rejected(&self, import: &Import) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rejected");
        self.client.save_rejected(&import.id, &path).await.expect("the file is written");
        std::fs::read_to_string(&path).expect("UTF-8")
    }

    /// Waits until an import has ended and its rejected rows are written, letting time pass where all that is left
    /// waits for it.
    pub async fn ended(&self, id: &str) -> Import {
        match self.ended_for(&self.client, id).await {
            Ok(import) => import,
            Err(import) => panic!("{id} hangs: {import:#?}\n{}", self.logs()),
        }
    }

    /// As [`Stack::ended`], for any account; as an error the import that has not ended within three hours of the local
    /// clock.
    pub async fn ended_for(&self, client: &Client, id: &str) -> Result<Import, Box<Import>> {
        let mut last = None;
        let ended = self.within_three_hours(async || {
            let import = client.import(id).await.expect("the import is there");
            let ended = import.status.is_final() && (import.rows.failed == 0 || import.rejected.is_some());
            last = Some(import);
            ended
        });
        let ended = ended.await;
        let import = last.expect("it was looked at");
        if ended { Ok(import) } else { Err(Box::new(import)) }
    }

    /// Lets time pass, a minute at a time, until a condition holds. Fails after three hours of the local clock.
    pub async fn passes_until(&self, what: &str, holds: impl AsyncFnMut() -> bool) {
        assert!(self.within_three_hours(holds).await, "not within three hours: {what}\n{}", self.logs());
    }

    /// Whether a condition holds within three hours of the local clock. It is checked when the work of each minute is
    /// done.
    async fn within_three_hours(&self, mut holds: impl AsyncFnMut() -> bool) -> bool {
        for minutes in 0.. {
            self.cloud.quiet().await;
            if holds().await {
                return true;
            }
            if minutes == 180 {
                break;
            }
            self.pass(Duration::from_secs(61)).await;
        }
        false
    }

    /// How many processes of a function have ended.
    pub fn deaths(&self, function: &str) -> usize {
        self.cloud.processes().iter().filter(|process| process.function == function && !process.alive).count()
    }

    /// How many invocations a function has taken.
    pub fn invocations(&self, function: &str) -> u64 {
        let processes = self.cloud.processes();
        processes.iter().filter(|process| process.function == function).map(|process| process.invocations).sum()
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        self.cloud.advance(time).expect("the clock file is written");
    }

    /// Every error of an import.
    pub async fn errors(&self, id: &str) -> Vec<RowError> {
        let (mut errors, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.client.errors(id, cursor.as_deref(), 100).await.expect("a page of errors");
            errors.extend(page.errors);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return errors;
            }
        }
    }

    /// An account's records of kind `products` by their SKUs; those that do not exist, or were deleted, are left out.
    pub async fn records(&self, account: &str, skus: &[String]) -> std::collections::BTreeMap<String, Record> {
        let mut records = self.records_and_tombstones(account, skus).await;
        records.retain(|_, record| !record.is_gone());
        records
    }

    /// The same with what is left of those that were deleted.
    pub async fn records_and_tombstones(
        &self,
        account: &str,
        skus: &[String],
    ) -> std::collections::BTreeMap<String, Record> {
        let (account, kind) = (account.parse().expect("valid"), "products".parse().expect("valid"));
        let mut records = std::collections::BTreeMap::new();
        for group in skus.chunks(penstock_store::records::READ_BATCH) {
            let names: Vec<_> = group.iter().map(|sku| RecordName::of(&account, &kind, &canonical(sku))).collect();
            let mut found =
                self.cloud.store().records(&names.iter().collect::<Vec<_>>()).await.expect("records are read");
            records.extend(names.iter().zip(group).filter_map(|(name, sku)| Some((sku.clone(), found.remove(name)?))));
        }
        records
    }

    /// What account 1's records of kind `products` show, by their SKUs.
    pub async fn shows(&self, skus: &[String]) -> Catalogue {
        self.records("1", skus).await.iter().map(|(sku, record)| (sku.clone(), reference::shown(record))).collect()
    }

    /// Account 1's import as it is stored.
    pub async fn stored(&self, id: &str) -> penstock_model::Import {
        let (account, id) = ("1".parse().expect("valid"), id.parse().expect("valid"));
        self.cloud.store().import(&account, &id).await.expect("read").expect("there")
    }

    /// What the functions logged last.
    pub fn logs(&self) -> String {
        ["split", "validate", "report", "export", "remove", "notify", "sweep"]
            .map(|function| format!("== {function}\n{}", self.cloud.logs(function)))
            .concat()
    }

    pub async fn stop(self) {
        self.cloud.stop().await;
    }
}

fn canonical(sku: &str) -> String {
    sku.replace('%', "%25").replace(',', "%2C")
}

/// Puts bytes to an import's upload URL as its creation told; the status.
pub async fn upload(import: &Import, file: &[u8]) -> u16 {
    try_upload(import, file).await.expect("the storage answers")
}

/// The same where the storage may not answer: then `None`.
pub async fn try_upload(import: &Import, file: &[u8]) -> Option<u16> {
    let upload = import.upload.as_ref().expect("an upload URL");
    // An empty one says so as well.
    let request = reqwest::Client::new().put(&upload.url).header("content-length", file.len());
    let mut request = request.body(file.to_vec());
    for (name, value) in &upload.headers {
        request = request.header(name, value);
    }
    Some(request.send().await.ok()?.status().as_u16())
}

/// Waits for a condition that nothing announces. Fails after a minute of real time.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < end, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The status and the code with which a call was refused.
pub fn refused<T: std::fmt::Debug>(result: Result<T, ClientError>) -> (u16, String) {
    match result.expect_err("the call is refused") {
        ClientError::Refused { status, code, .. } => (status.as_u16(), code),
        other => panic!("{other:?}"),
    }
}

/// Holds an ended import to the second promise: every row is accounted for.
pub fn adds_up(import: &Import) {
    let rows = &import.rows;
    assert!(import.status.is_final(), "{import:#?}");
    assert_eq!(rows.processed, rows.created + rows.updated + rows.unchanged + rows.skipped + rows.failed, "{rows:?}");
    assert_eq!(rows.total, Some(rows.processed + rows.unprocessed), "{rows:?}");
}
