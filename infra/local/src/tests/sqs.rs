use std::time::Duration;

use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry};

use super::rig::Rig;
use penstock_model::limits::MESSAGE_BYTES;

async fn queue_url(client: &aws_sdk_sqs::Client) -> String {
    client.get_queue_url().queue_name("chunks").send().await.unwrap().queue_url.unwrap()
}

fn entry(id: impl Into<String>, body: impl Into<String>) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
}

#[tokio::test]
async fn a_message_goes_through_with_its_attributes() {
    let rig = Rig::start().await;
    let client = rig.sqs();
    let url = queue_url(&client).await;
    let body = "id,name\n1,\"Säge\t😀\"\r\n";
    client.send_message().queue_url(&url).message_body(body).message_group_id("account-1").send().await.unwrap();
    let received = client
        .receive_message()
        .queue_url(&url)
        .max_number_of_messages(10)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await
        .unwrap();
    let [message] = received.messages() else { panic!("one message") };
    assert_eq!(message.body(), Some(body));
    let attributes = message.attributes().unwrap();
    assert_eq!(attributes[&MessageSystemAttributeName::MessageGroupId], "account-1");
    assert_eq!(attributes[&MessageSystemAttributeName::ApproximateReceiveCount], "1");

    client.delete_message().queue_url(&url).receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
    let attributes =
        client.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All).send().await.unwrap();
    let attributes = attributes.attributes().unwrap();
    assert_eq!(attributes[&QueueAttributeName::ApproximateNumberOfMessages], "0");
    assert_eq!(attributes[&QueueAttributeName::ApproximateNumberOfMessagesNotVisible], "0");
    assert!(attributes[&QueueAttributeName::RedrivePolicy].contains(r#""maxReceiveCount":3"#));
}

#[tokio::test]
async fn a_long_poll_ends_with_the_message_it_waits_for() {
    let rig = Rig::start().await;
    let client = rig.sqs();
    let url = queue_url(&client).await;
    let (received, _) = tokio::join!(client.receive_message().queue_url(&url).wait_time_seconds(20).send(), async {
        client.send_message().queue_url(&url).message_body("late").send().await.unwrap()
    });
    assert_eq!(received.unwrap().messages()[0].body(), Some("late"));
}

#[tokio::test]
async fn one_mebibyte_passes_and_one_byte_more_does_not() {
    let rig = Rig::start().await;
    let client = rig.sqs();
    let url = queue_url(&client).await;
    let largest = "ü".repeat(MESSAGE_BYTES / 2);
    client.send_message().queue_url(&url).message_body(&largest).send().await.unwrap();
    let error = client.send_message().queue_url(&url).message_body(format!("{largest}x")).send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidParameterValue"));

    let halves = || [entry("a", "x".repeat(MESSAGE_BYTES / 2)), entry("b", "y".repeat(MESSAGE_BYTES / 2))];
    client.send_message_batch().queue_url(&url).set_entries(Some(halves().to_vec())).send().await.unwrap();
    let over = halves().into_iter().chain([entry("c", "z")]).collect();
    let error = client.send_message_batch().queue_url(&url).set_entries(Some(over)).send().await.unwrap_err();
    assert!(error.into_service_error().is_batch_request_too_long());
    assert_eq!(rig.queues["chunks"].depth().visible, 3);
}

#[tokio::test]
async fn what_sqs_refuses_is_refused_alone_and_in_a_batch() {
    let rig = Rig::start().await;
    let client = rig.sqs();
    let url = queue_url(&client).await;
    for refused in ["\0", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
        let error =
            client.send_message().queue_url(&url).message_body(format!("a{refused}b")).send().await.unwrap_err();
        assert!(error.into_service_error().is_invalid_message_contents(), "{refused:?}");
    }
    let entries = vec![entry("good", "body"), entry("bad", "\u{1}")];
    let output = client.send_message_batch().queue_url(&url).set_entries(Some(entries)).send().await.unwrap();
    assert_eq!(output.successful()[0].id(), "good");
    let [failed] = output.failed() else { panic!("one failure") };
    assert_eq!((failed.id(), failed.code(), failed.sender_fault()), ("bad", "InvalidMessageContents", true));
    assert_eq!(rig.queues["chunks"].depth().visible, 1);
}

#[tokio::test]
async fn a_batch_is_refused_as_a_whole_for_what_is_wrong_with_it_as_a_whole() {
    let rig = Rig::start().await;
    let client = rig.sqs();
    let url = queue_url(&client).await;
    let send = |entries: Vec<SendMessageBatchRequestEntry>| {
        let request = client.send_message_batch().queue_url(&url).set_entries(Some(entries));
        async move { request.send().await.unwrap_err().into_service_error() }
    };
    assert!(send(Vec::new()).await.is_empty_batch_request());
    assert!(send((0..11).map(|n| entry(n.to_string(), "x")).collect()).await.is_too_many_entries_in_batch_request());
    assert!(send(vec![entry("a", "x"), entry("a", "y")]).await.is_batch_entry_ids_not_distinct());
    assert!(send(vec![entry("not allowed", "x")]).await.is_invalid_batch_entry_id());
    assert_eq!(rig.queues["chunks"].depth().visible, 0);
}

#[tokio::test]
async fn errors_have_the_types_that_the_sdk_knows() {
    let rig = Rig::start().await;
    let client = rig.sqs();
    let url = queue_url(&client).await;
    let error = client.send_message().queue_url(format!("{url}-other")).message_body("x").send().await.unwrap_err();
    assert!(error.into_service_error().is_queue_does_not_exist());
    let error = client.delete_message().queue_url(&url).receipt_handle("nonsense").send().await.unwrap_err();
    assert!(error.into_service_error().is_receipt_handle_is_invalid());

    client.send_message().queue_url(&url).message_body("x").send().await.unwrap();
    let received = client.receive_message().queue_url(&url).visibility_timeout(30).send().await.unwrap();
    let receipt = received.messages()[0].receipt_handle().unwrap();
    let change = |seconds| {
        client.change_message_visibility().queue_url(&url).receipt_handle(receipt).visibility_timeout(seconds).send()
    };
    change(60).await.unwrap();
    rig.clock.advance(Duration::from_secs(60)).unwrap();
    assert!(change(60).await.unwrap_err().into_service_error().is_message_not_inflight());
}
