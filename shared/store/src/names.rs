//! The registry of names: what the keys of items and of objects begin with, and how the removal of an account finds
//! what is stored under them.
//!
//! Whoever makes a name takes its beginning from here, so no name can be missing: `tests/names.rs` runs all that the
//! product does, and fails for an item or an object whose name is not registered. A new beginning is a new variant; the
//! compiler then asks how the removal of an account finds it.
//!
//! | where | name | found by |
//! | --- | --- | --- |
//! | imports table | a variant of [`Partition`] | [`Partition::found_by`] |
//! | in an account's own partition | a variant of [`Own`] | its partition |
//! | records table | `<account>#<kind>#<shard>` ([`penstock_engine::key::partition`]) | the order of each kind |
//! | buckets | a variant of [`Folder`], `<folder>/<account>/…` | its folder |

use std::fmt::Display;

use penstock_model::{AccountId, KindName};

/// Declares an enum of beginnings of names, each with its text.
macro_rules! beginnings {
    (
        $(#[$doc:meta])*
        pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// What the name begins with, or is where nothing follows.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    };
}

beginnings! {
    /// What partition keys of the imports table begin with.
    pub enum Partition {
        /// All that stands beside an account: [`Own`].
        Account = "account#",
        /// An API key, by its id.
        Key = "key#",
        /// A block of an import.
        Block = "block#",
        /// The row errors of an import.
        Errors = "errors#",
        /// What a replace counts and removes of a shard of its kind.
        Replace = "replace#",
        /// The claims of a review's chunks.
        Review = "review#",
        /// The rate-limit windows of network addresses.
        Address = "limit#",
        /// The list of accounts.
        Accounts = "accounts",
        /// The removal of an account, and the report of it.
        AccountRemoval = "account-removal#",
        /// Where the sweeper's list of the inbox goes on.
        Inbox = "inbox",
    }
}

beginnings! {
    /// What sort keys in an account's own partition begin with.
    pub enum Own {
        /// An import.
        Import = "import#",
        /// An order to remove what no import keeps.
        Removal = "removal#",
        /// An export.
        Export = "export#",
        /// The order of the imports of a kind.
        Order = "kind#",
        /// The import that took a place in that order; it outlives the import.
        Place = "order#",
        /// The place that an import took which is gone, by its id.
        Taken = "taken#",
        /// The story of imports that correct one another, by the first of them.
        Story = "story#",
        /// What an `Idempotency-Key` stands for.
        Idempotency = "idempotency#",
        /// What counts against a quota.
        Unfinished = "unfinished#",
        /// The bytes of its uploads that were accepted on a day.
        DayBytes = "bytes#",
        /// The newest version of a kind of the account's own.
        Schema = "schema#",
        /// A version of such a kind.
        SchemaVersion = "schema-version#",
        /// The last version of such a kind that was removed.
        SchemaNumber = "schema-number#",
        /// The names of such kinds.
        SchemaNames = "kinds",
        /// That an import uses such a kind.
        SchemaUse = "use#",
        /// A preset.
        Preset = "preset#",
        /// The names of presets.
        PresetNames = "presets",
        /// What may be shown of an API key.
        Key = "key#",
        /// A rate-limit window of the account.
        Window = "limit#",
        /// An endpoint that is told events.
        Webhook = "webhook#",
        /// Which endpoints there are, and what each asks for.
        Listeners = "webhooks",
        /// An event that is to be told.
        Event = "event#",
        /// The delivery of an event to an endpoint.
        Delivery = "delivery#",
    }
}

beginnings! {
    /// The first part of the keys of objects: `<folder>/<account>/…`.
    pub enum Folder {
        /// Uploads of imports.
        Uploads = "uploads",
        /// Files that are dropped off, in the bucket of uploads: they become imports.
        Inbox = "inbox",
        /// Bodies that were refused on their way past Lambda, in the bucket of uploads.
        Refused = "refused",
        /// Rejected rows files.
        Rejected = "rejected",
        /// Files of exports.
        Exports = "exports",
        /// Digests of what files said.
        Digests = "digest",
    }
}

/// How the removal of an account finds what is stored of it under a beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundBy {
    /// By the account's name, which is the whole rest of the partition key.
    Account,
    /// By the account's list of its keys.
    Keys,
    /// By the ids of the account's imports, those included that were deleted and are still being removed.
    Imports,
    /// It goes with the end of the removal, or is the report of it.
    Removal,
    /// It holds nothing of an account.
    Nobody,
}

/// A bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// That of uploads, which keeps versions.
    Uploads,
    /// That of results, which keeps none.
    Results,
}

/// Whether a name begins so. A beginning that does not end in a separator is the whole name.
fn begins(name: &str, text: &str) -> bool {
    if text.ends_with('#') { name.starts_with(text) } else { name == text }
}

