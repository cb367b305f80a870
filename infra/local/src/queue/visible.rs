//! The messages of a queue that may be received now, shared out among their groups.
//!
//! Source: the Amazon SQS Developer Guide, "Amazon SQS fair queues": where one tenant has many messages, those of the
//! others do not wait behind them. SQS tells neither shares nor order; here the groups take turns, and within a group
//! the oldest message comes first.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// A message's group; messages without one are one group.
type Group = Option<String>;

/// Arrival numbers by group.
#[derive(Debug, Default)]
pub(super) struct Visible {
    groups: BTreeMap<Group, BTreeSet<u64>>,
    count: usize,
    /// Whose turn was last.
    last: Option<Group>,
}

impl Visible {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn contains(&self, group: &Group, arrival: u64) -> bool {
        self.groups.get(group).is_some_and(|arrivals| arrivals.contains(&arrival))
    }

    pub(super) fn insert(&mut self, group: &Group, arrival: u64) {
        let arrivals = match self.groups.get_mut(group) {
            Some(arrivals) => arrivals,
            None => self.groups.entry(group.clone()).or_default(),
        };
        self.count += usize::from(arrivals.insert(arrival));
    }

    pub(super) fn remove(&mut self, group: &Group, arrival: u64) {
        let Some(arrivals) = self.groups.get_mut(group) else { return };
        self.count -= usize::from(arrivals.remove(&arrival));
        if arrivals.is_empty() {
            self.groups.remove(group);
        }
    }

    /// The oldest message of the group whose turn is next.
    pub(super) fn next(&self) -> Option<u64> {
        let after = match &self.last {
            Some(last) => self.groups.range((Bound::Excluded(last), Bound::Unbounded)).next(),
            None => None,
        };
        let (_, arrivals) = after.or_else(|| self.groups.first_key_value())?;
        arrivals.first().copied()
    }

    /// The message at this place, whatever the turns.
    pub(super) fn nth(&self, place: usize) -> Option<u64> {
        self.groups.values().flatten().nth(place).copied()
    }

    /// The group has had its turn.
    pub(super) fn had_turn(&mut self, group: &Group) {
        self.last = Some(group.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(visible: &mut Visible, groups: &BTreeMap<u64, Group>) -> Vec<u64> {
        std::iter::from_fn(|| {
            let arrival = visible.next()?;
            let group = &groups[&arrival];
            visible.remove(group, arrival);
            visible.had_turn(group);
            Some(arrival)
        })
        .collect()
    }

    #[test]
    fn groups_take_turns_and_each_gives_its_oldest_first() {
        let groups: BTreeMap<u64, Group> =
            [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "c"), (6, "b")].map(|(n, g)| (n, Some(g.to_owned()))).into();
        let mut visible = Visible::default();
        groups.iter().for_each(|(arrival, group)| visible.insert(group, *arrival));
        assert_eq!(visible.len(), 6);
        assert_eq!(taken(&mut visible, &groups), [1, 4, 5, 2, 6, 3]);
        assert!(visible.is_empty() && visible.next().is_none());
    }

    #[test]
    fn messages_without_a_group_are_one_group() {
        let mut visible = Visible::default();
        let group = Some("a".to_owned());
        [1, 2].iter().for_each(|arrival| visible.insert(&None, *arrival));
        visible.insert(&group, 3);
        visible.insert(&group, 3);
        let groups = BTreeMap::from([(1, None), (2, None), (3, group)]);
        assert_eq!(visible.len(), 3);
        assert_eq!(taken(&mut visible, &groups), [1, 3, 2]);
    }
}
