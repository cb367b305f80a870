//! A plan: a kind's schema matched to a file's columns, compiled once and used for every row.

use penstock_model::{Decimal, Failure, FieldType, Schema, Value};

/// How the columns of a file become the fields of a kind.
#[derive(Debug, Clone)]
pub struct Plan {
    /// For each column its field, an index of `fields`; `None` where the column is ignored.
    pub(crate) columns: Vec<Option<usize>>,
    pub(crate) fields: Vec<FieldPlan>,
    /// The fields of the key, in the order in which a key is written.
    pub(crate) key: Vec<usize>,
    pub(crate) missing_values: Vec<String>,
}

/// One field, ready to check cells.
#[derive(Debug, Clone)]
pub(crate) struct FieldPlan {
    pub(crate) name: String,
    pub(crate) field_type: FieldType,
    pub(crate) required: bool,
    pub(crate) min_length: Option<usize>,
    pub(crate) max_length: Option<usize>,
    pub(crate) minimum: Option<Decimal>,
    pub(crate) maximum: Option<Decimal>,
    pub(crate) default: Option<Value>,
}

/// A cell that its field does not take: a code and a sentence that does not repeat the cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CellError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Plan {
    /// Matches columns to fields by exact name.
    ///
    /// # Errors
    /// A permanent failure: `duplicate_column`, `missing_column` (a required field has no column), or `invalid_schema`.
    pub fn compile(schema: &Schema, columns: &[String]) -> Result<Self, Failure> {
        let fields = schema.fields.iter().map(FieldPlan::compile).collect::<Result<Vec<_>, _>>()?;
        for (at, column) in columns.iter().enumerate() {
            if let Some(first) = columns[..at].iter().position(|earlier| earlier == column) {
                let message = format!("columns {} and {} are both called `{column}`", first + 1, at + 1);
                return Err(Failure::new("duplicate_column", message));
            }
        }
        let missing: Vec<String> = fields
            .iter()
            .filter(|field| field.required && !columns.contains(&field.name))
            .map(|field| format!("`{}`", field.name))
            .collect();
        if !missing.is_empty() {
            let message = format!(
                "kind `{}` needs the column {}, which the header (the first record of the file, {} columns) does not name",
                schema.name,
                missing.join(" and the column "),
                columns.len(),
            );
            return Err(Failure::new("missing_column", message));
        }
        let place = |name: &String| fields.iter().position(|field| field.name == *name);
        let key = schema
            .primary_key
            .iter()
            .map(|name| place(name).ok_or_else(|| invalid_schema(name, "is part of the key and no field")))
            .collect::<Result<Vec<_>, _>>()?;
        let columns = columns.iter().map(place).collect();
        Ok(Self { columns, fields, key, missing_values: schema.missing_values.clone() })
    }

    /// The columns that no field is named after.
    pub fn ignored<'a>(&'a self, columns: &'a [String]) -> impl Iterator<Item = &'a str> {
        columns.iter().zip(&self.columns).filter(|(_, field)| field.is_none()).map(|(name, _)| name.as_str())
    }
}

impl FieldPlan {
    fn compile(field: &penstock_model::Field) -> Result<Self, Failure> {
        let constraints = &field.constraints;
        let bound = |text: &Option<String>| {
            let number = text.as_deref().map(Decimal::parse).transpose();
            number.map_err(|_| invalid_schema(&field.name, "has a bound that is no number"))
        };
        let mut plan = Self {
            name: field.name.clone(),
            field_type: field.field_type,
            required: constraints.required,
            min_length: constraints.min_length,
            max_length: constraints.max_length,
            minimum: bound(&constraints.minimum)?,
            maximum: bound(&constraints.maximum)?,
            default: None,
        };
        plan.default = field
            .default
            .as_deref()
            .map(|cell| plan.value(cell).map_err(|_| invalid_schema(&field.name, "does not take its own default")))
            .transpose()?;
        Ok(plan)
    }

    /// The value of a cell that holds something. Spaces around numbers and booleans are ignored, in text they are kept.
    pub(crate) fn value(&self, cell: &str) -> Result<Value, CellError> {
        match self.field_type {
            FieldType::String => self.text(cell),
            FieldType::Number => {
                let number = Decimal::parse(cell.trim_ascii()).map_err(|error| CellError {
                    code: "invalid_number",
                    message: format!("{error}; write it as 1234.56, without currency or thousands separators"),
                })?;
                self.within(number)
            }
            FieldType::Integer => {
                let integer = cell.trim_ascii().parse::<i64>().map_err(|_| CellError {
                    code: "invalid_integer",
                    message: format!("not a whole number from {} to {}", i64::MIN, i64::MAX),
                })?;
                self.within(integer.into())
            }
            FieldType::Boolean => match cell.trim_ascii() {
                "true" | "True" | "TRUE" | "1" => Ok(Value::Boolean(true)),
                "false" | "False" | "FALSE" | "0" => Ok(Value::Boolean(false)),
                _ => Err(CellError {
                    code: "invalid_boolean",
                    message: "neither true (or 1) nor false (or 0)".to_owned(),
                }),
            },
        }
    }

