//! Rate limits: an exact sliding window for each policy and subject.
//!
//! An item of each policy and subject holds the times of the requests that passed within the last window, at most as
//! many as the policy allows. A request reads the item, judges itself by [`judge`], and writes the item on the
//! condition that nobody else has written it meanwhile. A refused request writes nothing. A request that loses the race
//! tries again. Each lost race means that another request passed, so the retries end at the latest when the window is
//! full.

use std::collections::BTreeMap;

use penstock_model::AccountId;
use serde::{Deserialize, Serialize};

use crate::{
    Backoff, Result, Store,
    dynamo::{self, Item, from_item, putting, s, to_item},
    table::{account_window_key, address_window_key},
};

/// What a window allows: so many requests in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests, 1 to 1,000: their times share one item.
    pub limit: u32,
    /// The length of the window, 1 to 86,400 seconds.
    pub seconds: u32,
}

/// Whose requests a window counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The requests with a valid key from this network address.
    Address(String),
    /// The requests without a valid key from this network address.
    Stranger(String),
    /// The requests of this account.
    Account(AccountId),
}

/// One window: the name of its policy, its rate, and whose requests it counts.
#[derive(Debug, Clone)]
pub struct Window {
    /// The policy's name, such as `quotiza.imports.address`.
    pub policy: String,
    /// How many requests it lets pass, in which time.
    pub rate: Rate,
    /// Whose requests it counts.
    pub subject: Subject,
}

/// The answer of a window to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// Whether the request passes.
    pub allowed: bool,
    /// How many requests the window allows.
    pub limit: usize,
    /// How many more requests would pass now, after this one.
    pub remaining: usize,
    /// Whole seconds until the next request would pass, rounded up: 0 when it would pass now, else at least 1.
    pub retry_after_seconds: u64,
    /// Whole seconds until the window is empty if no other request comes, rounded up.
    pub reset_seconds: u64,
}

/// Judges a request at `now_ms`, in Unix milliseconds, by the times at which earlier requests passed, oldest first.
///
/// A request passes if fewer than `rate.limit` others passed within the last `rate.seconds`; a request that passed
/// exactly that long ago no longer counts. Returns the judgement, and the times that the window holds afterwards, with
/// this request's own if it passes. A clock that lags behind another clock does not reopen the window: time never falls
/// behind the newest time in the window.
pub fn judge(rate: Rate, passed: &[i64], now_ms: i64) -> (Judgement, Vec<i64>) {
    let window_ms = i64::from(rate.seconds) * 1000;
    let limit = rate.limit as usize;
    let now_ms = passed.last().map_or(now_ms, |newest| now_ms.max(*newest));
    let mut within: Vec<i64> = passed.iter().copied().filter(|at| now_ms - at < window_ms).collect();
    let allowed = within.len() < limit;
    if allowed {
        within.push(now_ms);
    }
    let seconds_until = |at_ms: i64| u64::try_from(at_ms - now_ms).unwrap_or(0).div_ceil(1000);
    // After its limit was lowered, a window may hold more times than the limit: the surplus has to leave first.
    let leaves = within.len().checked_sub(limit).and_then(|over| within.get(over));
    let retry_after_seconds = leaves.map_or(0, |at| seconds_until(at + window_ms));
    let reset_seconds = within.last().map_or(0, |newest| seconds_until(newest + window_ms));
    let judgement =
        Judgement { allowed, limit, remaining: limit.saturating_sub(within.len()), retry_after_seconds, reset_seconds };
    (judgement, within)
}

/// The item of a window.
#[derive(Debug, Default, Serialize, Deserialize)]
struct WindowItem {
    /// When requests passed, oldest first, in Unix milliseconds.
    passed: Vec<i64>,
    /// A random word, new with each write, by which a writer recognises its own write.
    rev: String,
}

