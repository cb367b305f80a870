//! The inbox: files that somebody puts under `inbox/<account>/<preset>/…` in the bucket of uploads. Each becomes an
//! import of that preset.

use serde::{Deserialize, Serialize};

/// A file of the inbox: a version of an object. An import takes it for its upload, and no other version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxFile {
    /// The object's key.
    pub key: String,
    /// The version's id.
    pub version: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Why a file stays in the inbox for now. The sweeper takes it once the reason is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// Its key is not `inbox/<account>/<preset>/<name>`.
    Address,
    /// There is no such account.
    Account,
    /// The account has no such preset.
    Preset,
    /// The key that put the preset has been revoked, or lacks a scope that the import takes.
    Key,
    /// The account has no kind that the preset names.
    Kind,
    /// The account has as many unfinished imports as it may have.
    Place,
    /// The account has uploaded as many bytes today as it may, or would have with the file.
    Bytes,
}

impl Waits {
    /// The reason, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Address => "its key is not inbox/<account>/<preset>/<name>",
            Self::Account => "there is no such account",
            Self::Preset => "the account has no such preset",
            Self::Key => "the key that put the preset is revoked, or lacks a scope that the import takes",
            Self::Kind => "the account has no kind that the preset names",
            Self::Place => "the account has as many unfinished imports as it may have",
            Self::Bytes => "the account may not upload as many bytes today",
        }
    }
}
