//! The table of dialects: the native API, and existing import APIs at their documented paths over the same imports. A
//! client that was written for one of them changes its base URL and its credential.
//!
//! The wire types of a dialect stay in its folder. What its document leaves open is settled in the words of the
//! dialect, at the top of its folder. A dialect is added by its folder, its module, and its name in the table below.

pub(crate) mod algure;
mod betterdata;
mod connectif;
mod productsmanager;
mod quotiza;

mod rows;
mod shown;

use crate::{
    contract::Served,
    dialect::Dialect,
    native,
    rate_limits::{Defaults, RateLimits, RateLimitsError},
};

/// Makes the tables of these modules' dialects.
macro_rules! table {
    ($($dialect:ident),+ $(,)?) => {
        /// Every API that this host speaks.
        pub static DIALECTS: &[&Dialect] = &[$(&$dialect::DIALECT),+];

        /// What the router serves of every API.
        pub(crate) static SERVED: &[&Served] = &[$(&$dialect::SERVED),+];
    };
}

table![native, algure, betterdata, connectif, productsmanager, quotiza];

/// The dialect that answers a path.
pub(crate) fn of(path: &str) -> &'static Dialect {
    Dialect::of(path, DIALECTS).expect("every path falls under the native API's base")
}

/// The rate limits of every dialect: their defaults, and the entries of `PENSTOCK_RATE_LIMITS`, if `lookup` knows that
/// variable.
///
/// # Errors
/// The variable is malformed, or names an API that there is not.
pub fn rate_limits(lookup: impl Fn(&str) -> Option<String>) -> Result<RateLimits, RateLimitsError> {
    let defaults: Vec<Defaults> = DIALECTS.iter().map(|dialect| (dialect.name, dialect.rate_limits)).collect();
    RateLimits::from_vars(lookup, &defaults)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Whether no text comes twice.
    fn distinct<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> bool {
        texts.clone().collect::<BTreeSet<_>>().len() == texts.count()
    }

    #[test]
    fn names_bases_and_limits_belong_to_one_dialect_each() {
        let dialects = DIALECTS.iter();
        assert!(distinct(dialects.clone().map(|dialect| dialect.name)));
        assert!(distinct(dialects.clone().flat_map(|dialect| dialect.bases).copied()));
        assert!(distinct(dialects.clone().flat_map(|dialect| dialect.limits).map(|limit| limit.name)));
        for dialect in dialects {
            assert!(dialect.name.bytes().all(|byte| byte.is_ascii_lowercase()), "{}", dialect.name);
            assert!(!dialect.bases.is_empty() && dialect.bases.iter().all(|base| base.starts_with('/')));
        }
    }

    #[test]
    fn the_kinds_of_a_dialect_are_bundled() {
        for kind in DIALECTS.iter().flat_map(|dialect| dialect.kinds.unwrap_or_default()) {
            let bundled = kind.parse().ok().and_then(|kind| penstock_engine::kinds::bundled(&kind));
            assert!(bundled.is_some(), "{kind}");
        }
    }

    #[test]
    fn a_base_is_whole_segments_and_the_longest_decides() {
        let backwards: Vec<&Dialect> = DIALECTS.iter().rev().copied().collect();
        for (path, name) in [
            ("/v1/products/import", "algure"),
            ("/v1/products", "algure"),
            ("//v1/products", "algure"),
            ("/v1//products", "native"),
            ("/v1/productsx", "native"),
            ("/v1/imports", "native"),
            ("/api/v1/products/import_status", "quotiza"),
            ("/api/v1/productsx", "productsmanager"),
            ("/api/v1/imports", "productsmanager"),
            ("/api/v1", "productsmanager"),
            ("/api/import/catalog", "betterdata"),
            ("/api/imports", "native"),
            ("/imports", "connectif"),
            ("/imports/x/y", "connectif"),
            ("/", "native"),
            ("", "native"),
            ("/api", "native"),
        ] {
            assert_eq!(of(path).name, name, "{path}");
            // Whatever the order of the table.
            assert_eq!(Dialect::of(path, &backwards).map(|dialect| dialect.name), Some(name), "{path}");
        }
    }
}