impl Partition {
    /// The partition key that goes on with this.
    pub(crate) fn named(self, rest: impl Display) -> String {
        format!("{}{rest}", self.text())
    }

    /// What a partition key begins with, if that is registered.
    pub fn of(pk: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|partition| begins(pk, partition.text()))
    }

    /// How the removal of an account finds what stands there of it.
    pub fn found_by(self) -> FoundBy {
        match self {
            Self::Account => FoundBy::Account,
            Self::Key => FoundBy::Keys,
            Self::Block | Self::Errors | Self::Replace | Self::Review => FoundBy::Imports,
            Self::Accounts | Self::AccountRemoval => FoundBy::Removal,
            // The list names a file for as long as it is not at its end; there is none of a removed account.
            Self::Address | Self::Inbox => FoundBy::Nobody,
        }
    }
}

impl Own {
    /// The sort key that goes on with this.
    pub(crate) fn named(self, rest: impl Display) -> String {
        format!("{}{rest}", self.text())
    }

    /// What a sort key of an account's own partition begins with, if that is registered.
    pub fn of(sk: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|own| begins(sk, own.text()))
    }
}

impl Folder {
    /// The bucket that it is in.
    pub fn bucket(self) -> Bucket {
        match self {
            Self::Uploads | Self::Inbox | Self::Refused => Bucket::Uploads,
            Self::Rejected | Self::Exports | Self::Digests => Bucket::Results,
        }
    }

    /// What the keys of an account's objects in it begin with. It ends in a separator, so it begins no other account's.
    pub fn of_account(self, account: &AccountId) -> String {
        format!("{}/{account}/", self.text())
    }

    /// The folder and the account of an object's key, if the folder is registered.
    pub fn of(key: &str) -> Option<(Self, AccountId)> {
        let (folder, rest) = key.split_once('/')?;
        let folder = Self::ALL.iter().copied().find(|known| known.text() == folder)?;
        Some((folder, rest.split_once('/')?.0.parse().ok()?))
    }
}

/// The account, the kind and the shard of a partition key of the records table, if it is one.
pub fn of_record(pk: &str) -> Option<(AccountId, KindName, u8)> {
    let mut parts = pk.split('#');
    let (account, kind, shard) = (parts.next()?, parts.next()?, parts.next()?);
    let is_shard = shard.len() == 2 && shard.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let shard = u8::from_str_radix(shard, 16).ok().filter(|_| is_shard && parts.next().is_none())?;
    Some((account.parse().ok()?, kind.parse().ok()?, shard))
}

#[cfg(test)]
mod tests {
    use penstock_engine::key;

    use super::*;

    #[test]
    fn no_beginning_is_that_of_another() {
        let texts = |texts: Vec<&'static str>| {
            for (at, text) in texts.iter().enumerate() {
                for other in texts.iter().skip(at + 1) {
                    assert!(!begins(text, other) && !begins(other, text), "{text} and {other}");
                }
            }
        };
        texts(Partition::ALL.iter().map(|partition| partition.text()).collect());
        texts(Own::ALL.iter().map(|own| own.text()).collect());
        texts(Folder::ALL.iter().map(|folder| folder.text()).collect());
    }

    #[test]
    fn a_name_tells_what_it_begins_with() {
        assert_eq!(Partition::of("account#shop"), Some(Partition::Account));
        assert_eq!(Partition::of("accounts"), Some(Partition::Accounts));
        assert_eq!((Partition::of("accounts#"), Partition::of("other#x")), (None, None));
        assert_eq!((Own::of("kinds"), Own::of("kinds#x")), (Some(Own::SchemaNames), None));
        assert_eq!(Own::of("schema-version#a#1"), Some(Own::SchemaVersion));
        let account: AccountId = "shop".parse().expect("valid");
        assert_eq!(Folder::of("uploads/shop/imp"), Some((Folder::Uploads, account.clone())));
        for foreign in ["uploads/shop", "upload/shop/imp", "uploads/a b/imp", "shop"] {
            assert_eq!(Folder::of(foreign), None, "{foreign}");
        }
        let kind: KindName = "products".parse().expect("valid");
        let partition = key::partition(&account, &kind, 7);
        assert_eq!(of_record(&partition), Some((account.clone(), kind, 7)));
        for foreign in [
            "shop#products",
            "shop#products#7",
            "shop#products#+7",
            "shop#products#07#",
            "a b#products#07",
            "shop#P#07",
        ] {
            assert_eq!(of_record(foreign), None, "{foreign}");
        }
        assert_eq!(Folder::Exports.of_account(&account), "exports/shop/");
        assert_eq!(Folder::of("digest/shop/products/0"), Some((Folder::Digests, account)));
    }
}
