//! Changes of items: what an update writes, and on which conditions.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::{AttributeValue, Delete, TransactWriteItem, builders::UpdateBuilder},
};
use penstock_model::{Import, ImportId, Marks, Stage, Status, Transition};

use crate::{
    Result,
    dynamo::{Item, n, s, set_of, updating, value},
    table::{due_shard, ended_shard},
};

/// A change of one item. Attributes are named by placeholders, `status` as `#status`, since many of their names are
/// reserved words; the value that an attribute is set to is `:status`.
#[derive(Debug, Default)]
pub(crate) struct Change {
    sets: Vec<String>,
    removes: Vec<String>,
    adds: Vec<String>,
    conditions: Vec<Condition>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

#[derive(Debug)]
struct Condition {
    expression: String,
    /// Whether the expression is one of alternatives, which hold each other off by parentheses.
    is_either: bool,
}

impl Change {
    /// A change that is made where the item is there.
    pub(crate) fn of_existing() -> Self {
        Self::default().only_if("attribute_exists(pk)")
    }

    /// A change of an import that is made while the import stands at one of these stages.
    pub(crate) fn at(stages: &[Stage]) -> Self {
        let mut change = Self::default();
        let alternatives: Vec<String> = stages.iter().map(|stage| change.has(stage.marks())).collect();
        change.conditions.push(Condition { expression: alternatives.join(" OR "), is_either: alternatives.len() > 1 });
        change
    }

    /// What a transition changes in an import as it was read, on the condition that the import stands where the
    /// transition is made from. An import that the transition leaves nothing to be looked at in leaves the sweeper's
    /// list for that of imports that have ended.
    pub(crate) fn by(import: &Import, transition: &Transition, now_ms: i64) -> Result<Self> {
        let stages: Vec<Stage> = Stage::ALL.iter().copied().filter(|stage| transition.is_made_from(*stage)).collect();
        let mut change = Self::at(&stages);
        for (attribute, written) in transition.writes(now_ms) {
            change = match written.is_null() {
                true => change.remove(&attribute),
                false => change.set(&attribute, value("a transition", &written)?),
            };
        }
        Ok(match transition.stays_due(import) {
            true => change,
            false => change.ended(&import.id, now_ms),
        })
    }

    /// Makes the change only while the import is on the sweeper's list of those for which there may be something to do.
    pub(crate) fn listed(self, id: &ImportId) -> Self {
        self.only_if("due_shard = :list").value("list", s(due_shard(id)))
    }

    /// Puts an import on the list of those that have ended, by the moment at which it did, in Unix milliseconds:
    /// [`crate::retention`]. It leaves the other one.
    pub(crate) fn ended(self, id: &ImportId, ended_at: i64) -> Self {
        self.set("due_at", n(ended_at)).set("due_shard", s(ended_shard(id)))
    }

    /// The condition that an import has these marks.
    fn has(&mut self, Marks { statuses, halt, total, waiting_for, confirmed, removes }: Marks) -> String {
        let placeholder = |status: &Status| format!(":{}", status.as_str());
        for status in statuses {
            self.values.insert(placeholder(status), s(status.as_str()));
        }
        let statuses: Vec<String> = statuses.iter().map(placeholder).collect();
        let mut condition = format!("{} IN ({})", self.name("status"), statuses.join(", "));
        let marks = [
            ("halt", halt),
            ("total", total),
            ("waiting_for", waiting_for),
            ("confirmed", confirmed),
            ("removes", removes),
        ];
        for (attribute, mark) in marks {
            if let Some(is_there) = mark {
                let function = if is_there { "attribute_exists" } else { "attribute_not_exists" };
                condition.push_str(&format!(" AND {function}({})", self.name(attribute)));
            }
        }
        condition
    }

    fn name(&mut self, attribute: &str) -> String {
        let placeholder = format!("#{attribute}");
        self.names.insert(placeholder.clone(), attribute.to_owned());
        placeholder
    }

    /// Sets an attribute.
    pub(crate) fn set(mut self, attribute: &str, value: AttributeValue) -> Self {
        let name = self.name(attribute);
        self.set_to(format!("{name} = :{attribute}")).value(attribute, value)
    }

    /// Sets what an expression says, such as `list = list_append(list, :more)`.
    pub(crate) fn set_to(mut self, expression: impl Into<String>) -> Self {
        self.sets.push(expression.into());
        self
    }

    /// Removes an attribute.
    pub(crate) fn remove(mut self, attribute: &str) -> Self {
        let name = self.name(attribute);
        self.removes.push(name);
        self
    }

    /// Adds to a set: never to a number, which a repeat would count twice.
    pub(crate) fn add_to_set(mut self, attribute: &str, member: impl ToString) -> Self {
        let name = self.name(attribute);
        self.adds.push(format!("{name} :{attribute}"));
        self.value(attribute, set_of(member))
    }

    /// Makes the change only where this condition, which offers no alternatives, holds too.
    pub(crate) fn only_if(mut self, condition: impl Into<String>) -> Self {
        self.conditions.push(Condition { expression: condition.into(), is_either: false });
        self
    }

