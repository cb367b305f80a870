//! Blocks: the fates and tallies of a bounded number of chunks in one item.
//!
//! A block is made before the first of its chunks is sent. For each chunk it holds a fate and a tally, each written
//! once by a conditional update: the second writer finds what the first one decided, and carries on from there. No
//! number is incremented, since a retry would increment it again; sums are made on reading.
//!
//! ```text
//! splitter   open_block ──▶ send chunks ──▶ checkpoint … size_block(last) ──▶ set_total ──▶ settle
//!                 └── tally_unchanged (chunks of dropped rows alone) ──▶ note (if the block is full)
//! validator                     begin ──▶ records, errors ──▶ tally ──▶ note (if the block is full) ──▶ settle
//! halt                     order_halt ──▶ close every block ──▶ settle
//! ```
//!
//! `begin` and closing meet in the same item: either the chunk began before the block was closed, and is finished, or
//! it never begins.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use futures::future::try_join_all;
use penstock_model::{
    Begin, Block, Chunk, ClosedBlocks, Fate, Import, ImportId, Job, Stage, Tally, Verdict,
    limits::{BLOCKS_CLOSED_AT_ONCE, READ_BATCH},
};

use crate::{
    Backoff, Result, Store, StoreError,
    accept::Step,
    change::Change,
    crash,
    dynamo::{Updated, from_item, is_made, n, putting, send, set_of, to_item, value},
    table::{block_key, block_pk, import_key},
};

/// What a try of a chunk finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Try {
    /// It is noted under this name, and is one of so many that got no further.
    Begun {
        /// Its entry in the block.
        name: String,
        /// Tries of the chunk that are noted, this one among them.
        tries: usize,
    },
    /// The chunk's fate was decided before, and nothing is noted.
    Decided(Begin),
}

impl Store {
    /// Makes a block before its first chunk is sent, and counts it in the import, in one transaction.
    ///
    /// A repeat finds the block made. An import that is to end early gets no further block.
    pub async fn open_block(&self, import: &Import, block: u32) -> Result<Step> {
        let mut item = to_item("a block", &Block { size: import.chunking.per_block, ..Block::default() })?;
        item.extend(block_key(&import.id, block));
        let put = putting(self.put_action(item).condition_expression("attribute_not_exists(pk)"));
        let counted = Change::at(&[Stage::Splitting])
            .only_if("opened_blocks = :block")
            .value("block", n(block))
            .set("opened_blocks", n(block + 1))
            .in_action(self.update_action(import_key(&import.account, &import.id)));
        let actions = vec![put, counted];
        let mut pause = Backoff::default();
        while self.transact(actions.clone()).await?.is_some() {
            match self.import(&import.account, &import.id).await? {
                Some(now) if now.stage() != Stage::Splitting => return Ok(Step::Overtaken),
                Some(now) if now.opened_blocks > block => return Ok(Step::Made),
                Some(_) => {}
                None => return Ok(Step::Overtaken),
            }
            pause.wait("dynamodb:TransactWriteItems").await?;
        }
        crash::point("split.block_opened");
        Ok(Step::Made)
    }

    /// Says how many chunks the last block has. A repeat writes the same.
    pub async fn size_block(&self, import: &Import, block: u32, size: u32) -> Result<Block> {
        let block = self.change_block(import, block, Change::of_existing().set("size", n(size))).await?;
        crash::point("split.last_block_sized");
        Ok(block)
    }

    /// Changes a block that is there, and gives it as it is afterwards.
    async fn change_block(&self, import: &Import, block: u32, change: Change) -> Result<Block> {
        let update = change.in_update(self.update(block_key(&import.id, block))).return_values(ReturnValue::AllNew);
        let output = update.send().await.map_err(StoreError::unavailable("dynamodb:UpdateItem"))?;
        from_item("a block", output.attributes.unwrap_or_default())
    }

