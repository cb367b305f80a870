//! A plan: a kind matched to a file's columns, made once and used for every row.

use penstock_model::Failure;

use crate::kind::Kind;

/// How the columns of a file become the fields of a kind.
#[derive(Debug, Clone)]
pub struct Plan {
    kind: Kind,
    /// For each column its field, a place in the kind; `None` where the column is ignored.
    pub(crate) columns: Vec<Option<usize>>,
}

impl Plan {
    /// Matches columns to fields by exact name. A kind that keeps additional columns gets a field for each.
    ///
    /// # Errors
    /// A permanent failure: `duplicate_column`, or `missing_column` (a required field has no column).
    pub fn compile(mut kind: Kind, columns: &[String]) -> Result<Self, Failure> {
        for (at, column) in columns.iter().enumerate() {
            if let Some(first) = columns[..at].iter().position(|earlier| earlier == column) {
                let message = format!("columns {} and {} are both called `{column}`", first + 1, at + 1);
                return Err(Failure::new("duplicate_column", message));
            }
        }
        let missing: Vec<String> = kind
            .fields()
            .iter()
            .filter(|field| field.is_required() && !columns.iter().any(|column| column == field.name()))
            .map(|field| format!("`{}`", field.name()))
            .collect();
        if !missing.is_empty() {
            let message = format!(
                "kind `{}` needs the column {}, which the header (the first record of the file, {} columns) does not name",
                kind.name(),
                missing.join(" and the column "),
                columns.len(),
            );
            return Err(Failure::new("missing_column", message));
        }
        let place = |column: &String| match kind.keeps_additional() {
            true => Some(kind.add_field(column)),
            false => kind.index_of(column),
        };
        let columns = columns.iter().map(place).collect();
        Ok(Self { kind, columns })
    }

    /// The kind.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The columns that no field is named after.
    pub fn ignored<'a>(&'a self, columns: &'a [String]) -> impl Iterator<Item = &'a str> {
        columns.iter().zip(&self.columns).filter(|(_, field)| field.is_none()).map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(kind: &str, columns: &[&str]) -> Result<Plan, Failure> {
        let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        Plan::compile(crate::kinds::compiled(kind), &columns)
    }

    #[test]
    fn columns_that_cannot_be_matched_fail_with_their_names() {
        let failure = plan("products", &["sku", "name", "brand", "name"]).expect_err("twice");
        assert_eq!(
            (failure.code.as_str(), failure.message.as_str()),
            ("duplicate_column", "columns 2 and 4 are both called `name`")
        );
        let failure = plan("products", &["sku", "Name", "brand"]).expect_err("case matters");
        assert_eq!(failure.code, "missing_column");
        assert!(failure.message.contains("`name`") && !failure.message.contains("`brand`"), "{}", failure.message);
    }

    #[test]
    fn unknown_columns_are_ignored_and_listed() {
        let columns = ["sku", "colour", "name", "brand"];
        let plan = plan("products", &columns).expect("all required");
        assert_eq!(plan.ignored(&columns.map(str::to_owned)).collect::<Vec<_>>(), ["colour"]);
    }

    #[test]
    fn unknown_columns_of_a_kind_that_keeps_them_become_fields() {
        let columns = ["colour", "externalId"];
        let plan = plan("catalog", &columns).expect("all required");
        assert_eq!(plan.ignored(&columns.map(str::to_owned)).count(), 0);
        assert_eq!(plan.columns[0], plan.kind().index_of("colour"));
    }
}
