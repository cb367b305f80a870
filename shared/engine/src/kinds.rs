//! The bundled kinds: the files of `shared/schemas/`, compiled in.

use std::sync::LazyLock;

use penstock_model::{KindName, Schema};

static BUNDLED: LazyLock<Vec<Schema>> = LazyLock::new(|| {
    [
        include_str!("../../schemas/products.json"),
        include_str!("../../schemas/algure-products.json"),
        include_str!("../../schemas/connectif-products.json"),
        include_str!("../../schemas/contacts.json"),
        include_str!("../../schemas/productsmanager-products.json"),
        include_str!("../../schemas/vouchers.json"),
    ]
    .into_iter()
    .map(|text| serde_json::from_str(text).expect("a bundled schema is valid; a test reads each"))
    .collect()
});

/// The kind of records that an import holds when its creator names none.
pub const DEFAULT: &str = "products";

/// The bundled kind of this name.
pub fn bundled(kind: &KindName) -> Option<&'static Schema> {
    BUNDLED.iter().find(|schema| schema.name == *kind)
}

/// All bundled kinds.
pub fn all() -> &'static [Schema] {
    &BUNDLED
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_bundled_kind_compiles_with_all_its_columns() {
        for schema in super::all() {
            let columns: Vec<String> = schema.fields.iter().map(|field| field.name.clone()).collect();
            crate::plan::Plan::compile(schema, &columns).expect("a bundled kind takes its own columns");
        }
    }
}
