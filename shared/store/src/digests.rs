//! Digests: their objects in the results bucket, and what the order of a kind says of them. [`penstock_model::digest`]
//! says what they are, `SEMANTICS.md` by which rules they hold.
//!
//! Each source has one object, which the next splitter of a file of that source replaces. An object names the import
//! that it was written by. So where imports overlap and the one writes over what the other has, the order's digest has
//! no object any more, and is none. That costs reads and changes nothing, and so does every failure here.

use penstock_engine::digest::{self, DigestReader, Recalled, Said};
use penstock_model::{
    Import, ImportOptions, Layout, Status, Transition,
    digest::{Built, Digest, Digests, File, Source, object_name},
    limits::DIGESTS,
};
use tracing::{info, warn};

use crate::{
    Result, Store, StoreError,
    accept::KindOrder,
    conditions::Conditions,
    crash,
    names::Folder,
    objects::{ObjectWriter, Target},
    records::RecordName,
    sha256_hex,
};

fn key(import: &Import, source: &Source) -> String {
    format!("{}/{}", Folder::Digests.text(), object_name(&import.account, &import.kind, source))
}

impl KindOrder {
    /// The digests that hold at the next place.
    pub(crate) fn digests_now(&self, conditions: Conditions) -> Digests {
        let holds = |digest: &Digest| digest.epoch == self.next || !conditions.digest_epoch;
        let held = self.digests.iter().filter(|(_, digest)| holds(digest));
        held.map(|(id, digest)| (id.clone(), digest.clone())).collect()
    }

    /// The digests that hold behind a delete of these records at the next place; nothing where there were none.
    pub(crate) fn digests_behind_delete<'a>(
        &self,
        conditions: Conditions,
        records: impl Iterator<Item = &'a RecordName> + Clone,
    ) -> Option<Digests> {
        let keys = records.filter(|_| conditions.digest_holes).map(|name| digest::key_hash(name.key()));
        let behind = |digest: &Digest| digest.behind_delete(keys.clone());
        let now = self.digests_now(Conditions::ALL);
        let behind = now.iter().filter_map(|(id, digest)| Some((id.clone(), behind(digest)?))).collect();
        (!self.digests.is_empty()).then_some(behind)
    }
}

impl Store {
    /// Where the records are that digests of this store are about: a table that was restored has another name.
    pub fn records_place(&self) -> String {
        format!("{}\n{}", self.settings().imports_table, self.settings().records_table)
    }

    /// The digest of a source that held when the import was accepted; nothing where there is none, or it cannot be read
    /// as a whole, for whatever reason. Changes nothing.
    pub async fn digest(&self, import: &Import, source: &Source) -> Option<Recalled> {
        let digest = import.digests.get(&source.id)?;
        match self.read_digest(import, source, digest).await {
            Ok(found) => Some(found),
            Err(error) => {
                info!(import.id = %import.id, %error, "the digest cannot be read: every row is sent");
                None
            }
        }
    }

