//! A batch of chunks: side by side what comes for the first time, in turn what came again.

use std::{sync::Arc, time::Duration};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use futures::future::join_all;
use lambda_runtime::Error;
use penstock_model::{ChunkMessage, Order, QueueName};
use penstock_runtime::delivery::{Answer, Delivery};
use penstock_store::{Result, Store, StoreError, crash};

use crate::{
    turn::Time,
    validate::{Again, Turn, give_back, run, take_up_again},
};

/// Works off a batch within the time that is left; what fails or runs over its time goes back, message by message.
///
/// A chunk that comes for the first time may be any chunk, so all of those are worked off side by side: one that takes
/// long does not hold the others up. A chunk that came again may be one that takes too long, or one that ends the
/// process. It waits until the others are done and is worked off alone; one that got no further before comes last of
/// all.
///
/// # Errors
/// When a message has no id.
pub(crate) async fn work_off(store: &Store, event: SqsEvent, left: Duration) -> Result<SqsBatchResponse, Error> {
    let deliveries = Delivery::all(event)?;
    let alone = Duration::from_secs(store.settings().chunk_seconds);
    let time = Arc::new(Time::new(left, alone, deliveries.len()));
    let (first, mut again): (Vec<Delivery>, Vec<Delivery>) =
        deliveries.into_iter().partition(|delivery| delivery.receives <= 1);
    again.sort_by_key(|delivery| delivery.receives);
    let mut answer = Answer::new(Some((store, QueueName::Chunks)));
    let mut is_first = first.is_empty();
    let work_out_for = time.together(first.len());
    let side_by_side = join_all(first.into_iter().map(async |mut delivery| {
        let result = match chunk_of(&mut delivery) {
            Ok(message) => run(store, Turn::first(message, work_out_for), time.clone()).await,
            Err(error) => Err(error),
        };
        time.done();
        (delivery, result)
    }));
    for (delivery, result) in side_by_side.await {
        answer.take(&delivery, result).await;
    }
    let mut last = Vec::new();
    for mut delivery in again {
        let result = match chunk_of(&mut delivery) {
            Ok(message) if time.has_room(is_first) => match take_up_again(store, message, &time).await {
                Ok(Again::Turn { turn, died: true }) => {
                    last.push((delivery, turn));
                    continue;
                }
                Ok(Again::Turn { turn, died: false }) => {
                    is_first = false;
                    run(store, *turn, time.clone()).await
                }
                Ok(Again::Done) => Ok(()),
                Err(error) => Err(error),
            },
            Ok(_) => Err(StoreError::OutOfTime("the batch before a chunk")),
            Err(error) => Err(error),
        };
        time.done();
        answer.take(&delivery, result).await;
    }
    for (delivery, turn) in last {
        let result = match time.has_room(is_first) {
            true => {
                is_first = false;
                run(store, *turn, time.clone()).await
            }
            false => Err(give_back(store, *turn).await),
        };
        time.done();
        answer.take(&delivery, result).await;
    }
    Ok(answer.finish())
}

/// The chunk that a message of the chunks queue orders. The message's own text goes: rows are held once.
fn chunk_of(delivery: &mut Delivery) -> Result<ChunkMessage> {
    let order = Order::decode(&std::mem::take(&mut delivery.body))?;
    crash::point("validate.received");
    match order {
        Order::Chunk(message) => Ok(*message),
        other => Err(other.misplaced().into()),
    }
}