impl Store {
    /// Asks all windows at once, in one transaction: a request passes if every window lets it pass, and it counts
    /// either in all windows or in none.
    ///
    /// Returns the judgement to tell the client: the refusal with the longest wait, or else the judgement with the
    /// fewest requests left; `None` without windows. A repeated call is another request. A retry inside the call finds
    /// its own write and counts once.
    ///
    /// # Errors
    /// The table does not answer; the request may have been counted.
    pub async fn admit(&self, windows: &[Window]) -> Result<Option<Judgement>> {
        let mut pause = Backoff::default();
        let rev = crate::hex(&crate::random::<8>());
        loop {
            let stored = self.read_windows(windows).await?;
            let now = self.now_ms();
            let mut judged: Vec<(Judgement, Vec<i64>)> = Vec::with_capacity(windows.len());
            let mut ours = false;
            for (window, stored) in windows.iter().zip(&stored) {
                let passed = stored.as_ref().map(|stored| stored.passed.as_slice()).unwrap_or_default();
                ours |= stored.as_ref().is_some_and(|stored| stored.rev == rev);
                judged.push(judge(window.rate, passed, now));
            }
            let verdict = verdict(judged.iter().map(|(judgement, _)| *judgement));
            let Some(verdict) = verdict.filter(|verdict| verdict.allowed || ours) else { return Ok(verdict) };
            if ours {
                return Ok(Some(Judgement { allowed: true, ..verdict }));
            }
            let mut actions = Vec::with_capacity(windows.len());
            for ((window, before), (_, passed)) in windows.iter().zip(stored).zip(judged) {
                let mut item = to_item("a window", &WindowItem { passed, rev: rev.clone() })?;
                item.extend(window_key(window));
                item.insert("ttl".into(), dynamo::n(now / 1000 + i64::from(window.rate.seconds) + 1));
                let put = self.put_action(item);
                actions.push(putting(match before {
                    None => put.condition_expression("attribute_not_exists(pk)"),
                    Some(before) => {
                        put.condition_expression("rev = :rev").expression_attribute_values(":rev", s(before.rev))
                    }
                }));
            }
            let Some(reasons) = self.transact(actions).await? else { return Ok(Some(verdict)) };
            // If the race was lost to a request that passed, the next try has nothing to wait for.
            if reasons.iter().all(|reason| reason != "ConditionalCheckFailed") {
                pause.wait("dynamodb:TransactWriteItems").await?;
            }
        }
    }

    async fn read_windows(&self, windows: &[Window]) -> Result<Vec<Option<WindowItem>>> {
        let keys = windows.iter().map(window_key).collect();
        let mut found = BTreeMap::new();
        for item in self.batch_get(self.imports_table(), keys).await? {
            found.insert(place(&item), from_item("a window", item)?);
        }
        Ok(windows.iter().map(|window| found.remove(&place(&window_key(window)))).collect())
    }
}

/// The one of several judgements that the client is told.
fn verdict(judgements: impl Iterator<Item = Judgement>) -> Option<Judgement> {
    // The refusal with the longest wait, then the least left.
    judgements.min_by_key(|judgement| {
        let Judgement { allowed, remaining, retry_after_seconds, .. } = *judgement;
        (allowed, if allowed { 0 } else { u64::MAX - retry_after_seconds }, remaining)
    })
}

/// An account's windows stand in its own partition, so that they are found with it.
fn window_key(window: &Window) -> Item {
    let Window { policy, subject, .. } = window;
    match subject {
        Subject::Account(account) => account_window_key(account, policy),
        Subject::Address(address) => address_window_key(policy, address),
        Subject::Stranger(address) => address_window_key(policy, &format!("stranger#{address}")),
    }
}

