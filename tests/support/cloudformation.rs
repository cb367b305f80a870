//! CloudFormation, as far as the command asks it: what one stack gives out.

use axum::{
    extract::RawQuery,
    http::{HeaderMap, StatusCode},
};
use penstock_model::QueueName;

use super::Stack;

/// Starts it, with the outputs of the stack `imports`, for requests that are signed with a key; gives its address.
pub async fn start(outputs: String, key: &'static str) -> String {
    let answer = async move |RawQuery(query): RawQuery, headers: HeaderMap| {
        let signed = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_signed = signed.starts_with(&format!("AWS4-HMAC-SHA256 Credential={key}/"));
        assert!(is_signed && signed.contains("/cloudformation/"), "{signed}");
        if query.is_some_and(|query| query.contains("StackName=imports")) {
            return (StatusCode::OK, outputs);
        }
        let refused = "<ErrorResponse><Error><Code>ValidationError</Code><Message>no such stack</Message></Error></ErrorResponse>";
        (StatusCode::BAD_REQUEST, refused.to_owned())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// What CloudFormation says of a stack.
pub fn described(stack: &Stack) -> String {
    let variables = [
        ("PENSTOCK_IMPORTS_TABLE", "ImportsTableName".to_owned()),
        ("PENSTOCK_RECORDS_TABLE", "RecordsTableName".to_owned()),
        ("PENSTOCK_UPLOADS_BUCKET", "UploadsBucketName".to_owned()),
        ("PENSTOCK_RESULTS_BUCKET", "ResultsBucketName".to_owned()),
    ];
    let queues = QueueName::ALL.iter().map(|queue| (queue.row().variable, format!("{}Url", queue.logical_id())));
    let environment = stack.cloud.environment();
    let value = |name: &str| environment.iter().find(|(found, _)| found == name).map(|(_, value)| value).expect("set");
    let output = |(variable, output): (&str, String)| {
        format!("<member><OutputKey>{output}</OutputKey><OutputValue>{}</OutputValue></member>", value(variable))
    };
    let outputs: String = variables.into_iter().chain(queues).map(output).collect();
    format!(
        "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><Outputs>{outputs}</Outputs></member></Stacks>\
         </DescribeStacksResult></DescribeStacksResponse>"
    )
}
