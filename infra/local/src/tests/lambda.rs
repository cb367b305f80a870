use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::rig::{Rig, TIMEOUT, VISIBILITY};
use crate::clock::real_ms;
use crate::faults::{Faults, KILLED_RECEIVES};
use crate::lambda::FunctionError;
use crate::mapping::Mapping;
use crate::schedule;

#[tokio::test]
async fn an_invocation_reaches_an_instance_with_its_headers_and_comes_back() {
    let mut rig = Rig::start().await;
    let (host, start_ms) = (rig.host.clone(), real_ms());
    let invocation = tokio::spawn(async move { host.invoke("split", Bytes::from_static(b"{\"a\":1}")).await });
    let instance = rig.instance().await;
    let taken = instance.next().await;
    assert_eq!(taken.event, json!({ "a": 1 }));
    assert_eq!(
        taken.headers["lambda-runtime-invoked-function-arn"],
        "arn:aws:lambda:us-east-1:000000000000:function:split"
    );
    let deadline_ms: i64 = taken.headers["lambda-runtime-deadline-ms"].to_str().unwrap().parse().unwrap();
    assert!(deadline_ms >= start_ms + i64::try_from(TIMEOUT.as_millis()).unwrap());
    assert_eq!(instance.answer("another", "response", "0").await, StatusCode::BAD_REQUEST);
    assert_eq!(instance.answer(&taken.request_id, "response", "2").await, StatusCode::ACCEPTED);
    assert_eq!(instance.answer(&taken.request_id, "response", "3").await, StatusCode::BAD_REQUEST);
    assert_eq!(invocation.await.unwrap().unwrap(), "2");

    // The next invocation finds the same instance idle; it may fail without ending it.
    let host = rig.host.clone();
    let invocation = tokio::spawn(async move { host.invoke("split", Bytes::from_static(b"{}")).await });
    let taken = instance.next().await;
    instance.answer(&taken.request_id, "error", r#"{"errorType":"Broken"}"#).await;
    let failed = FunctionError::Unhandled(Bytes::from_static(br#"{"errorType":"Broken"}"#));
    assert_eq!(invocation.await.unwrap().unwrap_err(), failed);
    assert!(rig.no_instance_announced());
}

#[tokio::test]
async fn concurrency_is_bounded() {
    let mut rig = Rig::start().await;
    let invocations: Vec<_> = (0..3)
        .map(|n| {
            let host = rig.host.clone();
            tokio::spawn(async move { host.invoke("split", Bytes::from(n.to_string())).await })
        })
        .collect();
    let (first, second) = (rig.instance().await, rig.instance().await);
    let (one, two) = tokio::join!(first.next(), second.next());
    assert!(rig.no_instance_announced());
    first.answer(&one.request_id, "response", one.event.to_string()).await;
    let three = first.next().await;
    first.answer(&three.request_id, "response", three.event.to_string()).await;
    second.answer(&two.request_id, "response", two.event.to_string()).await;
    for (n, invocation) in invocations.into_iter().enumerate() {
        assert_eq!(invocation.await.unwrap().unwrap(), n.to_string());
    }
}

#[tokio::test]
async fn an_invocation_that_takes_too_long_is_ended_and_its_instance_too() {
    let mut rig = Rig::start().await;
    let host = rig.host.clone();
    let invocation = tokio::spawn(async move { host.invoke("hasty", Bytes::from_static(b"{}")).await });
    let instance = rig.instance().await;
    let taken = instance.next().await;
    assert_eq!(invocation.await.unwrap(), Err(FunctionError::TimedOut(Duration::from_millis(50))));
    assert_eq!(instance.answer(&taken.request_id, "response", "null").await, StatusCode::GONE);
    assert!(rig.host.processes().iter().all(|process| !process.alive));
}

#[tokio::test]
async fn an_instance_that_asks_again_without_an_answer_has_failed_its_invocation() {
    let mut rig = Rig::start().await;
    let host = rig.host.clone();
    let invocation = tokio::spawn(async move { host.invoke("split", Bytes::from_static(b"{}")).await });
    let instance = rig.instance().await;
    instance.next().await;
    let asking = tokio::spawn(async move {
        // It is ended for it.
        let _ = instance.next().await;
    });
    assert!(matches!(invocation.await.unwrap(), Err(FunctionError::Crashed(_))));
    assert!(asking.await.is_err());
}

#[tokio::test]
async fn a_failed_asynchronous_invocation_is_tried_twice_more_by_the_clock_and_then_recorded() {
    let mut rig = Rig::start().await;
    rig.host.invoke_async("split", Bytes::from_static(b"{\"n\":1}"));
    let instance = rig.instance().await;
    let mut request_ids = Vec::new();
    for pause in [60, 120, 0] {
        let taken = instance.next().await;
        instance.answer(&taken.request_id, "error", r#"{"errorType":"Broken","errorMessage":"no"}"#).await;
        request_ids.push(taken.request_id);
        // The pause begins once the failure has been noticed.
        rig.activity.until(|| rig.host.is_quiet().then_some(())).await;
        rig.clock.advance(Duration::from_secs(pause)).unwrap();
    }
    assert!(request_ids.iter().all(|id| *id == request_ids[0]));
    let records = rig.queues["chunks-dead"].receive(1, TIMEOUT, None).await;
    let record: Value = serde_json::from_str(&records[0].body).unwrap();
    assert_eq!(record["version"], "1.0");
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(record["requestContext"]["requestId"], request_ids[0]);
    assert_eq!(record["requestPayload"], json!({ "n": 1 }));
    assert_eq!(record["responsePayload"]["errorType"], "Broken");
}

#[tokio::test]
async fn the_mapping_deletes_what_was_done_and_brings_back_what_was_not() {
    let mut rig = Rig::start().await;
    let queue = rig.queues["chunks"].clone();
    let ids: Vec<_> = (0..3).map(|n| queue.send(n.to_string(), None, Duration::ZERO)).collect();
    let mapping = Mapping {
        queue: queue.clone(),
        function: "validate",
        batch_size: 10,
        host: rig.host.clone(),
        meter: rig.meter.clone(),
    };
    tokio::spawn(mapping.run());
    let instance = rig.instance().await;
    let taken = instance.next().await;
    assert_eq!(taken.event["Records"].as_array().unwrap().len(), 3);
    let response = json!({ "batchItemFailures": [{ "itemIdentifier": ids[1] }] });
    instance.answer(&taken.request_id, "response", response.to_string()).await;

    // Only the next delivery shows that the response has been dealt with.
    queue.send("more".to_owned(), None, Duration::ZERO);
    let taken = instance.next().await;
    instance.answer(&taken.request_id, "response", "null").await;
    rig.clock.advance(VISIBILITY).unwrap();
    let taken = instance.next().await;
    let [record] = &taken.event["Records"].as_array().unwrap()[..] else { panic!("one record") };
    assert_eq!(record["messageId"], json!(ids[1]));
    assert_eq!(record["attributes"]["ApproximateReceiveCount"], "2");
}

#[tokio::test]
async fn foul_weather_makes_no_message_poison() {
    let mut rig = Rig::with(Faults { kill_during: 1.0, ..Faults::default() }).await;
    for receives in 1..=3 {
        let host = rig.host.clone();
        let event = json!({ "Records": [{ "attributes": { "ApproximateReceiveCount": receives.to_string() } }] });
        let invocation = tokio::spawn(async move { host.invoke("validate", Bytes::from(event.to_string())).await });
        let instance = rig.instance().await;
        let taken = instance.next().await;
        if receives <= KILLED_RECEIVES {
            let killed = FunctionError::Crashed("killed by the weather".to_owned());
            assert_eq!(invocation.await.unwrap().unwrap_err(), killed, "{receives}");
        } else {
            instance.answer(&taken.request_id, "response", "1").await;
            assert_eq!(invocation.await.unwrap().unwrap(), "1", "{receives}");
        }
    }
}

#[tokio::test]
async fn foul_weather_kills_an_instance_that_has_answered() {
    let mut rig = Rig::with(Faults { kill_after_response: 1.0, ..Faults::default() }).await;
    let host = rig.host.clone();
    let invocation = tokio::spawn(async move { host.invoke("split", Bytes::from_static(b"{}")).await });
    let instance = rig.instance().await;
    let taken = instance.next().await;
    assert_eq!(instance.answer(&taken.request_id, "response", "null").await, StatusCode::ACCEPTED);
    assert!(matches!(invocation.await.unwrap(), Err(FunctionError::Crashed(_))));
}

#[tokio::test]
async fn foul_weather_tells_an_invocation_that_its_time_is_over_and_lets_it_go_on() {
    let mut rig = Rig::with(Faults { deadline_near: 1.0, ..Faults::default() }).await;
    let host = rig.host.clone();
    let invocation = tokio::spawn(async move { host.invoke("split", Bytes::from_static(b"{}")).await });
    let instance = rig.instance().await;
    let taken = instance.next().await;
    let deadline_ms: i64 = taken.headers["lambda-runtime-deadline-ms"].to_str().unwrap().parse().unwrap();
    assert!(deadline_ms <= real_ms());
    instance.answer(&taken.request_id, "response", "2").await;
    assert_eq!(invocation.await.unwrap().unwrap(), "2");
}

#[tokio::test]
async fn the_schedule_misses_no_advance_and_nothing_is_quiet_before_it_has_run() {
    let mut rig = Rig::start().await;
    let schedule = tokio::spawn(schedule::run(rig.host.clone(), &rig.clock));
    let (host, clock) = (rig.host.clone(), rig.clock.clone());
    let quiet = || host.is_quiet() && !clock.is_due();
    // Before the schedule's task has had its first turn.
    rig.clock.advance(Duration::from_secs(60)).unwrap();
    assert!(!quiet());
    let instance = rig.instance().await;
    let taken = instance.next().await;
    assert_eq!(taken.event["detail-type"], "Scheduled Event");
    // While it runs: it comes again, once for the three minutes.
    rig.clock.advance(Duration::from_secs(180)).unwrap();
    instance.answer(&taken.request_id, "response", "null").await;
    let taken = instance.next().await;
    assert!(!quiet());
    instance.answer(&taken.request_id, "response", "null").await;
    rig.activity.until(|| quiet().then_some(())).await;
    assert_eq!(rig.host.processes()[0].invocations, 2);
    rig.host.stop().await;
    schedule.await.unwrap();
}

#[tokio::test]
async fn stopping_ends_what_runs_and_refuses_what_comes() {
    let mut rig = Rig::start().await;
    let host = rig.host.clone();
    let invocation = tokio::spawn(async move { host.invoke("split", Bytes::from_static(b"{}")).await });
    rig.instance().await.next().await;
    rig.host.stop().await;
    assert!(matches!(invocation.await.unwrap(), Err(FunctionError::Crashed(_))));
    assert_eq!(rig.host.invoke("split", Bytes::new()).await, Err(FunctionError::Stopped));
    assert!(rig.host.processes().iter().all(|process| !process.alive));
}