/// Partition and sort key of an item.
fn place(item: &Item) -> Option<(String, String)> {
    let part = |name: &str| Some(item.get(name)?.as_s().ok()?.clone());
    Some((part("pk")?, part("sk")?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIVE_A_MINUTE: Rate = Rate { limit: 5, seconds: 60 };

    /// Judges requests at these times one after the other, as the store does.
    fn run(rate: Rate, times: &[i64]) -> Vec<Judgement> {
        let mut passed = Vec::new();
        let judge_next = |now: &i64| {
            let (judgement, within) = judge(rate, &passed, *now);
            if judgement.allowed {
                passed = within;
            }
            judgement
        };
        times.iter().map(judge_next).collect()
    }

    #[test]
    fn the_sixth_of_a_minute_is_refused_and_the_one_after_the_window_is_not() {
        let judgements = run(FIVE_A_MINUTE, &[0, 10_000, 20_000, 30_000, 40_000, 50_000, 59_999, 60_000, 60_001]);
        let allowed: Vec<bool> = judgements.iter().map(|judgement| judgement.allowed).collect();
        assert_eq!(allowed, [true, true, true, true, true, false, false, true, false]);
        assert_eq!(judgements.iter().map(|j| j.remaining).collect::<Vec<_>>(), [4, 3, 2, 1, 0, 0, 0, 0, 0]);
        assert_eq!(judgements[5].retry_after_seconds, 10);
        assert_eq!(judgements[6].retry_after_seconds, 1);
        // The second request leaves 70 seconds after the start.
        assert_eq!(judgements[8].retry_after_seconds, 10);
        assert_eq!(judgements[5].reset_seconds, 50);
    }

    #[test]
    fn a_refusal_waits_at_least_a_second() {
        let judgements = run(Rate { limit: 1, seconds: 1 }, &[0, 999]);
        assert_eq!((judgements[1].allowed, judgements[1].retry_after_seconds), (false, 1));
    }

    #[test]
    fn a_clock_that_lags_behind_does_not_reopen_the_window() {
        let allowed: Vec<bool> =
            run(Rate { limit: 2, seconds: 60 }, &[60_000, 10, 0]).iter().map(|j| j.allowed).collect();
        assert_eq!(allowed, [true, true, false]);
    }

    #[test]
    fn a_lowered_limit_waits_until_enough_have_left() {
        let (judgement, _) = judge(Rate { limit: 1, seconds: 60 }, &[0, 10_000, 20_000], 30_000);
        assert_eq!((judgement.allowed, judgement.retry_after_seconds), (false, 50));
    }

    #[test]
    fn of_several_refusals_the_longest_wait_is_told() {
        let judged = |seconds, times: &[i64]| *run(Rate { limit: 1, seconds }, times).last().expect("one");
        let (free, short, long) = (judged(60, &[0]), judged(10, &[0, 1]), judged(60, &[0, 1]));
        assert_eq!(verdict([free, short, long].into_iter()), Some(long));
        assert_eq!(verdict([free, short].into_iter()), Some(short));
        assert_eq!(verdict([].into_iter()), None);
    }

    proptest! {
        /// Against counting all requests that ever passed.
        #[test]
        fn the_window_is_what_counting_says(
            limit in 1_u32..8, seconds in 1_u32..5, gaps in proptest::collection::vec(0_i64..2_500, 0..60),
        ) {
            let times: Vec<i64> = gaps.iter().scan(1_000, |now, gap| { *now += gap; Some(*now) }).collect();
            let rate = Rate { limit, seconds };
            let window_ms = i64::from(seconds) * 1000;
            let mut passed: Vec<i64> = Vec::new();
            for (now, judgement) in times.iter().zip(run(rate, &times)) {
                let within = |at: i64| passed.iter().filter(|t| **t > at - window_ms && **t <= at).count();
                let allowed = within(*now) < limit as usize;
                prop_assert_eq!(judgement.allowed, allowed);
                if allowed {
                    passed.push(*now);
                } else {
                    // A second less would be too early by up to the rounding; the wait itself is enough.
                    let wait_ms = judgement.retry_after_seconds as i64 * 1000;
                    prop_assert!(judgement.retry_after_seconds >= 1);
                    prop_assert!(within(now + wait_ms) < limit as usize);
                    prop_assert!(within(now + wait_ms - 1000) >= limit as usize);
                }
                let now_within = passed.iter().filter(|t| **t > now - window_ms).count();
                prop_assert_eq!(judgement.remaining, limit as usize - now_within);
            }
        }
    }
}
