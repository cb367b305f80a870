//! Versions of objects in the bucket of uploads, by what their keys begin with.

use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode_str;

use crate::{Result, Store, StoreError};

/// A version that is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedVersion {
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) bytes: u64,
    /// When it was stored, in Unix seconds: all that S3 tells whoever asks for the version itself.
    pub(crate) modified_at: i64,
}

/// Behind which version a list goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) key: Option<String>,
    pub(crate) version: Option<String>,
}

/// A page of versions.
#[derive(Debug, Default)]
pub(crate) struct VersionsPage {
    pub(crate) versions: Vec<ListedVersion>,
    /// Delete markers, each by its key and its id.
    pub(crate) markers: Vec<(String, String)>,
    /// Where the list goes on, if that was not all.
    pub(crate) rest: Option<Behind>,
}

impl Store {
    /// A page of the versions of uploads whose keys begin so, at most `most` of them.
    ///
    /// Keys are asked for in an encoded form: of one that holds a character which XML does not know, the whole list
    /// could not be read (Amazon S3 API Reference, ListObjectVersions, `encoding-type`).
    pub(crate) async fn list_versions(&self, prefix: &str, behind: Behind, most: usize) -> Result<VersionsPage> {
        let page = self
            .inner
            .s3
            .list_object_versions()
            .bucket(&self.settings().uploads_bucket)
            .prefix(prefix)
            .max_keys(i32::try_from(most).unwrap_or(i32::MAX))
            .encoding_type(EncodingType::Url)
            .set_key_marker(behind.key)
            .set_version_id_marker(behind.version)
            .send()
            .await
            .map_err(StoreError::unavailable("s3:ListObjectVersions"))?;
        let is_encoded = page.encoding_type == Some(EncodingType::Url);
        let read = |key: String| if is_encoded { decoded(&key) } else { Some(key) };
        let versions = page.versions.unwrap_or_default().into_iter().filter_map(|version| {
            Some(ListedVersion {
                key: read(version.key?)?,
                id: version.version_id?,
                bytes: u64::try_from(version.size.unwrap_or(0)).unwrap_or(0),
                modified_at: version.last_modified.map_or(0, |at| at.secs()),
            })
        });
        let markers = page.delete_markers.unwrap_or_default().into_iter();
        let rest = (page.is_truncated == Some(true))
            .then(|| Behind { key: page.next_key_marker.and_then(read), version: page.next_version_id_marker });
        Ok(VersionsPage {
            versions: versions.collect(),
            markers: markers.filter_map(|marker| Some((read(marker.key?)?, marker.version_id?))).collect(),
            rest,
        })
    }
}

/// A key as it is, of its encoded form in a list or an event: there a space is `+`.
pub fn decoded(key: &str) -> Option<String> {
    let spaced = key.replace('+', " ");
    Some(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned())
}
