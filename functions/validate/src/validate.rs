//! Validating one chunk.

use std::time::Instant;

use penstock_engine::{notes, plan::Plan, rows};
use penstock_model::{Begin, ChunkMessage, Verdict, limits::RECORD_ITEM_BYTES};
use penstock_runtime::{
    chunk_end,
    metrics::{self, Metric},
};
use penstock_store::{Result, Store, StoreError, crash, errors::RECORD_ITEM_TOO_LARGE};
use tracing::debug;

use crate::apply::{self, Rules};

/// Validates the chunk of a message and applies its rows.
///
/// ```text
/// parse ─▶ begin (the first decision wins) ─▶ records ─▶ errors ─▶ tally (the first wins) ─▶ note ─▶ settle
/// ```
///
/// # Errors
/// What may be different next time: the message goes back to its queue.
pub async fn run(store: &Store, message: ChunkMessage) -> Result<()> {
    let ChunkMessage { job, chunk, repeats, .. } = message;
    let began = Instant::now();
    crash::point("validate.received");
    let kind = store.compiled_kind(&job.account, &job.kind, job.kind_version).await?;
    let kind = kind.ok_or_else(|| unreadable("the kind is unknown"))?;
    let kind = kind.read_by(&job.reading).map_err(|failure| unreadable(&failure.message))?;
    let plan = Plan::compile(kind, job.grammar, &job.columns, &job.options.mapping);
    let mut plan = plan.map_err(|failure| unreadable(&failure.code))?;
    let records = rows::Records::of(&job, &chunk);
    let parsed = rows::parse(&mut plan, &job, &records);
    match store.decide(&job, &chunk, Verdict::Begun).await? {
        Begin::Verdict { verdict: Verdict::Begun, before } => {
            crash::point("validate.begun");
            // A row that was refused before, beside a record that has become smaller since, stays refused: its error is
            // stored.
            let refused = if before { store.refused_rows(&job.import, chunk.index).await? } else { Vec::new() };
            let (rows, mut errors) = (parsed.rows, parsed.errors);
            let (rows, refused_before): (Vec<_>, Vec<_>) =
                rows.into_iter().partition(|row| !refused.contains(&row.row));
            let rules = Rules { plan: &plan, job: &job, repeats: &repeats, conditions: store.conditions() };
            let applied = apply::apply(store, rules, rows).await?;
            crash::point("validate.records");
            let refused: Vec<u64> = refused_before.into_iter().map(|row| row.row).chain(applied.refused).collect();
            if !refused.is_empty() {
                let message = format!("with this row the record would have more than {RECORD_ITEM_BYTES} bytes");
                errors.extend(rows::reject(&mut plan, &job, &chunk, &refused, RECORD_ITEM_TOO_LARGE, &message));
            }
            errors.sort_by_key(|error| error.row);
            if let Some(note) = notes::of_errors(errors.iter().map(|error| error.code.as_str())) {
                store.add_note(&job.account, &job.import, note).await?;
            }
            chunk_end::finish(store, &job, &chunk, applied.tally, &errors).await?;
            let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            metrics::write(&[(Metric::ChunkLatency, took_ms)], &[("import.id", job.import.as_str())]);
            Ok(())
        }
        // The sweeper gave the chunk up before it began, and may have died before its rows were accounted for.
        Begin::Verdict { verdict: Verdict::Failed, .. } => chunk_end::give_up(store, &job, &chunk).await,
        Begin::Tallied(block) => chunk_end::after_tally(store, &job, &chunk, &block).await,
        Begin::Closed => {
            debug!(import.id = %job.import, chunk.index, "the import is to end, or is gone");
            Ok(())
        }
    }
}

fn unreadable(reason: &str) -> StoreError {
    StoreError::Unreadable { what: "a chunk message", source: reason.into() }
}
