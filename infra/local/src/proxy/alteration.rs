//! Batches done in part: what is taken out of a request on its way there, and what its answer says instead on its way
//! back.

use serde_json::{Map, Value, json};

use crate::faults::{Source, Weather};

/// What has been done to a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Alteration {
    None,
    /// These members were not passed on; the answer gets them under this name (`UnprocessedKeys`, `UnprocessedItems`).
    Unprocessed(&'static str, Map<String, Value>),
    /// What each statement's client hears.
    Statements(Vec<Statement>),
    /// The messages of these ids were not passed on.
    Unsent(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// Its own answer.
    True,
    /// An error though it had its effect.
    Done(&'static str),
    /// An error, and it was not passed on.
    NotDone(&'static str),
}

/// Errors that say nothing about whether a statement had its effect.
const STATEMENT_ERRORS: [&str; 4] =
    ["ThrottlingError", "InternalServerError", "ProvisionedThroughputExceeded", "TransactionConflict"];

/// Whether DynamoDB may refuse the operation because of a transaction under way.
pub(super) fn conflicts(operation: &str) -> bool {
    matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem")
}

impl Alteration {
    /// Takes out of the request what the weather wants out.
    pub(super) fn of_request(operation: &str, request: &mut Value, weather: &Weather, source: Source) -> Self {
        let faults = &weather.faults().wire;
        match operation {
            "BatchGetItem" if weather.strikes(source, faults.partial_batch) => {
                let taken = take_members(request, weather, source, |table| table.get_mut("Keys"));
                Self::Unprocessed("UnprocessedKeys", taken)
            }
            "BatchWriteItem" if weather.strikes(source, faults.partial_batch) => {
                Self::Unprocessed("UnprocessedItems", take_members(request, weather, source, |table| Some(table)))
            }
            "SendMessageBatch" if weather.strikes(source, faults.partial_batch) => {
                let Some(entries) = request["Entries"].as_array_mut() else { return Self::None };
                let unsent = take_some(entries, 1, weather, source);
                Self::Unsent(unsent.iter().filter_map(|entry| Some(entry["Id"].as_str()?.to_owned())).collect())
            }
            "BatchExecuteStatement" if faults.statement_error > 0.0 => {
                let Some(statements) = request["Statements"].as_array_mut() else { return Self::None };
                let fates: Vec<Statement> = statements.iter().map(|_| Statement::draw(weather, source)).collect();
                // A batch must not be empty.
                let fates: Vec<Statement> = if fates.iter().all(|fate| matches!(fate, Statement::NotDone(_))) {
                    fates
                        .iter()
                        .map(|fate| if let Statement::NotDone(code) = fate { Statement::Done(code) } else { *fate })
                        .collect()
                } else {
                    fates
                };
                if fates.iter().all(|fate| *fate == Statement::True) {
                    return Self::None;
                }
                let mut fate = fates.iter();
                statements.retain(|_| !matches!(fate.next(), Some(Statement::NotDone(_))));
                Self::Statements(fates)
            }
            _ => Self::None,
        }
    }

    /// Whether the request is no longer what it was.
    pub(super) fn changes_request(&self) -> bool {
        match self {
            Self::None => false,
            Self::Unprocessed(..) | Self::Unsent(_) => true,
            Self::Statements(fates) => fates.iter().any(|fate| matches!(fate, Statement::NotDone(_))),
        }
    }

    /// Makes the answer say what has been done; says whether it has changed.
    pub(super) fn apply(self, response: &mut Value) -> bool {
        match self {
            Self::None => false,
            Self::Unprocessed(name, members) => {
                if !response[name].is_object() {
                    response[name] = json!({});
                }
                for (table, members) in members {
                    // What the service itself left undone keeps its place; so small a batch is never left undone by
                    // ours.
                    response[name][table] = members;
                }
                true
            }
            Self::Unsent(ids) => {
                if !response["Failed"].is_array() {
                    response["Failed"] = json!([]);
                }
                let failures = ids.iter().map(|id| {
                    json!({ "Id": id, "SenderFault": false, "Code": "InternalFailure", "Message": "Foul weather." })
                });
                if let Some(failed) = response["Failed"].as_array_mut() {
                    failed.extend(failures);
                }
                true
            }
            Self::Statements(fates) => {
                let Some(true_answers) = response["Responses"].as_array_mut() else { return false };
                let mut true_answers = std::mem::take(true_answers).into_iter();
                let answers: Vec<Value> = fates
                    .into_iter()
                    .filter_map(|fate| match fate {
                        Statement::True => true_answers.next(),
                        Statement::Done(code) => true_answers.next().map(|_| statement_error(code)),
                        Statement::NotDone(code) => Some(statement_error(code)),
                    })
                    .collect();
                response["Responses"] = Value::Array(answers);
                true
            }
        }
    }
}

impl Statement {
    fn draw(weather: &Weather, source: Source) -> Self {
        if !weather.strikes(source, weather.faults().wire.statement_error) {
            return Self::True;
        }
        let nth = weather.below(source, STATEMENT_ERRORS.len() as u64);
        let code = STATEMENT_ERRORS[usize::try_from(nth).unwrap_or(0)];
        if weather.below(source, 2) == 0 { Self::Done(code) } else { Self::NotDone(code) }
    }
}

fn statement_error(code: &str) -> Value {
    json!({ "Error": { "Code": code, "Message": "Foul weather." } })
}

/// Takes some members out of each table's, of which one stays in all, and gives them in the request's own shape.
fn take_members(
    request: &mut Value,
    weather: &Weather,
    source: Source,
    members: fn(&mut Value) -> Option<&mut Value>,
) -> Map<String, Value> {
    let mut taken = Map::new();
    let Some(tables) = request["RequestItems"].as_object_mut() else { return taken };
    let mut keep = 1;
    for (name, table) in tables.iter_mut() {
        let mut out = table.clone();
        let (Some(list), Some(out_list)) = (members(table).and_then(Value::as_array_mut), members(&mut out)) else {
            continue;
        };
        let some = take_some(list, keep, weather, source);
        keep = 0;
        if !some.is_empty() {
            *out_list = Value::Array(some);
            taken.insert(name.clone(), out);
        }
    }
    tables.retain(|_, table| members(table).and_then(Value::as_array_mut).is_some_and(|list| !list.is_empty()));
    taken
}

/// Takes each element but the first `keep` with even chances.
fn take_some(list: &mut Vec<Value>, keep: usize, weather: &Weather, source: Source) -> Vec<Value> {
    let (stay, out) = std::mem::take(list)
        .into_iter()
        .enumerate()
        .partition::<Vec<_>, _>(|(nth, _)| *nth < keep || weather.below(source, 2) == 0);
    *list = stay.into_iter().map(|(_, element)| element).collect();
    out.into_iter().map(|(_, element)| element).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::faults::{Faults, WireFaults};

    fn foul() -> Weather {
        let wire = WireFaults { partial_batch: 1.0, statement_error: 0.5, ..WireFaults::default() };
        Weather::new(Faults { seed: 3, wire, ..Faults::default() })
    }

    #[test]
    fn keys_left_out_come_back_as_unprocessed_in_the_requests_own_shape() {
        let keys: Vec<Value> = (0..10).map(|n| json!({ "pk": { "S": n.to_string() } })).collect();
        let mut request = json!({ "RequestItems": { "t": { "Keys": keys, "ConsistentRead": true } } });
        let alteration = Alteration::of_request("BatchGetItem", &mut request, &foul(), Source::DynamoDb);
        let mut response = json!({ "Responses": {}, "UnprocessedKeys": {} });
        assert!(alteration.changes_request() && alteration.apply(&mut response));
        let kept = request["RequestItems"]["t"]["Keys"].as_array().unwrap();
        let left = response["UnprocessedKeys"]["t"]["Keys"].as_array().unwrap();
        assert_eq!(kept.len() + left.len(), 10);
        assert!(kept.contains(&keys[0]) && !left.is_empty());
        assert_eq!(response["UnprocessedKeys"]["t"]["ConsistentRead"], true);
    }

    #[test]
    fn statements_keep_their_places_whether_they_were_passed_on_or_not() {
        let statements: Vec<Value> = (0..20).map(|n| json!({ "Statement": n.to_string() })).collect();
        let mut request = json!({ "Statements": statements });
        let alteration = Alteration::of_request("BatchExecuteStatement", &mut request, &foul(), Source::DynamoDb);
        let answers: Vec<Value> = request["Statements"]
            .as_array()
            .unwrap()
            .iter()
            .map(|statement| json!({ "TableName": statement["Statement"] }))
            .collect();
        assert!(answers.len() < 20);
        let mut response = json!({ "Responses": answers });
        alteration.apply(&mut response);
        let responses = response["Responses"].as_array().unwrap();
        assert_eq!(responses.len(), 20);
        for (n, response) in responses.iter().enumerate() {
            assert!(
                response["Error"].is_object() || response["TableName"].as_str() == Some(&n.to_string()),
                "{n}: {response}"
            );
        }
    }

    #[test]
    fn messages_left_out_are_listed_as_failed() {
        let entries: Vec<Value> = (0..10).map(|n| json!({ "Id": n.to_string() })).collect();
        let mut request = json!({ "Entries": entries });
        let alteration = Alteration::of_request("SendMessageBatch", &mut request, &foul(), Source::Sqs);
        let mut response = json!({ "Successful": [] });
        alteration.apply(&mut response);
        let failed = response["Failed"].as_array().unwrap();
        assert_eq!(failed.len() + request["Entries"].as_array().unwrap().len(), 10);
        assert!(failed.iter().all(|failure| failure["SenderFault"] == false));
    }
}
