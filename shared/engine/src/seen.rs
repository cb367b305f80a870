//! Rows of a file that may repeat the key of an earlier row.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

use penstock_model::{Chunk, Job, Repeats, limits::REMEMBERED_KEYS};

use crate::{
    plan::{ChunkPlan, Plan},
    rows::{self, Records},
};

/// The set of the keys of a file's rows so far, 64 bits of each. It has no false negatives. It has false positives: on
/// a 64-bit collision, and for every new key once its capacity is reached.
#[derive(Debug)]
pub struct Seen {
    plan: ChunkPlan,
    keys: HashSet<u64>,
    hasher: RandomState,
    capacity: usize,
}

impl Seen {
    /// An empty set for a file that is read by this plan, with a capacity of [`REMEMBERED_KEYS`].
    pub fn new(plan: &Plan) -> Self {
        Self::with_capacity(plan, REMEMBERED_KEYS)
    }

    fn with_capacity(plan: &Plan, capacity: usize) -> Self {
        Self { plan: ChunkPlan::new(plan.keyed()), keys: HashSet::new(), hasher: RandomState::new(), capacity }
    }

    /// Adds the keys of the file's next chunk, and gives the rows that may repeat one. A rejected row has no key.
    pub fn look(&mut self, job: &Job, chunk: &Chunk) -> Repeats {
        let records = Records::of(job, chunk);
        let mut repeats = Vec::new();
        for row in rows::parse(self.plan.for_next(), job, &records).rows {
            let key = self.hasher.hash_one(&row.key);
            let is_new = if self.keys.len() < self.capacity { self.keys.insert(key) } else { false };
            if !is_new {
                repeats.push(row.row);
            }
        }
        Repeats::of(repeats)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use penstock_model::{Body, Grammar, ImportOptions};

    use super::*;

    fn repeats(kind: &str, grammar: Grammar, columns: &[&str], capacity: usize, chunks: &[&str]) -> Vec<Repeats> {
        let columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
        let plan = Plan::compile(crate::kinds::compiled(kind), grammar, &columns, &BTreeMap::new()).expect("columns");
        let job = Job::dry(
            "1".parse().expect("valid"),
            kind.parse().expect("valid"),
            &ImportOptions::default(),
            grammar,
            columns,
        );
        let mut seen = Seen::with_capacity(&plan, capacity);
        let mut first_row = 1;
        let mut look = |rows: &&str| {
            let chunk = Chunk {
                index: 0,
                first_row,
                first_line: first_row + 1,
                offset: 0,
                bytes: rows.len() as u64,
                rows: rows.lines().count() as u64,
                body: Body::Rows(rows.as_bytes().to_vec()),
            };
            first_row += chunk.rows;
            seen.look(&job, &chunk)
        };
        let found = chunks.iter().map(&mut look).collect();
        // Whatever members rows have, none is known any more for the next chunk.
        assert_eq!(seen.plan.for_next().kind().fields().len(), plan.kind().fields().len());
        found
    }

    #[test]
    fn a_key_is_recognised_however_it_is_written_and_a_rejected_row_has_none() {
        let columns = ["name", "sku", "brand", "cost"];
        let found = repeats(
            "products",
            Grammar::CSV,
            &columns,
            10,
            &["n,a,b,1\nn,\"a\",b,2\nn,b,b,\n", "n,B,b,\nn,b,b,\nn,,b,\nn,,b,\n"],
        );
        assert_eq!(found, [Repeats::Rows(vec![2]), Repeats::Rows(vec![5])]);
        // A part of the key that is taken from another column, and one that has a default.
        let columns = ["skuId", "locationId", "weekStarting", "channel", "actualDemand"];
        let rows = "s,l,2026-01-26,,1\ns,l,2026-01-27,,2\ns,l,2026-01-26,ALL,3\ns,l,2026-02-02,ALL,3\n";
        let found = repeats("demand-history", Grammar::CSV, &columns, 10, &[rows]);
        assert_eq!(found, [Repeats::Rows(vec![2, 3])]);
        let rows =
            "{\"sku\":\"a\",\"name\":\"n\",\"brand\":\"b\"}\n{\"brand\":\"c\",\"SKU\":\"\\u0061\",\"name\":\"n\"}\n";
        assert_eq!(
            repeats("products", Grammar::Lines, &["sku", "name", "brand"], 10, &[rows]),
            [Repeats::Rows(vec![2])]
        );
        let rows = "[\"n\",\"a\",\"b\",1]\n[\"n\",\"a\",\"b\"]\n";
        assert_eq!(
            repeats("products", Grammar::Sheet, &["name", "sku", "brand", "cost"], 10, &[rows]),
            [Repeats::Rows(vec![2])]
        );
    }

    #[test]
    fn beyond_its_capacity_any_row_may_repeat_a_key() {
        let rows = |keys: std::ops::Range<u32>| keys.map(|key| format!("k{key},n,b\n")).collect::<String>();
        let chunks = [rows(0..100), rows(100..500), rows(500..900)];
        let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        let found = repeats("products", Grammar::CSV, &["sku", "name", "brand"], 450, &chunks);
        assert_eq!(found, [Repeats::Rows(vec![]), Repeats::Rows((451..=500).collect()), Repeats::Any]);
    }

    #[test]
    fn members_that_no_other_chunk_has_are_forgotten() {
        let row = |row: u32| {
            format!("{{\"skuId\":\"s\",\"locationId\":\"l\",\"weekStarting\":\"2026-01-26\",\"m{row}\":1}}\n")
        };
        let chunks: Vec<String> = (0..20).map(row).collect();
        let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        let columns = ["skuId", "locationId", "weekStarting", "m0"];
        let found = repeats("demand-history", Grammar::Lines, &columns, 10, &chunks);
        assert_eq!((&found[0], &found[19]), (&Repeats::Rows(vec![]), &Repeats::Rows(vec![20])));
    }
}
