//! The environment of the functions and the api: one list of variables for all of them.

use penstock_model::{FunctionName, QueueName};

use crate::REGION;
use crate::proxy::access_key_id;
use crate::queue::random_id;
use crate::sqs::ACCOUNT_ID;

pub(crate) const IMPORTS_TABLE: &str = "penstock-imports";
pub(crate) const RECORDS_TABLE: &str = "penstock-records";
pub(crate) const UPLOADS_BUCKET: &str = "uploads";
pub(crate) const RESULTS_BUCKET: &str = "results";

/// Where the services answer; through the fault proxy, if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    pub(crate) dynamodb: String,
    pub(crate) s3: String,
    pub(crate) sqs: String,
    pub(crate) eventbridge: String,
}

/// 64 random hexadecimal digits: other programs on this machine can reach the ports, but not know them.
pub(crate) fn secret() -> String {
    format!("{}{}", random_id(), random_id()).replace('-', "")
}

/// The variables, `more` last: of two with one name the last counts. Clients reach the storage at `storage_url` and the
/// API at `api_url`.
pub(crate) fn environment(
    endpoints: &Endpoints,
    storage_url: &str,
    api_url: &str,
    bus: Option<&str>,
    secret: &str,
    clock: Option<(&str, String)>,
    more: &[(String, String)],
) -> Vec<(String, String)> {
    let own = [
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        // The local cloud's own process is the api; each function signs with a key of its own.
        ("AWS_ACCESS_KEY_ID", access_key_id(FunctionName::Api.as_str())),
        ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
        // The api as a function: the stage of a REST API is no part of a path.
        ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true".to_owned()),
        // As in the template: with an arena for each thread, what one frees serves no other, and peaks add up.
        ("MALLOC_ARENA_MAX", "1".to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", endpoints.dynamodb.clone()),
        ("AWS_ENDPOINT_URL_S3", endpoints.s3.clone()),
        ("AWS_ENDPOINT_URL_SQS", endpoints.sqs.clone()),
        ("AWS_ENDPOINT_URL_EVENTBRIDGE", endpoints.eventbridge.clone()),
        ("PENSTOCK_API_URL", api_url.to_owned()),
        ("PENSTOCK_EVENT_BUS", bus.unwrap_or_default().to_owned()),
        ("PENSTOCK_WEBHOOK_LOOPBACK", "true".to_owned()),
        ("PENSTOCK_STORAGE_URL", storage_url.to_owned()),
        ("PENSTOCK_IMPORTS_TABLE", IMPORTS_TABLE.to_owned()),
        ("PENSTOCK_RECORDS_TABLE", RECORDS_TABLE.to_owned()),
        ("PENSTOCK_UPLOADS_BUCKET", UPLOADS_BUCKET.to_owned()),
        ("PENSTOCK_RESULTS_BUCKET", RESULTS_BUCKET.to_owned()),
    ];
    let queue_url =
        |queue: &QueueName| (queue.row().variable.to_owned(), format!("{}/{ACCOUNT_ID}/{queue}", endpoints.sqs));
    let own = own.into_iter().chain(clock).map(|(name, value)| (name.to_owned(), value));
    own.chain(QueueName::ALL.iter().map(queue_url)).chain(more.iter().cloned()).collect()
}

/// A variable's value.
pub(crate) fn lookup(environment: &[(String, String)], name: &str) -> Option<String> {
    environment.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}
