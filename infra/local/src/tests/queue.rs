use std::time::Duration;

use super::rig::{Rig, VISIBILITY};
use crate::faults::Faults;
use crate::queue::ReceiptError;

#[tokio::test]
async fn a_received_message_is_hidden_until_its_visibility_timeout_ends_by_the_clock() {
    let rig = Rig::start().await;
    let queue = &rig.queues["chunks"];
    let id = queue.send("body".to_owned(), Some("account".to_owned()), Duration::ZERO);
    let first = queue.take(10, None);
    assert_eq!(first.len(), 1);
    assert_eq!((first[0].id.as_str(), first[0].receive_count), (id.as_str(), 1));
    assert!(queue.take(10, None).is_empty());

    rig.clock.advance(VISIBILITY - Duration::from_secs(10)).unwrap();
    assert!(queue.take(10, None).is_empty());
    rig.clock.advance(Duration::from_secs(10)).unwrap();
    let second = queue.take(10, None);
    assert_eq!((second[0].id.as_str(), second[0].receive_count), (id.as_str(), 2));
    assert_eq!(second[0].first_received_ms, first[0].first_received_ms);
    assert_eq!(second[0].group.as_deref(), Some("account"));
}

#[tokio::test]
async fn a_waiting_receiver_is_woken_by_a_message_and_by_the_clock() {
    let rig = Rig::start().await;
    let queue = rig.queues["chunks"].clone();
    let receiver = tokio::spawn({
        let queue = queue.clone();
        async move { queue.receive(1, Duration::from_secs(3600), None).await }
    });
    queue.send("body".to_owned(), None, Duration::from_secs(600));
    rig.clock.advance(Duration::from_secs(600)).unwrap();
    assert_eq!(receiver.await.unwrap()[0].body, "body");
}

#[tokio::test]
async fn a_stale_receipt_deletes_nothing_and_the_newest_deletes_even_late() {
    let rig = Rig::start().await;
    let queue = &rig.queues["chunks"];
    queue.send("body".to_owned(), None, Duration::ZERO);
    let stale = queue.take(1, Some(Duration::from_secs(1)));
    rig.clock.advance(Duration::from_secs(1)).unwrap();
    let newest = queue.take(1, Some(Duration::from_secs(1)));
    queue.delete(&stale[0].receipt).unwrap();
    assert_eq!(queue.depth().in_flight, 1);
    assert_eq!(queue.change_visibility(&stale[0].receipt, Duration::ZERO), Err(ReceiptError::Expired));

    rig.clock.advance(Duration::from_secs(1)).unwrap();
    assert_eq!(queue.change_visibility(&newest[0].receipt, Duration::ZERO), Err(ReceiptError::NotInFlight));
    queue.delete(&newest[0].receipt).unwrap();
    assert_eq!(queue.depth().total(), 0);
    queue.delete(&newest[0].receipt).unwrap();
    assert_eq!(queue.delete("nonsense"), Err(ReceiptError::Malformed));
}

#[tokio::test]
async fn a_message_received_too_often_goes_to_the_dead_letter_queue() {
    let rig = Rig::start().await;
    let (queue, dead) = (&rig.queues["chunks"], &rig.queues["chunks-dead"]);
    let id = queue.send("poison".to_owned(), None, Duration::ZERO);
    for receive_count in 1..=3 {
        assert_eq!(queue.take(1, None)[0].receive_count, receive_count);
        rig.clock.advance(VISIBILITY).unwrap();
    }
    assert!(queue.take(1, None).is_empty());
    assert_eq!(queue.depth().total(), 0);
    let letters = dead.take(1, None);
    assert_eq!((letters[0].id.as_str(), letters[0].receive_count), (id.as_str(), 1));
    assert_eq!(letters[0].dead_letter_source.as_deref(), Some("chunks"));
}

#[tokio::test]
async fn foul_weather_delivers_every_message_exactly_twice_and_undoes_every_deletion_once() {
    let rig = Rig::with(Faults { message_twice: 1.0, deletion_forgotten: 1.0, ..Faults::default() }).await;
    let queue = &rig.queues["chunks"];
    queue.send("body".to_owned(), None, Duration::ZERO);
    let (first, second) = (queue.take(10, None), queue.take(10, None));
    assert_eq!(first[0].id, second[0].id);
    assert!(queue.take(10, None).is_empty());
    for message in first.iter().chain(&second) {
        queue.delete(&message.receipt).unwrap();
    }
    assert_eq!(queue.depth().in_flight, 2);
    rig.clock.advance(VISIBILITY).unwrap();
    let again = queue.take(10, None);
    assert_eq!(again.len(), 2);
    for message in &again {
        queue.delete(&message.receipt).unwrap();
    }
    assert_eq!(queue.depth().total(), 0);
}

#[tokio::test]
async fn a_burst_of_one_group_does_not_keep_the_others_waiting() {
    let rig = Rig::start().await;
    let queue = &rig.queues["chunks"];
    for n in 0..1_000 {
        queue.send(format!("burst {n}"), Some("loud".to_owned()), Duration::ZERO);
    }
    queue.send("single".to_owned(), Some("quiet".to_owned()), Duration::ZERO);
    let taken: Vec<String> = (0..2).flat_map(|_| queue.take(1, None)).map(|message| message.body).collect();
    assert_eq!(taken, ["burst 0", "single"]);
    // A batch is shared out too.
    queue.send("another".to_owned(), Some("quiet".to_owned()), Duration::ZERO);
    let batch: Vec<String> = queue.take(4, None).into_iter().map(|message| message.body).collect();
    assert_eq!(batch, ["burst 1", "another", "burst 2", "burst 3"]);
}

#[tokio::test]
async fn a_message_that_is_postponed_comes_again_then_and_counts_its_receives() {
    let rig = Rig::start().await;
    let queue = &rig.queues["chunks"];
    queue.send("body".to_owned(), None, Duration::ZERO);
    let taken = queue.take(1, None);
    queue.change_visibility(&taken[0].receipt, Duration::from_secs(2)).unwrap();
    rig.clock.advance(Duration::from_secs(1)).unwrap();
    assert!(queue.take(1, None).is_empty());
    rig.clock.advance(Duration::from_secs(1)).unwrap();
    assert_eq!(queue.take(1, None)[0].receive_count, 2);
}
