//! The end of an import: found by whoever is last, made once.

use aws_sdk_dynamodb::types::AttributeValue;
use penstock_model::{AccountId, Failure, Halt, Import, ImportId, Rows, Status, Tally};

use crate::{
    Backoff, Result, Store,
    blocks::Block,
    crash,
    dynamo::{is_made, n, s, updating, value},
    imports::{import_key, kind_key},
};

impl Store {
    /// Notes a full block's sums in the import, once: a repeat changes nothing.
    pub async fn note(&self, import: &Import, number: u32, block: &Block) -> Result<()> {
        debug_assert!(block.is_full());
        let sums: [u64; 7] = block.sum().into();
        let mut update = self
            .update(import_key(&import.account, &import.id))
            .condition_expression("#status = :processing AND NOT contains(noted_blocks, :number)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":processing", s(Status::Processing.as_str()))
            .expression_attribute_values(":number", n(number))
            .expression_attribute_values(":numbers", AttributeValue::L(vec![n(number)]));
        let mut sets = vec!["noted_blocks = list_append(noted_blocks, :numbers)".to_owned()];
        for (at, sum) in sums.iter().enumerate() {
            sets.push(format!("noted_tally[{at}] = noted_tally[{at}] + :sum{at}"));
            update = update.expression_attribute_values(format!(":sum{at}"), n(sum));
        }
        is_made(update.update_expression(format!("SET {}", sets.join(", ")))).await?;
        crash::point("validate.noted");
        Ok(())
    }

    /// Orders an import to end early, unless it has been ordered to or has ended.
    ///
    /// An import that still awaits its upload ends at once. For one that is processing the order alone stops nothing: [`Store::settle`]
    /// closes its blocks. A repeat changes nothing.
    pub async fn order_halt(&self, account: &AccountId, id: &ImportId, halt: &Halt) -> Result<()> {
        if self.end_awaiting(account, id, halt).await? {
            return Ok(());
        }
        let ordered = self
            .update(import_key(account, id))
            .update_expression("SET halt = :halt")
            .condition_expression("#status = :processing AND attribute_not_exists(halt)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":processing", s(Status::Processing.as_str()))
            .expression_attribute_values(":halt", value("an order", halt)?);
        is_made(ordered).await?;
        crash::point("halt.ordered");
        Ok(())
    }

    /// Ends an import that awaits its upload; whether this call did. A repeat changes nothing.
    pub(crate) async fn end_awaiting(&self, account: &AccountId, id: &ImportId, halt: &Halt) -> Result<bool> {
        let mut sets = "SET #status = :final, completed_at = :now".to_owned();
        let mut ended = self.update(import_key(account, id));
        if let Some(failure) = &halt.failure {
            sets.push_str(", failure = :failure");
            ended = ended.expression_attribute_values(":failure", value("a failure", failure)?);
        }
        let ended = ended
            .update_expression(sets + " REMOVE due_at, due_shard")
            .condition_expression("#status = :awaiting")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":final", s(halt.status.as_str()))
            .expression_attribute_values(":awaiting", s(Status::AwaitingUpload.as_str()))
            .expression_attribute_values(":now", n(self.now_ms()));
        is_made(ended).await
    }

    /// Notes every full block that is not noted yet. For the sweeper: whoever filled a block may have died before noting it.
    pub async fn note_full_blocks(&self, import: &Import) -> Result<()> {
        for (number, block) in self.blocks(&import.id, &unnoted(import)).await? {
            if block.is_full() {
                self.note(import, number, &block).await?;
            }
        }
        Ok(())
    }

    /// Ends the import if nothing more can happen to its rows, and gives it as it is then.
    ///
    /// Called after every step that may have been the last: by the splitter, by validators, by whoever halts, by the sweeper. Any number of
    /// calls, at once or again, end it once. A halted import has its blocks closed here first.
    pub async fn settle(&self, account: &AccountId, id: &ImportId) -> Result<Option<Import>> {
        let Some(import) = self.import(account, id).await? else { return Ok(None) };
        if import.status != Status::Processing {
            if import.has_rejected_rows() && import.report.is_none() {
                self.send_report(&import).await?;
            }
            return Ok(Some(import));
        }
        let (status, failure, rows) = if let Some(halt) = &import.halt {
            let mut sum = Tally::default();
            let mut last_row = import.checkpoint.row - 1;
            let mut at_rest = true;
            for number in 0..import.opened_blocks {
                let block = self.close_block(&import, number).await?;
                at_rest &= block.is_at_rest();
                last_row = last_row.max(block.last_row());
                sum += block.sum();
            }
            if !at_rest {
                return Ok(Some(import));
            }
            let total = import.total.unwrap_or(last_row);
            let rows = Rows::new(Some(total), &sum);
            (halt.status, halt.failure.clone(), Rows { unprocessed: total - rows.processed, ..rows })
        } else {
            let Some(total) = import.total else { return Ok(Some(import)) };
            if import.noted_blocks.len() < import.opened_blocks as usize {
                return Ok(Some(import));
            }
            let rows = Rows::new(Some(total), &import.noted_tally);
            let early = import.noted_tally.failed_early;
            match import.options.abort.filter(|abort| abort.exceeded(early)) {
                // The tally that showed it was also the last one.
                Some(abort) => (Status::Failed, Some(abort.failure(early)), rows),
                None if rows.failed > 0 => (Status::CompletedWithErrors, None, rows),
                None => (Status::Completed, None, rows),
            }
        };
        self.end(import, status, failure, rows).await
    }

    /// Ends the import and takes it from those of its kind that run, in one transaction.
    async fn end(
        &self,
        import: Import,
        status: Status,
        failure: Option<Failure>,
        rows: Rows,
    ) -> Result<Option<Import>> {
        let key = import_key(&import.account, &import.id);
        let remove = if rows.failed > 0 { "" } else { " REMOVE due_at, due_shard" };
        let mut ended = self
            .update_action(key)
            .condition_expression("#status = :processing")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#rows", "rows")
            .expression_attribute_values(":status", s(status.as_str()))
            .expression_attribute_values(":processing", s(Status::Processing.as_str()))
            .expression_attribute_values(":rows", value("rows", &rows)?)
            .expression_attribute_values(":now", n(self.now_ms()));
        let mut sets = "SET #status = :status, #rows = :rows, completed_at = :now".to_owned();
        if let Some(failure) = &failure {
            sets.push_str(", failure = :failure");
            ended = ended.expression_attribute_values(":failure", value("a failure", failure)?);
        }
        let ended = updating(ended.update_expression(sets + remove));
        let left = self
            .update_action(kind_key(&import.account, &import.kind))
            .update_expression("DELETE running :running")
            .expression_attribute_values(":running", AttributeValue::Ss(vec![import.id.to_string()]));
        let actions = vec![ended, updating(left)];
        let mut pause = Backoff::default();
        while let Some(reasons) = self.transact(actions.clone()).await? {
            // Someone else ended it.
            if reasons[0] == "ConditionalCheckFailed" {
                break;
            }
            // An import of the same kind is being accepted or ended at this moment.
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
        crash::point("end.ended");
        let import = self.import(&import.account, &import.id).await?;
        if let Some(import) = &import
            && import.has_rejected_rows()
        {
            self.send_report(import).await?;
            crash::point("end.report_sent");
        }
        Ok(import)
    }

    /// An import's rows as they are now: final, or the noted sums and the blocks that are not noted yet, all read consistently, so that
    /// counters only grow.
    pub async fn rows(&self, import: &Import) -> Result<Rows> {
        match import.rows {
            Some(rows) => Ok(rows),
            None => Ok(Rows::new(import.total, &self.sum(import).await?)),
        }
    }

    /// The sums of all chunks that are tallied now.
    pub async fn sum(&self, import: &Import) -> Result<Tally> {
        let mut sum = import.noted_tally;
        for block in self.blocks(&import.id, &unnoted(import)).await?.values() {
            sum += block.sum();
        }
        Ok(sum)
    }
}

fn unnoted(import: &Import) -> Vec<u32> {
    (0..import.opened_blocks).filter(|number| !import.noted_blocks.contains(number)).collect()
}