    /// Notes in a chunk's block that a try of it begins, unless its fate is decided. For chunks that came again: the
    /// first delivery of a chunk notes nothing, so that a file that goes well costs no write more.
    ///
    /// Each call is a try of its own and has a name of its own: the entry is added to a set, so a request that is sent
    /// again by the client after it had its effect adds nothing. A block that has been closed, or is gone, and a fate
    /// that is decided take no entry; so there are never many.
    pub async fn begin_try(&self, job: &Job, chunk: &Chunk) -> Result<Try> {
        let name = format!("{}:{}", chunk.index, crate::hex(&crate::random::<6>()));
        let update = self
            .update(block_key(&job.import, job.chunking.block_of(chunk.index)))
            .update_expression("ADD tries :tries")
            .condition_expression("attribute_exists(pk) AND closed = :open AND attribute_not_exists(fates.#chunk)")
            .expression_attribute_names("#chunk", chunk.index.to_string())
            .expression_attribute_values(":open", AttributeValue::Bool(false))
            .expression_attribute_values(":tries", set_of(&name))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Ok(match send(update).await? {
            Updated::Made(item) => Try::Begun { name, tries: from_item::<Block>("a block", item)?.tries(chunk.index) },
            Updated::Unmet(item) if item.is_empty() => Try::Decided(Begin::Closed),
            Updated::Unmet(item) => Try::Decided(from_item::<Block>("a block", item)?.begin(chunk.index)),
        })
    }