    async fn read_digest(&self, import: &Import, source: &Source, digest: &Digest) -> Result<Recalled> {
        let get = self.inner.s3.get_object().bucket(&self.settings().results_bucket).key(key(import, source));
        let mut body = get.send().await.map_err(StoreError::unavailable("s3:GetObject"))?.body;
        let mut reader = DigestReader::new(digest.object.clone());
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|_| StoreError::Unavailable {
                call: "s3:GetObject",
                reason: "the connection failed".to_owned(),
            })?;
            reader.push(&bytes).map_err(StoreError::unreadable("a digest"))?;
        }
        reader.finish(&digest.holes).map_err(StoreError::unreadable("a digest"))
    }

    /// The name of an import's file: a hash of what the storage says of its bytes, of its layout and columns, and of
    /// the import's options. Files with one name have the same rows. Nothing where the storage gives no checksum of the
    /// whole object, or does not answer. Changes nothing.
    ///
    /// An owner could make two files that share the checksum, and the ETag goes with it. By an ETag that is no hash of
    /// the bytes, such as that of an object under a key of KMS, no two files have the same name.
    pub async fn file_name(&self, import: &Import, layout: &Layout, columns: &[String]) -> Option<String> {
        let object = import.object.as_ref()?;
        let checksum = match self.upload_checksum(import, object).await {
            Ok(checksum) => checksum?,
            Err(error) => {
                info!(import.id = %import.id, %error, "the checksum of a file is not known");
                return None;
            }
        };
        let layout = Layout { notes: Vec::new(), ..layout.clone() };
        let options = ImportOptions { force: false, ..import.options.clone() };
        let how = self.conditions().digest_same.then_some((&layout, columns, &options));
        Some(sha256_hex(&serde_json::to_vec(&(checksum, &object.etag, object.bytes, how)).ok()?))
    }

    /// Writes the digest behind a file of this source that was read as a whole; nothing where it cannot be written.
    /// `file` is known again by it if no row of it was rejected, and none names the record of another one. It takes the
    /// place of the one that there is. A repeat writes the same entries.
    pub async fn write_digest(
        &self,
        import: &Import,
        source: &Source,
        said: Said,
        file: Option<File>,
    ) -> Option<Built> {
        let rejected = said.rejected();
        let file = file.filter(|_| said.is_all_distinct() || !self.conditions().digest_distinct);
        let named_alone = import.is_replace() && self.conditions().digest_named;
        let mut pieces = said.into_object(&import.id, named_alone)?;
        let (bucket, key) = (self.settings().results_bucket.clone(), key(import, source));
        let mut writer = ObjectWriter::new(self, Target { bucket, key, content_type: None, once: false });
        let written = async {
            for piece in &mut pieces {
                writer.write(&piece).await?;
            }
            writer.finish().await
        };
        if let Err(error) = written.await {
            warn!(import.id = %import.id, %error, "the digest cannot be written: the next import reads every record");
            return None;
        }
        crash::point("split.digest");
        Some(Built { rejected, file })
    }

    /// The digests that hold behind an import which ends, if nothing has taken a place since it did: its own, and those
    /// of sources whose fields it has not touched. A replace may have removed records of theirs.
    pub(crate) fn digests_behind(&self, import: &Import, end: &Transition) -> Digests {
        let conditions = self.conditions();
        let epoch = import.order + 1;
        let touches_nothing = !import.options.writes() || import.opened_blocks == 0;
        let stays = |fields: Option<&[u32]>| {
            let apart = import.source.as_ref().is_some_and(|source| source.is_apart_from(fields));
            touches_nothing || apart || !conditions.digest_apart
        };
        let mut behind = Digests::new();
        if let (Some(source), Some(built)) = (&import.source, &import.digest)
            && holds_at_the_end(end, built, conditions)
        {
            let (object, fields, file) = (import.id.clone(), source.fields.clone(), built.file.clone());
            behind.insert(source.id.clone(), Digest { epoch, object, fields, holes: Vec::new(), file });
        }
        if !import.is_replace() {
            let stays = |(id, digest): &(&String, &Digest)| {
                digest.epoch == import.order && !behind.contains_key(*id) && stays(digest.fields.as_deref())
            };
            let others: Vec<(String, Digest)> = import
                .digests
                .iter()
                .filter(stays)
                .take(DIGESTS - behind.len())
                .map(|(id, digest)| (id.clone(), Digest { epoch, ..digest.clone() }))
                .collect();
            behind.extend(others);
        }
        behind
    }
}

/// Whether what an import's file said was applied as a whole: it has ended with every row looked at, and no row has
/// failed but those that its splitter saw rejected.
fn holds_at_the_end(end: &Transition, built: &Built, conditions: Conditions) -> bool {
    let Transition::End { status, rows: Some(rows), .. } = end else { return false };
    let is_whole = matches!(status, Status::Completed | Status::CompletedWithErrors);
    (is_whole || !conditions.digest_status) && (rows.failed == built.rejected || !conditions.digest_failed)
}
