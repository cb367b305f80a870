//! When a message that goes back to its queue comes again.

use crate::limits::{RETRY_FIRST_SECONDS, RETRY_MOST_SECONDS};

/// How long a message stays hidden that goes back to its queue, in whole seconds, at least 1.
///
/// The bound is [`RETRY_FIRST_SECONDS`] at first, doubles with each of `receives`, and stays at [`RETRY_MOST_SECONDS`].
/// Half of it is fixed and half of it is drawn, so that messages that go back together come again apart. The draw
/// follows from `seed` and `receives` alone: the same message is told the same time.
pub fn hidden_seconds(receives: u32, seed: u64) -> u64 {
    let doublings = receives.saturating_sub(1).min(16);
    let bound = (RETRY_FIRST_SECONDS << doublings).min(RETRY_MOST_SECONDS);
    let fixed = (bound / 2).max(1);
    fixed + mixed(seed ^ u64::from(receives)) % (bound - fixed + 1)
}

/// A number that follows from the bytes of a message's id: the seed of its draws.
pub fn seed_of(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The output function of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
fn mixed(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_time_doubles_up_to_five_minutes() {
        for (receives, bound) in [(0, 2), (1, 2), (2, 4), (3, 8), (4, 16), (8, 256), (9, 300), (1_000, 300)] {
            for seed in 0..500 {
                let seconds = hidden_seconds(receives, seed);
                assert!((bound / 2..=bound).contains(&seconds), "{receives} receives, seed {seed}: {seconds}");
            }
        }
    }

    #[test]
    fn messages_that_go_back_together_come_again_apart_and_one_message_the_same_each_time() {
        let drawn: BTreeSet<u64> = (0..200).map(|id| hidden_seconds(9, seed_of(&format!("message-{id}")))).collect();
        assert!(drawn.len() > 80, "{} of 151 possible times", drawn.len());
        assert_eq!(hidden_seconds(9, seed_of("a")), hidden_seconds(9, seed_of("a")));
    }
}
