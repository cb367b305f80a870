//! Requests to the API, which cost the same whatever an import's rows are: each goes to the api as a function, as API
//! Gateway hands it on.

use std::fmt::Write as _;

use anyhow::Context;
use penstock_local::Usage;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Bench, Dollars, MILLION, dollars};
use crate::follow::SLOW_POLL;

/// How often each is asked, so that what a start takes does not count for much.
const TIMES: u64 = 50;

/// For how long the document has an import looked at, in seconds.
const LOOKED_AT: u64 = 60;

/// One request, and what a million of it would cost.
#[derive(Debug, Serialize)]
pub(super) struct Request {
    name: &'static str,
    /// How often it was made.
    times: u64,
    dollars_per_million: Dollars,
    api_gateway_per_million: f64,
}

impl Request {
    fn total(&self) -> f64 {
        self.dollars_per_million.total() + self.api_gateway_per_million
    }
}

/// What API Gateway hands to the function (Amazon API Gateway Developer Guide, "Input format of a Lambda function for
/// proxy integration").
fn event(method: &str, path: &str, token: &str, body: Option<&str>) -> Value {
    let headers = [("Authorization", format!("Bearer {token}")), ("Content-Type", "application/json".to_owned())];
    let several: serde_json::Map<_, _> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), json!([value]))).collect();
    let single: serde_json::Map<_, _> =
        headers.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    json!({
        "resource": "/{proxy+}", "path": path, "httpMethod": method,
        "headers": single, "multiValueHeaders": several,
        "queryStringParameters": null, "multiValueQueryStringParameters": null,
        "pathParameters": { "proxy": path.trim_start_matches('/') }, "stageVariables": null,
        "requestContext": {
            "resourceId": "a", "resourcePath": "/{proxy+}", "httpMethod": method, "path": format!("/live{path}"),
            "accountId": "123456789012", "protocol": "HTTP/1.1", "stage": "live", "requestTimeEpoch": 0,
            "requestId": "77375676-6be1-4b79-853a-f982474efe18", "identity": { "sourceIp": "192.0.2.1" }, "apiId": "a",
        },
        "body": body, "isBase64Encoded": false,
    })
}

async fn ask(bench: &Bench<'_>, event: &Value, wanted: u64) -> anyhow::Result<Value> {
    let answer = bench.cloud.invoke("api", event.to_string()).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let answer: Value = serde_json::from_slice(&answer).context("the api's answer")?;
    anyhow::ensure!(answer["statusCode"] == wanted, "the api answered {answer}");
    serde_json::from_str(answer["body"].as_str().unwrap_or_default()).context("the body of the api's answer")
}

/// Makes the requests of an import: what creates it, and what looks at it, here at one that has ended.
///
/// # Errors
/// The api answers otherwise than it has to.
pub(super) async fn requests(bench: &Bench<'_>, token: &str) -> anyhow::Result<Vec<Request>> {
    let page = bench.client.list(None, 1).await?;
    let id = &page.imports.first().context("imports were made")?.id;
    let create = event("POST", "/v1/imports", token, Some(r#"{"kind": "products"}"#));
    let look = event("GET", &format!("/v1/imports/{id}"), token, None);
    let mut requests = Vec::new();
    for (name, event, wanted) in [("an import is created", create, 201), ("an import is looked at", look, 200)] {
        // Its start is not counted.
        ask(bench, &event, wanted).await?;
        let before = bench.used();
        for _ in 0..TIMES {
            ask(bench, &event, wanted).await?;
        }
        bench.cloud.idle().await;
        let usage: Usage = bench.used().since(&before);
        let dollars_per_million = dollars(bench.table, &usage, TIMES)?;
        let api_gateway_per_million = bench.table.of("api_request", MILLION)?;
        requests.push(Request { name, times: TIMES, dollars_per_million, api_gateway_per_million });
    }
    Ok(requests)
}

/// What the document says of them.
pub(super) fn section(requests: &[Request]) -> anyhow::Result<String> {
    let mut text =
        String::from("## Requests to the API\n\nThey do not grow with the rows. Dollars for a thousand of each:\n\n");
    writeln!(text, "| a thousand times | API Gateway | DynamoDB | Lambda | logs | all |")?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
    let thousand = |million: f64| million / 1e3;
    for request in requests {
        let dollars = &request.dollars_per_million;
        let cells = [
            request.api_gateway_per_million,
            dollars.dynamodb_writes + dollars.dynamodb_reads,
            dollars.lambda_requests + dollars.lambda_compute,
            dollars.logs,
            request.total(),
        ];
        let cells: Vec<_> = cells.into_iter().map(|million| format!("{:.4}", thousand(million))).collect();
        writeln!(text, "| {} | {} |", request.name, cells.join(" | "))?;
    }
    let [create, look] = requests else { anyhow::bail!("an import is created, and looked at") };
    let pause = SLOW_POLL.as_secs();
    let looks = LOOKED_AT / pause;
    let import = (create.total() + looks as f64 * look.total()) / MILLION;
    writeln!(
        text,
        "\nAn import that is created and then looked at as `penstock import` does it, every {pause} seconds, takes {import:.6} dollars\n\
         of requests where that goes on for a minute, {looks} times. The upload goes to S3, past the API; its request is among\n\
         those of the rows.\n"
    )?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requests_of_an_import_add_up() {
        let request = |name, dynamodb_writes, api_gateway_per_million| Request {
            name,
            times: 1,
            dollars_per_million: Dollars { dynamodb_writes, logs: 1.0, ..Dollars::default() },
            api_gateway_per_million,
        };
        let requests = [request("an import is created", 2.5, 3.5), request("an import is looked at", 0.5, 3.5)];
        let text = section(&requests).expect("two");
        assert!(text.contains("| an import is created | 0.0035 | 0.0025 | 0.0000 | 0.0010 | 0.0070 |"), "{text}");
        assert!(text.contains("| an import is looked at | 0.0035 | 0.0005 | 0.0000 | 0.0010 | 0.0050 |"), "{text}");
        // 7 + 30 × 5 millionths.
        assert!(text.contains("every 2 seconds, takes 0.000157 dollars") && text.contains("30 times"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 120), "{text}");
        assert!(section(&requests[..1]).is_err());
    }
}
