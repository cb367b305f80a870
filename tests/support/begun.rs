//! Which rows of an import have begun: these are applied, whatever becomes of the import.

use std::collections::BTreeSet;

use penstock_engine::split::{Piece, SplitOptions, Splitter};
use penstock_model::{Grammar, Import, Verdict};

use super::Stack;

/// The rows of a CSV file whose chunks have begun, by the blocks of the import. A file that was known again has no
/// block: its rows count at once.
pub async fn rows(stack: &Stack, stored: &Import, file: &[u8]) -> BTreeSet<u64> {
    if stored.opened_blocks == 0 && stored.noted_tally.unchanged > 0 {
        return (1..=stored.noted_tally.unchanged).collect();
    }
    let numbers: Vec<u32> = (0..stored.opened_blocks).collect();
    let blocks = stack.cloud.store().blocks(&stored.id, &numbers).await.expect("read");
    let begun: BTreeSet<String> = blocks
        .values()
        .flat_map(|block| &block.fates)
        .filter(|(_, fate)| fate.verdict == Verdict::Begun)
        .map(|(chunk, _)| chunk.clone())
        .collect();
    let mut splitter = Splitter::new(SplitOptions::new(Grammar::CSV, &stored.chunking));
    let mut pieces = splitter.push(file).expect("a header");
    pieces.extend(splitter.finish().expect("a header").0);
    let rows = |piece: &Piece| match piece {
        Piece::Chunk(chunk, _) if begun.contains(&chunk.index.to_string()) => {
            Some(chunk.first_row..chunk.first_row + chunk.rows)
        }
        _ => None,
    };
    pieces.iter().filter_map(rows).flatten().collect()
}
