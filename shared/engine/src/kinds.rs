//! The bundled kinds: the files of `shared/schemas/`, compiled in.

use std::sync::LazyLock;

use penstock_model::{KindName, Schema};

use crate::kind::Kind;

/// The default kind first.
const DOCUMENTS: [&str; 12] = [
    include_str!("../../schemas/products.json"),
    include_str!("../../schemas/algure-products.json"),
    include_str!("../../schemas/productsmanager-products.json"),
    include_str!("../../schemas/catalog.json"),
    include_str!("../../schemas/inventory.json"),
    include_str!("../../schemas/suppliers.json"),
    include_str!("../../schemas/purchase-orders.json"),
    include_str!("../../schemas/orders.json"),
    include_str!("../../schemas/demand-history.json"),
    include_str!("../../schemas/contacts.json"),
    include_str!("../../schemas/connectif-products.json"),
    include_str!("../../schemas/vouchers.json"),
];

static BUNDLED: LazyLock<Vec<Schema>> = LazyLock::new(|| {
    let parse = |text: &&str| Kind::parse(text.as_bytes()).expect("a bundled schema is valid; a test reads each");
    DOCUMENTS.iter().map(parse).collect()
});

/// The kind of records that an import holds when its creator names none.
pub const DEFAULT: &str = "products";

/// The bundled kind of this name.
pub fn bundled(kind: &KindName) -> Option<&'static Schema> {
    BUNDLED.iter().find(|schema| schema.name == *kind)
}

/// The document of the bundled kind of this name.
pub fn document(kind: &KindName) -> Option<&'static str> {
    BUNDLED.iter().position(|schema| schema.name == *kind).map(|at| DOCUMENTS[at])
}

/// All bundled kinds.
pub fn all() -> &'static [Schema] {
    &BUNDLED
}

/// A bundled kind, compiled for the account `1`.
#[cfg(test)]
pub(crate) fn compiled(kind: &str) -> Kind {
    let schema = bundled(&kind.parse().expect("valid")).expect("bundled");
    Kind::compile(schema, &"1".parse().expect("valid")).expect("compiles")
}

#[cfg(test)]
mod tests;
