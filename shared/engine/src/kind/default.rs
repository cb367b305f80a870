//! Defaults: the values of a new record in fields that its row does not name.

use std::borrow::Cow;

use penstock_model::Conversion;

use super::{DefaultRule, Kind, temporal};
use crate::cell::Cell;

impl Kind {
    /// The defaults of a record that a row makes: the place and value of every field that has a default and that the
    /// row does not name. A field that the row clears is named, so it gets no default itself; a default that is taken
    /// from it takes its default instead.
    ///
    /// There is always a value: a schema may take defaults only from fields that are required or have a default
    /// themselves. The law of merging needs that for `fill`, see [`crate::merge`].
    pub fn defaults<'a>(&'a self, row: &'a [(usize, Option<Cell<'a>>)]) -> Vec<(usize, Option<Cell<'a>>)> {
        let named = |field: usize| row.iter().any(|(named, _)| *named == field);
        self.defaults
            .iter()
            .filter(|(field, _)| !named(*field))
            .map(|(field, default)| (*field, self.default_value(row, default)))
            .collect()
    }

    /// The fields that the key of a row is made of: its parts, and the fields from which the default of a part is
    /// taken.
    pub(crate) fn fields_of_key(&self) -> Vec<usize> {
        let mut fields = self.key.clone();
        let mut at = 0;
        while let Some(&of_key) = fields.get(at) {
            let default = self.defaults.iter().find(|(field, _)| *field == of_key);
            if let Some((_, DefaultRule::From { field, .. })) = default
                && !fields.contains(field)
            {
                fields.push(*field);
            }
            at += 1;
        }
        fields
    }

    /// Whether the key of a row with these cells depends on a field that they do not hold.
    pub(crate) fn key_needs(&self, cells: &[(usize, Option<Cell<'_>>)], field: usize) -> bool {
        self.key.iter().any(|&part| self.is_taken_from(cells, part, field))
    }

    /// Whether the value of a field of a row depends on this field.
    fn is_taken_from(&self, cells: &[(usize, Option<Cell<'_>>)], of: usize, field: usize) -> bool {
        if of == field {
            return true;
        }
        if cells.iter().any(|(named, value)| *named == of && value.is_some()) {
            return false;
        }
        match self.defaults.iter().find(|(defaulted, _)| *defaulted == of) {
            Some((_, DefaultRule::From { field: source, .. })) => self.is_taken_from(cells, *source, field),
            _ => false,
        }
    }

    /// Bytes that a row can add to a record, at most, if its cells can add `cells` bytes: defaults repeat what other
    /// fields say.
    pub fn bytes_with_defaults(&self, cells: usize) -> usize {
        let constants = self.defaults.iter().map(|(_, default)| match default {
            DefaultRule::Constant(value) => value.bytes(),
            DefaultRule::From { .. } => 0,
        });
        let longest = cells.max(constants.max().unwrap_or(0));
        cells + self.defaults.len() * (longest + 300)
    }

    /// The value of a field of a row, or its default.
    pub(super) fn value<'a>(&'a self, row: &'a [(usize, Option<Cell<'a>>)], field: usize) -> Option<Cell<'a>> {
        if let Some(value) = row.iter().find(|(named, _)| *named == field).and_then(|(_, value)| value.as_ref()) {
            return Some(value.borrowed());
        }
        let (_, default) = self.defaults.iter().find(|(defaulted, _)| *defaulted == field)?;
        self.default_value(row, default)
    }

    /// Terminates: a compiled kind has no circle of defaults.
    fn default_value<'a>(&'a self, row: &'a [(usize, Option<Cell<'a>>)], default: &'a DefaultRule) -> Option<Cell<'a>> {
        match default {
            DefaultRule::Constant(value) => Some(Cell::of(value)),
            DefaultRule::From { field, conversion } => {
                let value = self.value(row, *field)?;
                match (conversion, &value) {
                    (None, _) => Some(value),
                    (Some(Conversion::IsoWeek), Cell::Text(date)) => {
                        Some(Cell::Text(Cow::Owned(temporal::iso_week(date)?)))
                    }
                    (Some(Conversion::IsoWeek), _) => None,
                }
            }
        }
    }
}
