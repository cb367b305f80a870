//! One suite of scenarios over everything that the store promises, for every cloud that it meets.
//!
//! Alone it runs against the local cloud. `infra/conformance/run` runs it against clouds that are not ours:
//! `PENSTOCK_CONFORMANCE` names one, and the variables that functions read say where it is. What is known to differ
//! there is listed in `infra/conformance/differences.json`: a scenario that fails and is not listed fails the suite,
//! and so does one that is listed and passes, or fails in another way.

mod accounts;
mod bench;
mod blocks;
mod deletes;
mod files;
mod imports;
mod names;
mod parts;
mod queues;
mod records;
mod removals;
mod replaces;

use std::{
    any::Any,
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use bench::{Bench, Cloud};
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::time::timeout;

use crate::support;

/// What a scenario may take, on the slowest of the clouds.
const LONGEST: Duration = Duration::from_secs(120);

type Scenario = fn(Bench) -> BoxFuture<'static, ()>;

macro_rules! scenarios {
    ($($module:ident { $($name:ident),* $(,)? })*) => {
        &[$($((stringify!($name), |bench| Box::pin($module::$name(bench)))),*),*]
    };
}

const SCENARIOS: &[(&str, Scenario)] = scenarios! {
    imports {
        an_import_is_stored_once_and_is_its_accounts_alone,
        an_idempotency_key_stands_for_one_request,
        lists_are_newest_first_in_pages_and_by_status_and_kind,
        accepting_pins_one_object_and_gives_a_place_in_the_order,
        imports_accepted_at_once_get_different_places,
        one_upload_accepted_at_once_gets_one_place,
        a_checkpoint_moves_once,
        an_order_to_end_stops_the_splitter,
        an_import_expires_once_and_a_late_upload_counts,
        due_imports_are_found_until_they_are_swept,
        a_quota_is_never_exceeded,
    }
    accounts {
        a_removed_account_is_gone_and_its_neighbour_stays,
    }
    blocks {
        a_block_is_opened_once,
        the_first_fate_of_a_chunk_counts,
        of_fates_decided_at_once_one_wins,
        the_first_tally_of_a_chunk_counts,
        an_import_ends_once_with_the_sums_of_its_blocks,
        a_halted_import_finishes_what_has_begun,
        errors_come_back_in_the_order_of_the_file,
    }
    records {
        values_come_back_with_every_digit,
        a_write_is_stored_only_over_what_was_read,
        each_of_25_writes_is_answered_for_itself,
        of_writes_at_once_one_is_stored,
        a_hundred_records_are_read_at_once,
        shards_give_every_record_once_in_order,
    }
    deletes {
        a_delete_takes_a_place_and_leaves_tombstones,
        a_delete_that_was_overtaken_is_not_made,
        deletes_at_once_have_different_places,
    }
    replaces {
        one_replace_is_at_the_gate_and_others_wait,
        a_held_replace_leaves_the_gate_and_takes_a_place_when_it_is_confirmed,
        the_first_count_of_a_shard_counts,
        a_tombstone_is_written_over_what_was_read,
    }
    names {
        a_key_is_taken_until_it_is_revoked,
        a_key_put_again_belongs_to_the_last_account_alone,
        a_kind_keeps_every_version,
        versions_registered_at_once_are_all_kept,
        a_window_lets_as_many_through_as_it_allows,
        of_requests_at_once_no_more_pass_than_are_allowed,
    }
    files {
        a_presigned_put_stores_one_object,
        a_presigned_put_is_what_was_signed_and_no_more,
        a_presigned_put_ends_when_it_says,
        a_form_stores_what_its_policy_allows,
        a_form_with_another_signature_is_forbidden,
        a_form_for_another_key_is_forbidden,
        an_upload_is_stored_once_in_one_piece_and_in_parts,
        of_uploads_at_once_one_is_stored,
        a_range_is_what_was_asked_for,
        a_range_of_a_version_is_what_was_asked_for,
        a_version_stays_what_was_accepted,
        without_a_version_the_etag_tells_a_replaced_object,
        a_rejected_rows_file_is_given_by_its_url,
    }
    parts {
        an_upload_in_parts_becomes_one_object,
        an_upload_in_parts_that_is_given_up_leaves_nothing,
        an_upload_in_parts_is_no_second_object,
        parts_that_are_no_file_change_nothing,
    }
    removals {
        a_deleted_import_leaves_nothing,
        what_an_import_is_about_is_kept,
        an_upload_of_no_import_waits_for_it,
        an_order_that_comes_meanwhile_is_carried_out,
    }
    queues {
        chunks_arrive_as_they_were_sent,
        large_chunks_go_in_batches_that_fit,
        orders_arrive_as_they_were_sent,
    }
};

/// A known difference of a cloud.
struct Difference {
    /// A part of what the scenario fails with.
    found: String,
}

fn differences(cloud: &str) -> BTreeMap<String, Difference> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("infra/conformance/differences.json");
    let text = std::fs::read_to_string(&file).expect("the list of differences is there");
    let all: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_str(&text).expect("the list can be read");
    let of_cloud = all.into_iter().find(|(name, _)| name == cloud).map(|(_, list)| list).unwrap_or_default();
    let difference = |(scenario, entry): (String, Value)| {
        let text =
            |name: &str| entry[name].as_str().filter(|text| !text.is_empty()).expect("`found` and `means` are texts");
        text("means");
        assert!(SCENARIOS.iter().any(|(name, _)| *name == scenario), "{scenario} is no scenario");
        let difference = Difference { found: text("found").to_owned() };
        (scenario, difference)
    };
    of_cloud.into_iter().map(difference).collect()
}

/// What a scenario failed with.
fn said(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast::<&str>().map_or_else(|_| "no text".to_owned(), |text| (*text).to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_its_word_here() {
    let cloud = Cloud::start().await;
    let mut known = differences(&cloud.name);
    let mut wrong = Vec::new();
    for (name, scenario) in SCENARIOS {
        let began = Instant::now();
        let failure = match timeout(LONGEST, tokio::spawn(scenario(cloud.bench()))).await {
            Ok(Ok(())) => None,
            Ok(Err(failed)) => Some(said(failed.into_panic())),
            Err(_) => Some(format!("no end within {} s", LONGEST.as_secs())),
        };
        let outcome = match (failure, known.remove(*name)) {
            (None, None) => "as promised".to_owned(),
            (Some(failure), Some(difference)) if failure.contains(&difference.found) => {
                format!("differs, as listed: {failure}")
            }
            (Some(failure), Some(_)) => {
                wrong.push(*name);
                format!("differs in another way than is listed: {failure}")
            }
            (Some(failure), None) => {
                wrong.push(*name);
                format!("DIFFERS: {failure}")
            }
            (None, Some(_)) => {
                wrong.push(*name);
                "is listed as different, and is as promised".to_owned()
            }
        };
        println!("{}: {name} ({} ms): {outcome}", cloud.name, began.elapsed().as_millis());
    }
    cloud.stop().await;
    assert!(wrong.is_empty(), "{} scenarios of {}: {}", wrong.len(), SCENARIOS.len(), wrong.join(", "));
}
