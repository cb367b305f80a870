//! Answers that no service has given, worded as each would have.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::{Body, Service, full, operation};

/// 500, or 503 if `unavailable`.
pub(super) fn server_error(service: Service, unavailable: bool) -> Response<Body> {
    let status = if unavailable { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
    match (service, unavailable) {
        (Service::DynamoDb, _) => {
            error(status, None, "com.amazonaws.dynamodb.v20120810#InternalServerError", "Foul weather.")
        }
        (Service::Sqs, true) => error(
            status,
            Some("ServiceUnavailable;Receiver"),
            "com.amazon.coral.service#ServiceUnavailableException",
            "Foul weather.",
        ),
        (Service::Sqs, false) => {
            error(status, Some("InternalFailure;Receiver"), "com.amazon.coral.service#InternalFailure", "Foul weather.")
        }
        (Service::EventBridge, _) => error(status, None, "InternalException", "Foul weather."),
        (Service::S3, true) => xml(status, "ServiceUnavailable", "Service is unable to handle request."),
        (Service::S3, false) => xml(status, "InternalError", "We encountered an internal error. Please try again."),
    }
}

pub(super) fn throttled(service: Service) -> Response<Body> {
    match service {
        Service::DynamoDb => error(
            StatusCode::BAD_REQUEST,
            None,
            "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
            "The level of configured provisioned throughput for the table was exceeded.",
        ),
        Service::Sqs => error(
            StatusCode::BAD_REQUEST,
            Some("RequestThrottled;Sender"),
            "com.amazonaws.sqs#RequestThrottled",
            "The request was denied due to request throttling.",
        ),
        Service::EventBridge => error(StatusCode::BAD_REQUEST, None, "ThrottlingException", "Rate exceeded"),
        Service::S3 => xml(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", "Please reduce your request rate."),
    }
}

/// A single write that met a transaction.
pub(super) fn transaction_conflict() -> Response<Body> {
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionConflictException";
    error(StatusCode::BAD_REQUEST, None, kind, "Transaction is ongoing for the item")
}

/// A transaction that met another at its first member.
pub(super) fn transaction_canceled(request: &Value) -> Response<Body> {
    let members = operation::members("TransactWriteItems", request).unwrap_or(1).max(1);
    let reasons: Vec<Value> = (0..members)
        .map(|member| match member {
            0 => json!({ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" }),
            _ => json!({ "Code": "None" }),
        })
        .collect();
    let codes: Vec<&str> = reasons.iter().filter_map(|reason| reason["Code"].as_str()).collect();
    let codes = codes.join(", ");
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"),
        "CancellationReasons": reasons,
    });
    json(StatusCode::BAD_REQUEST, None, Bytes::from(body.to_string()))
}

pub(super) fn json(status: StatusCode, query_error: Option<&'static str>, body: Bytes) -> Response<Body> {
    let mut response = answer(status, "application/x-amz-json-1.0", body);
    if let Some(query_error) = query_error {
        response.headers_mut().insert("x-amzn-query-error", HeaderValue::from_static(query_error));
    }
    response
}

fn error(status: StatusCode, query_error: Option<&'static str>, kind: &str, message: &str) -> Response<Body> {
    json(status, query_error, Bytes::from(json!({ "__type": kind, "message": message }).to_string()))
}

fn xml(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    answer(status, "application/xml", Bytes::from(xml))
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Body> {
    let length = body.len();
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}
