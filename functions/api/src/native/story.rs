//! Imports that correct one another, and what is told of them together.

use axum::{Json, extract::State};
use penstock_model::{
    Import, ImportId, ImportOptions, Mode, Rows,
    limits::STORY_ROUNDS,
    rfc3339,
    story::{Gone, NoCorrection, Round, StorySum, Taken},
    views,
};
use penstock_store::{Store, story::Told};

use super::view;
use crate::{
    auth::{Caller, Create, Read},
    named::Named,
    refusal::Refusal,
};

/// The import that a new one corrects.
///
/// # Errors
/// 404 where it is missing or another account's.
pub(super) async fn corrected(store: &Store, caller: &Caller<Create>, id: &ImportId) -> Result<Import, Refusal> {
    store.import(&caller.account, id).await?.ok_or_else(|| refusal(NoCorrection::Missing, id))
}

/// Refuses options under which rows that were rejected before would not be corrected.
///
/// # Errors
/// 422.
pub(super) fn check(options: &ImportOptions) -> Result<(), Refusal> {
    let refused = |message| Err(Refusal::unprocessable("invalid_option", message));
    match options {
        ImportOptions { mode: Mode::Replace, .. } => refused(
            "a replace would remove every record that the mended rows do not name: correct an import in another mode, \
             such as upsert",
        ),
        ImportOptions { dry_run: true, .. } => {
            refused("a dry run corrects nothing: leave `corrects` out, and make an import `from` it that corrects")
        }
        ImportOptions { review: true, .. } => {
            refused("a review corrects nothing: leave `review` out, or leave `corrects` out and review the file first")
        }
        _ => Ok(()),
    }
}

/// Why the import of this id cannot be corrected.
pub(super) fn refusal(why: NoCorrection, id: &ImportId) -> Refusal {
    let conflict = |code, message: String| Refusal::conflict(code, message);
    match why {
        NoCorrection::Missing => Refusal::not_found("there is no import `corrects`: it was deleted, or never was"),
        NoCorrection::AnotherKind => {
            let message = format!("the records of {id} are of another kind, and a correction is of the same");
            Refusal::unprocessable("another_kind", message)
        }
        NoCorrection::DryRun => conflict(
            "was_dry_run",
            format!("{id} was a dry run or a review, which wrote nothing that could be corrected"),
        ),
        NoCorrection::Runs => {
            conflict("import_runs", format!("{id} has not ended: wait for it, or cancel it, and then correct it"))
        }
        NoCorrection::NoFile => {
            conflict("nothing_uploaded", format!("nothing was uploaded to {id}, so there is nothing to correct"))
        }
        NoCorrection::Nothing => {
            let message = format!("every row of {id} and of what it corrects is applied: there is nothing to correct");
            conflict("nothing_to_correct", message)
        }
        NoCorrection::Corrected { by, last } => {
            let last = match last == by {
                true => String::new(),
                false => format!("; the last of the history is {last}"),
            };
            let message = format!(
                "{by} corrects {id} already{last}: correct that one, or where it has no file yet, cancel or delete it first"
            );
            conflict("already_corrected", message)
        }
        NoCorrection::TooMany => {
            let message = format!(
                "the history of {id} has {STORY_ROUNDS} imports, the most that it may have: import what is left by itself"
            );
            conflict("too_many_corrections", message)
        }
    }
}

pub(super) async fn history(
    State(store): State<Store>,
    caller: Caller<Read>,
    id: Named<ImportId>,
) -> Result<Json<views::History>, Refusal> {
    let import = caller.import(&store, id.get()).await?;
    let Told { story, mut imports } = store.told(&import).await?;
    let (mut rounds, mut taken) = (Vec::with_capacity(story.rounds.len()), Vec::with_capacity(story.rounds.len()));
    for Round { import: id, gone } in story.rounds {
        let (its, round) = match (gone, imports.remove(&id)) {
            (Some(gone), _) => (gone.taken, of_gone(&id, gone)),
            (None, Some(import)) => {
                let is_split = import.taken(Rows::default());
                let shown = view::shown(&store, import).await?;
                (Taken { rows: shown.rows, ..is_split }, of_shown(shown))
            }
            (None, None) => continue,
        };
        taken.push(its);
        rounds.push(round);
    }
    Ok(Json(views::History { rounds, sum: StorySum::of(taken) }))
}

fn of_gone(id: &ImportId, gone: Gone) -> views::HistoryRound {
    let Gone { status, created_at, completed_at, taken } = gone;
    let (created_at, completed_at) = (rfc3339(created_at), completed_at.map(rfc3339));
    views::HistoryRound { id: id.to_string(), status, created_at, completed_at, rows: taken.rows, import: None }
}

fn of_shown(import: views::Import) -> views::HistoryRound {
    let views::Import { id, status, created_at, completed_at, rows, .. } = import.clone();
    views::HistoryRound { id, status, created_at, completed_at, rows, import: Some(import) }
}
