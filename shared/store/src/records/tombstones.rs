//! Tombstones that a replace leaves, and the moment at which those of others go.

use aws_sdk_dynamodb::types::{AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest};
use penstock_engine::key::RecordName;
use penstock_model::{Stamp, limits::TOMBSTONE_SECONDS};

use super::{Write, Written, item, update_statement};
use crate::{
    Result, Store, StoreError, crash,
    dynamo::{n, s},
};

impl Store {
    /// Writes at most [`WRITE_BATCH`](super::WRITE_BATCH) tombstones in the place of records, each only if its record
    /// has not changed since it was read. None of them expires.
    ///
    /// A repeat of a write that was stored finds another `rev` and answers [`Written::ReadAgain`]; what is read then is
    /// the tombstone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the table did not take the request; any of its writes may have been stored.
    pub async fn write_tombstones(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        let conditions = self.conditions();
        let set: &[&str] = if conditions.floor { &["rev", "stamps", "gone"] } else { &["rev", "stamps"] };
        let only_if: &[&str] = if conditions.removal_rev { &["rev"] } else { &[] };
        let statement = update_statement(&self.settings().records_table, set, &["fields"], only_if);
        let mut statements = Vec::with_capacity(writes.len());
        for Write { name, record } in writes {
            let mut tombstone = (*record).clone();
            if !conditions.tombstone_bookkeeping {
                let never = Stamp { order: 0, row: 0 };
                (tombstone.made, tombstone.last.stamp) = (never, never);
            }
            let (stamps, _) = item::attributes(&tombstone)?;
            let mut parameters = vec![n(record.rev + 1), stamps];
            if conditions.floor {
                parameters.push(item::gone(record.gone.unwrap_or(record.made)));
            }
            parameters.extend([s(name.partition.as_str()), s(name.sort.as_str())]);
            if conditions.removal_rev {
                parameters.push(n(record.rev));
            }
            statements.push((statement.clone(), parameters));
        }
        let written = self.execute(statements).await?;
        crash::point("replace.tombstones");
        Ok(written)
    }

    /// Has tombstones expire after [`TOMBSTONE_SECONDS`], each only if it is still as it was read. The caller knows
    /// that no import of an earlier place than theirs can write any more but by a process that is left of it.
    ///
    /// At most [`WRITE_BATCH`](super::WRITE_BATCH) in one call. A repeat moves their end.
    ///
    /// # Errors
    /// As [`Store::write_tombstones`].
    pub async fn expire_tombstones(&self, tombstones: &[(RecordName, u64)]) -> Result<()> {
        let statement = update_statement(&self.settings().records_table, &["expires_at"], &[], &["rev"]);
        let at = self.now_ms() / 1000 + TOMBSTONE_SECONDS as i64;
        let of = |(name, rev): &(RecordName, u64)| {
            (statement.clone(), vec![n(at), s(name.partition.as_str()), s(name.sort.as_str()), n(rev)])
        };
        self.execute(tombstones.iter().map(of).collect()).await.map(drop)
    }

    /// What became of each statement of a request.
    pub(crate) async fn execute(&self, statements: Vec<(String, Vec<AttributeValue>)>) -> Result<Vec<Written>> {
        let call = "dynamodb:BatchExecuteStatement";
        let count = statements.len();
        let requests = statements.into_iter().map(|(statement, parameters)| {
            let request =
                BatchStatementRequest::builder().statement(statement).set_parameters(Some(parameters)).build();
            request.expect("the statement is set")
        });
        let request = self.dynamodb().batch_execute_statement().set_statements(Some(requests.collect()));
        let output = request.send().await.map_err(StoreError::unavailable(call))?;
        let mut responses = output.responses.unwrap_or_default().into_iter();
        (0..count)
            .map(|_| match responses.next().map(|response| response.error.and_then(|error| error.code)) {
                Some(None) => Ok(Written::Stored),
                // A statement that the table refuses as such would be refused for ever.
                Some(Some(
                    code @ (BatchStatementErrorCodeEnum::ValidationError
                    | BatchStatementErrorCodeEnum::AccessDenied
                    | BatchStatementErrorCodeEnum::ResourceNotFound),
                )) => Err(StoreError::Unavailable { call, reason: code.as_str().to_owned() }),
                _ => Ok(Written::ReadAgain),
            })
            .collect()
    }
}