    /// Names an attribute or a member of one for expressions: `#<placeholder>`.
    pub(crate) fn named(mut self, placeholder: &str, attribute: impl Into<String>) -> Self {
        self.names.insert(format!("#{placeholder}"), attribute.into());
        self
    }

    /// Gives expressions a value: `:<placeholder>`.
    pub(crate) fn value(mut self, placeholder: impl AsRef<str>, value: AttributeValue) -> Self {
        self.values.insert(format!(":{}", placeholder.as_ref()), value);
        self
    }

    fn update_expression(&self) -> String {
        let clause = |verb: &str, actions: &[String]| match actions {
            [] => None,
            actions => Some(format!("{verb} {}", actions.join(", "))),
        };
        let clauses = [clause("SET", &self.sets), clause("REMOVE", &self.removes), clause("ADD", &self.adds)];
        clauses.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// DynamoDB refuses parentheses that change nothing.
    fn condition_expression(&self) -> Option<String> {
        let shown = |condition: &Condition| match condition.is_either && self.conditions.len() > 1 {
            true => format!("({})", condition.expression),
            false => condition.expression.clone(),
        };
        (!self.conditions.is_empty()).then(|| self.conditions.iter().map(shown).collect::<Vec<_>>().join(" AND "))
    }

    /// The change as an update of its own.
    pub(crate) fn in_update(self, update: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
        update
            .update_expression(self.update_expression())
            .set_condition_expression(self.condition_expression())
            .set_expression_attribute_names(Some(self.names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(self.values).filter(|values| !values.is_empty()))
    }

    /// The conditions of the change, under which a transaction deletes the item instead.
    pub(crate) fn in_deletion(self, table: &str, key: Item) -> TransactWriteItem {
        let delete = Delete::builder()
            .table_name(table)
            .set_key(Some(key))
            .set_condition_expression(self.condition_expression())
            .set_expression_attribute_names(Some(self.names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(self.values).filter(|values| !values.is_empty()))
            .build()
            .expect("table and key are set");
        TransactWriteItem::builder().delete(delete).build()
    }

    /// The change as an action of a transaction.
    pub(crate) fn in_action(self, update: UpdateBuilder) -> TransactWriteItem {
        updating(
            update
                .update_expression(self.update_expression())
                .set_condition_expression(self.condition_expression())
                .set_expression_attribute_names(Some(self.names).filter(|names| !names.is_empty()))
                .set_expression_attribute_values(Some(self.values).filter(|values| !values.is_empty())),
        )
    }
}

#[cfg(test)]
mod tests {
    use penstock_model::{Halt, ImportId, Rows};

    use super::*;
    use crate::dynamo::n;

    fn import() -> Import {
        let (account, kind) = ("1".parse().expect("valid"), "products".parse().expect("valid"));
        Import::new(ImportId::new(1, [7; 10]), account, kind, 0, 1)
    }

    #[test]
    fn a_transition_is_written_on_the_condition_that_the_import_still_stands_there() {
        let end =
            Transition::End { status: Status::Completed, failure: None, rows: Some(Rows::default()), removed: None };
        let change = Change::by(&import(), &end, 7).expect("attributes");
        assert_eq!(
            change.update_expression(),
            "SET #completed_at = :completed_at, #rows = :rows, #status = :status, #due_at = :due_at, #due_shard = \
             :due_shard"
        );
        assert_eq!((&change.values[":due_at"], &change.values[":due_shard"]), (&n(7), &s("ended-3")));
        let running = "#status IN (:processing) AND attribute_not_exists(#halt) AND";
        let wanted = format!(
            "{running} attribute_not_exists(#total) AND attribute_not_exists(#waiting_for) OR {running} \
             attribute_exists(#total) AND attribute_not_exists(#confirmed) AND attribute_not_exists(#removes) OR \
             #status IN (:awaiting_confirmation) AND attribute_not_exists(#halt) OR #status IN (:processing, \
             :awaiting_confirmation) AND attribute_exists(#halt)"
        );
        assert_eq!(change.condition_expression(), Some(wanted.clone()));
        assert_eq!(change.values[":status"], s("completed"));
        assert_eq!(change.values[":processing"], s("processing"));
        assert_eq!(change.names["#rows"], "rows");
        let more = change.only_if("a = :b");
        assert_eq!(more.condition_expression(), Some(format!("({wanted}) AND a = :b")));
        let halt = Change::by(&import(), &Transition::Halt(Halt::cancelled()), 7).expect("attributes");
        assert_eq!(halt.update_expression(), "SET #halt = :halt, #halted_at = :halted_at");
    }

    #[test]
    fn what_has_no_value_any_more_is_removed() {
        let change = Change::of_existing().set("a", n(1)).remove("b").remove("c");
        assert_eq!(change.update_expression(), "SET #a = :a REMOVE #b, #c");
        assert_eq!(change.condition_expression().as_deref(), Some("attribute_exists(pk)"));
        assert_eq!(Change::default().remove("b").update_expression(), "REMOVE #b");
        let change = Change::default().add_to_set("c", "d").set("a", n(1));
        assert_eq!(change.update_expression(), "SET #a = :a ADD #c :c");
    }
}
