//! What is sent arrives as it was sent.

use penstock_model::{Body, Checkpoint, ChunkMessage, Order, QueueName, RecordFlaw};

use super::bench::{Bench, message};

fn chunk(body: &str) -> ChunkMessage {
    match Order::decode(body).expect("an order") {
        Order::Chunk(message) => *message,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn chunks_arrive_as_they_were_sent(bench: Bench) {
    let Bench { store, account, .. } = &bench;
    let import = bench.import();
    let bodies = [
        Body::Rows(b"a,b\r\n\"x\ty\n\",<&>\n".to_vec()),
        Body::Rows("ä,\u{1f600}, ,\u{fffd}\n".into()),
        Body::Rows(b"  \n \n".to_vec()),
        // What SQS refuses or alters goes in base64.
        Body::Rows(b"nul\0,b\n".to_vec()),
        Body::Rows("no character: \u{ffff}\n".into()),
        Body::Rows(vec![0xff, 0xfe, b'\n']),
        Body::Refused(RecordFlaw::UnterminatedQuote { opened_line: 14 }),
    ];
    // More than two batches.
    let sent: Vec<ChunkMessage> =
        (0..25).map(|index| message(&import, index, bodies[index as usize % bodies.len()].clone())).collect();
    store.send_chunks(&sent).await.expect("sent");
    let found = bench.messages(QueueName::Chunks, sent.len()).await;
    let mut messages: Vec<ChunkMessage> = Vec::new();
    for (body, group) in found {
        assert_eq!(group, account.as_str(), "the message's group");
        messages.push(chunk(&body));
    }
    messages.sort_by_key(|message| message.chunk.index);
    assert_eq!(messages, sent);
    store.resend_chunk(&sent[4]).await.expect("sent");
    let resent = bench.messages(QueueName::Chunks, 1).await;
    assert_eq!(chunk(&resent[0].0), ChunkMessage { last_try: true, ..sent[4].clone() });
}

pub(crate) async fn large_chunks_go_in_batches_that_fit(bench: Bench) {
    let Bench { store, .. } = &bench;
    let import = bench.import();
    // Three of the first are more than the 1 MiB that a batch may have; the last is nearly one alone.
    let sizes = [400_000, 400_000, 400_000, 1_000_000];
    let sent: Vec<ChunkMessage> =
        (0..4).zip(sizes).map(|(index, bytes)| message(&import, index, Body::Rows(vec![b'x'; bytes]))).collect();
    store.send_chunks(&sent).await.expect("sent");
    let found = bench.messages(QueueName::Chunks, sent.len()).await;
    let mut messages: Vec<ChunkMessage> = found.iter().map(|(body, _)| chunk(body)).collect();
    messages.sort_by_key(|message| message.chunk.index);
    assert!(messages == sent, "{:?}", messages.iter().map(|message| message.chunk.bytes).collect::<Vec<_>>());
}

pub(crate) async fn orders_arrive_as_they_were_sent(bench: Bench) {
    let Bench { store, account, .. } = &bench;
    let import = bench.import();
    for order in [
        Order::to_continue(&import, Some(4)),
        Order::to_resend(&import, Checkpoint { chunk: 2, offset: 9, row: 3, line: 4 }),
        Order::to_report(&import),
    ] {
        store.send(&order).await.expect("sent");
        let found = bench.messages(order.queue(), 1).await;
        assert_eq!(Order::decode(&found[0].0).expect("an order"), order);
        assert_eq!(found[0].1, account.as_str(), "the message's group");
    }
}