    fn text(&self, cell: &str) -> Result<Value, CellError> {
        if let (None, None) = (self.min_length, self.max_length) {
            return Ok(Value::Text(cell.to_owned()));
        }
        let length = cell.chars().count();
        if let Some(limit) = self.min_length.filter(|&limit| length < limit) {
            return Err(CellError { code: "too_short", message: format!("{length} characters, the least is {limit}") });
        }
        if let Some(limit) = self.max_length.filter(|&limit| length > limit) {
            return Err(CellError { code: "too_long", message: format!("{length} characters, the limit is {limit}") });
        }
        Ok(Value::Text(cell.to_owned()))
    }

    fn within(&self, number: Decimal) -> Result<Value, CellError> {
        if let Some(limit) = self.minimum.as_ref().filter(|limit| number.cmp_value(limit).is_lt()) {
            return Err(CellError { code: "too_small", message: format!("the least is {limit}") });
        }
        if let Some(limit) = self.maximum.as_ref().filter(|limit| number.cmp_value(limit).is_gt()) {
            return Err(CellError { code: "too_large", message: format!("the limit is {limit}") });
        }
        Ok(Value::Number(number))
    }
}

fn invalid_schema(field: &str, what: &str) -> Failure {
    Failure::new("invalid_schema", format!("field `{field}` {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(columns: &[&str]) -> Result<Plan, Failure> {
        let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        Plan::compile(&crate::kinds::all()[0], &columns)
    }

    #[test]
    fn columns_that_cannot_be_matched_fail_with_their_names() {
        let failure = plan(&["sku", "name", "brand", "name"]).expect_err("twice");
        assert_eq!(
            (failure.code.as_str(), failure.message.as_str()),
            ("duplicate_column", "columns 2 and 4 are both called `name`")
        );
        let failure = plan(&["sku", "Name", "brand"]).expect_err("case matters");
        assert_eq!(failure.code, "missing_column");
        assert!(failure.message.contains("`name`") && !failure.message.contains("`brand`"), "{}", failure.message);
    }

    #[test]
    fn unknown_columns_are_ignored_and_listed() {
        let columns = ["sku", "colour", "name", "brand"].map(str::to_owned);
        let plan = Plan::compile(&crate::kinds::all()[0], &columns).expect("all required");
        assert_eq!(plan.ignored(&columns).collect::<Vec<_>>(), ["colour"]);
    }

    #[test]
    fn cells_become_exact_values_or_say_why_not() {
        let field = |field_type, constraints| {
            let field = penstock_model::Field {
                name: "f".into(),
                title: String::new(),
                description: String::new(),
                field_type,
                constraints,
                default: None,
            };
            FieldPlan::compile(&field).expect("valid")
        };
        let bounds = penstock_model::Constraints {
            min_length: Some(2),
            max_length: Some(3),
            minimum: Some("0.00001".into()),
            maximum: Some("10".into()),
            ..Default::default()
        };
        let code = |field_type, cell: &str| field(field_type, bounds.clone()).value(cell).map_err(|error| error.code);
        assert_eq!(code(FieldType::String, "äöü"), Ok(Value::Text("äöü".into())));
        assert_eq!(code(FieldType::String, "a"), Err("too_short"));
        assert_eq!(code(FieldType::String, "abcd"), Err("too_long"));
        assert_eq!(code(FieldType::Number, " 9.90 "), Ok(Value::Number(Decimal::parse("9.9").expect("a number"))));
        assert_eq!(code(FieldType::Number, "0.000001"), Err("too_small"));
        assert_eq!(code(FieldType::Number, "10.01"), Err("too_large"));
        assert_eq!(code(FieldType::Number, "9,90"), Err("invalid_number"));
        assert_eq!(code(FieldType::Integer, "9.0"), Err("invalid_integer"));
        assert_eq!(code(FieldType::Integer, "9223372036854775808"), Err("invalid_integer"));
        assert_eq!(code(FieldType::Boolean, "TRUE"), Ok(Value::Boolean(true)));
        assert_eq!(code(FieldType::Boolean, "yes"), Err("invalid_boolean"));
    }
}