    /// Takes a try off its chunk's block again: it went back for a reason that passes. A repeat finds it gone.
    pub async fn take_back_try(&self, job: &Job, chunk: &Chunk, name: &str) -> Result<()> {
        let update = self
            .update(block_key(&job.import, job.chunking.block_of(chunk.index)))
            .update_expression("DELETE tries :tries")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":tries", set_of(name));
        is_made(update).await.map(drop)
    }

    /// Decides a chunk's fate, unless it has been decided: the first wins, and everyone finds what it decided.
    pub async fn decide(&self, job: &Job, chunk: &Chunk, verdict: Verdict) -> Result<Begin> {
        let fate = Fate { verdict, last_row: chunk.first_row + chunk.rows - 1 };
        let change = Change::of_existing()
            .only_if("closed = :open AND attribute_not_exists(fates.#chunk)")
            .value("open", AttributeValue::Bool(false))
            .named("chunk", chunk.index.to_string())
            .set_to("fates.#chunk = :fate")
            .value("fate", value("a fate", &fate)?);
        let update = change
            .in_update(self.update(block_key(&job.import, job.chunking.block_of(chunk.index))))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match send(update).await? {
            Updated::Made(_) => Ok(Begin::Verdict { verdict, before: false }),
            Updated::Unmet(item) if item.is_empty() => Ok(Begin::Closed),
            Updated::Unmet(item) => Ok(from_item::<Block>("a block", item)?.begin(chunk.index)),
        }
    }

    /// Writes a chunk's tally, unless it has one: the first wins. Gives the block as it is afterwards; `None` if the
    /// import is gone.
    pub async fn tally(&self, job: &Job, chunk: u32, tally: &Tally) -> Result<Option<Block>> {
        let change = Change::of_existing()
            .only_if("attribute_not_exists(tallies.#chunk)")
            .named("chunk", self.tally_name(chunk))
            .set_to("tallies.#chunk = :tally")
            .value("tally", value("a tally", tally)?)
            .set_to("tallied_from = if_not_exists(tallied_from, :now)")
            .value("now", n(self.now_ms()));
        let update = change
            .in_update(self.update(block_key(&job.import, job.chunking.block_of(chunk))))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let (Updated::Made(block) | Updated::Unmet(block)) = send(update).await?;
        crash::point("validate.tally");
        if block.is_empty() { Ok(None) } else { from_item("a block", block).map(Some) }
    }

    /// Begins chunks of one block and tallies them in the same update, under the conditions of both: each of their rows
    /// is dropped, and counts as unchanged. Gives the block as it is, and whether the update was made; `None` if the
    /// import is gone.
    ///
    /// It is made for all of the chunks or for none. It is not where one of them has a fate, such as by a call before
    /// whose answer was lost, or the block is closed.
    pub async fn tally_unchanged(&self, job: &Job, chunks: &[Chunk]) -> Result<Option<(Block, bool)>> {
        let Some(first) = chunks.first() else { return Ok(None) };
        let mut change = Change::of_existing()
            .only_if("closed = :open")
            .value("open", AttributeValue::Bool(false))
            .set_to("tallied_from = if_not_exists(tallied_from, :now)")
            .value("now", n(self.now_ms()));
        for chunk in chunks {
            let index = chunk.index;
            let fate = Fate { verdict: Verdict::Begun, last_row: chunk.first_row + chunk.rows - 1 };
            let tally = Tally { unchanged: chunk.rows, ..Tally::default() };
            change = change
                .named(&format!("c{index}"), index.to_string())
                .named(&format!("t{index}"), self.tally_name(index))
                .only_if(format!("attribute_not_exists(fates.#c{index})"))
                .only_if(format!("attribute_not_exists(tallies.#t{index})"))
                .set_to(format!("fates.#c{index} = :f{index}"))
                .value(format!("f{index}"), value("a fate", &fate)?)
                .set_to(format!("tallies.#t{index} = :t{index}"))
                .value(format!("t{index}"), value("a tally", &tally)?);
        }
        let update = change
            .in_update(self.update(block_key(&job.import, job.chunking.block_of(first.index))))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let (block, is_made) = match send(update).await? {
            Updated::Made(block) => (block, true),
            Updated::Unmet(block) => (block, false),
        };
        crash::point("split.unchanged");
        if block.is_empty() { Ok(None) } else { Ok(Some((from_item("a block", block)?, is_made))) }
    }

    /// Closes the blocks of an import, [`BLOCKS_CLOSED_AT_ONCE`] side by side: no chunk of them begins any more. Gives
    /// them as they are afterwards. A repeat writes the same.
    pub(crate) async fn close_blocks(&self, import: &Import) -> Result<ClosedBlocks> {
        let mut closed = ClosedBlocks::default();
        let numbers: Vec<u32> = (0..import.opened_blocks).collect();
        for group in numbers.chunks(BLOCKS_CLOSED_AT_ONCE) {
            let change = |number: &u32| {
                let change = Change::of_existing().set("closed", AttributeValue::Bool(true));
                self.change_block(import, *number, change)
            };
            for block in try_join_all(group.iter().map(change)).await? {
                closed.add(&block);
                crash::point("halt.block_closed");
            }
        }
        Ok(closed)
    }

    /// Remembers that a dead-lettered chunk has been sent once more. A repeat writes the same.
    pub async fn note_resent(&self, job: &Job, chunk: u32) -> Result<()> {
        let change = Change::of_existing()
            .named("chunk", chunk.to_string())
            .set_to("resent.#chunk = :yes")
            .value("yes", AttributeValue::Bool(true));
        let update = change.in_update(self.update(block_key(&job.import, job.chunking.block_of(chunk))));
        is_made(update).await.map(drop)
    }

    /// Blocks of an import by their numbers, read consistently; one that does not exist is left out.
    pub async fn blocks(&self, import: &ImportId, numbers: &[u32]) -> Result<HashMap<u32, Block>> {
        let mut blocks = HashMap::new();
        for group in numbers.chunks(READ_BATCH) {
            let by_pk: HashMap<String, u32> = group.iter().map(|&number| (block_pk(import, number), number)).collect();
            let keys = group.iter().map(|&number| block_key(import, number)).collect();
            for item in self.batch_get(self.imports_table(), keys).await? {
                let number = item.get("pk").and_then(|pk| pk.as_s().ok()).and_then(|pk| by_pk.get(pk)).copied();
                if let Some(number) = number {
                    blocks.insert(number, from_item("a block", item)?);
                }
            }
        }
        Ok(blocks)
    }
}
