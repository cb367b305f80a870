use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;

use super::rig::Rig;
use crate::dynamodb::{self, Tables};
use crate::faults::{Faults, Weather, WireFaults};
use crate::proxy::Proxies;
use crate::stack::Endpoints;
use crate::usage::Counts;

/// A rig whose clients go through proxies.
async fn behind_proxies(wire: WireFaults) -> (Rig, Proxies) {
    let mut rig = Rig::start().await;
    let (s3, sqs) = (rig.s3_url.clone(), rig.sqs_url.clone());
    let direct = Endpoints { dynamodb: sqs.clone(), s3, sqs: sqs.clone(), eventbridge: sqs };
    let weather = Weather::new(Faults { seed: 11, wire, ..Faults::default() });
    let proxies = Proxies::start(&direct, &weather, &rig.meter).await.unwrap();
    rig.s3_url.clone_from(&proxies.endpoints().s3);
    rig.sqs_url.clone_from(&proxies.endpoints().sqs);
    (rig, proxies)
}

async fn chunks(client: &aws_sdk_sqs::Client) -> String {
    client.get_queue_url().queue_name("chunks").send().await.unwrap().queue_url.unwrap()
}

fn used(rig: &Rig, name: &str) -> Counts {
    rig.meter.read().total(|operation| operation.name == name)
}

#[tokio::test]
async fn in_fair_weather_everything_goes_through_and_is_counted() {
    let (rig, proxies) = behind_proxies(WireFaults::default()).await;
    let client = rig.sqs();
    let url = chunks(&client).await;
    let entry = |id: &str| SendMessageBatchRequestEntry::builder().id(id).message_body("x").build().unwrap();
    client.send_message_batch().queue_url(&url).entries(entry("a")).entries(entry("b")).send().await.unwrap();
    let sent = Counts { requests: 1, items: 2, queue_units: 1, ..Counts::default() };
    assert_eq!(rig.meter.read().of_resource("sqs", "chunks"), sent);

    // A signature covers the host that the client has called, which is the proxy.
    let large = vec![b'x'; 3 << 20];
    let s3 = rig.s3();
    s3.put_object().bucket("results").key("x").body(large.clone().into()).send().await.unwrap();
    let expires = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let get = s3.get_object().bucket("results").key("x").presigned(expires).await.unwrap();
    assert_eq!(rig.http.get(get.uri()).send().await.unwrap().bytes().await.unwrap(), large);
    assert_eq!((used(&rig, "PutObject").requests, used(&rig, "GetObject").requests), (1, 1));
    proxies.stop().await;
}

#[tokio::test]
async fn an_error_before_has_no_effect_and_one_after_has() {
    for (wire, effects) in [
        (WireFaults { error_before: 1.0, ..WireFaults::default() }, 0),
        (WireFaults { cut_before: 1.0, ..WireFaults::default() }, 0),
        (WireFaults { throttle: 1.0, throttle_burst: 5, ..WireFaults::default() }, 0),
        (WireFaults { error_after: 1.0, ..WireFaults::default() }, 1),
        (WireFaults { cut_after: 1.0, ..WireFaults::default() }, 1),
        (WireFaults { timeout_after: 1.0, ..WireFaults::default() }, 1),
    ] {
        let shown = format!("{wire:?}");
        let (rig, _proxies) = behind_proxies(wire).await;
        let request = rig
            .http
            .post(&rig.sqs_url)
            .header("x-amz-target", "AmazonSQS.SendMessage")
            .body(r#"{"QueueUrl":"chunks","MessageBody":"x"}"#);
        let answered = match request.send().await {
            Ok(response) => response.status().is_success() && response.bytes().await.is_ok(),
            Err(_) => false,
        };
        assert!(!answered, "{shown}");
        assert_eq!(rig.queues["chunks"].depth().visible, effects, "{shown}");
    }
}

#[tokio::test]
async fn a_late_write_is_made_though_its_client_has_given_it_up() {
    let rig = Rig::start().await;
    let tables = Tables { imports: "imports", records: "records" };
    let database = dynamodb::start(None, tables, "secret").await.expect("a port");
    let (s3, sqs) = (rig.s3_url.clone(), rig.sqs_url.clone());
    let direct = Endpoints { dynamodb: format!("{}/secret", database.url()), s3, sqs: sqs.clone(), eventbridge: sqs };
    let wire = WireFaults { write_late: 1.0, late: Duration::from_millis(200), ..WireFaults::default() };
    let weather = Weather::new(Faults { seed: 11, wire, ..Faults::default() });
    let proxies = Proxies::start(&direct, &weather, &rig.meter).await.expect("ports");
    let call = |endpoint: &str, operation: &str, request: &str| {
        let target = format!("DynamoDB_20120810.{operation}");
        let call = rig.http.post(format!("{endpoint}/")).header("x-amz-target", target);
        call.header("content-type", "application/x-amz-json-1.0").body(request.to_owned()).send()
    };
    let through = proxies.endpoints().dynamodb.clone();
    let count = async || {
        let answer = call(&through, "Scan", r#"{"TableName":"records","Select":"COUNT"}"#).await.expect("an answer");
        answer.json::<serde_json::Value>().await.expect("JSON")["Count"].clone()
    };
    let put = r#"{"TableName":"records","Item":{"pk":{"S":"a"},"sk":{"S":"b"}}}"#;
    assert!(call(&through, "PutItem", put).await.is_err(), "the connection is cut");
    proxies.late_writes_made().await;
    assert!(!proxies.has_late_writes());
    assert_eq!(count().await, 1);
    proxies.stop().await;
    database.stop().await;
}

#[tokio::test]
async fn the_sdk_gets_through_moderately_foul_weather() {
    let wire = WireFaults {
        error_before: 0.1,
        error_after: 0.1,
        cut_before: 0.1,
        cut_after: 0.1,
        partial_batch: 0.5,
        ..WireFaults::default()
    };
    let (rig, _proxies) = behind_proxies(wire).await;
    let client = rig.sqs();
    let url = at_last(async || client.get_queue_url().queue_name("chunks").send().await).await.queue_url.unwrap();
    for n in 0..5 {
        at_last(async || client.send_message().queue_url(&url).message_body(n.to_string()).send().await).await;
    }
    // At least once each: what was cut after its effect was sent again.
    let mut bodies: Vec<u32> =
        rig.queues["chunks"].take(1000, None).iter().map(|message| message.body.parse().unwrap()).collect();
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!(bodies, (0..5).collect::<Vec<_>>());
}

/// The result of a call that is made up to twenty times.
async fn at_last<T, E: std::fmt::Debug>(call: impl AsyncFn() -> Result<T, E>) -> T {
    let mut failed = None;
    for _ in 0..20 {
        match call().await {
            Ok(found) => return found,
            Err(error) => failed = Some(error),
        }
    }
    panic!("twenty calls failed, the last with {failed:?}");
}
