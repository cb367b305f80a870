//! A deployed stack, asked with the operator's own AWS credentials.

use std::collections::HashMap;

use anyhow::Context;
use aws_sdk_cloudformation::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use penstock_model::QueueName;
use penstock_store::Settings;

use crate::variable;

/// What a function of the stack finds in its environment, and under which name the stack gives it out.
fn outputs_of_variables() -> HashMap<&'static str, String> {
    let tables_and_buckets = [
        ("PENSTOCK_IMPORTS_TABLE", "ImportsTableName"),
        ("PENSTOCK_RECORDS_TABLE", "RecordsTableName"),
        ("PENSTOCK_UPLOADS_BUCKET", "UploadsBucketName"),
        ("PENSTOCK_RESULTS_BUCKET", "ResultsBucketName"),
    ];
    let queues = QueueName::ALL.iter().map(|queue| (queue.row().variable, format!("{}Url", queue.logical_id())));
    tables_and_buckets.map(|(variable, output)| (variable, output.to_owned())).into_iter().chain(queues).collect()
}

fn required(name: &str) -> anyhow::Result<String> {
    variable(name).with_context(|| format!("the environment variable {name} is not set"))
}

fn region() -> anyhow::Result<String> {
    variable("AWS_REGION").map_or_else(|| required("AWS_DEFAULT_REGION"), Ok)
}

/// The settings of a stack's functions, with the credentials, the region and the endpoints of this process's environment.
///
/// # Errors
/// A variable is not set, or the stack is not there, or none of this version.
pub(crate) async fn settings(stack: &str) -> anyhow::Result<Settings> {
    let region = region()?;
    let outputs = outputs(stack, &region).await?;
    let of_variables = outputs_of_variables();
    for output in of_variables.values() {
        anyhow::ensure!(outputs.contains_key(output), "the stack {stack} has no output {output}: is it Penstock's?");
    }
    let settings = Settings::from_vars(|name| match of_variables.get(name) {
        Some(output) => outputs.get(output).cloned(),
        None if name == "AWS_REGION" => Some(region.clone()),
        None => variable(name),
    });
    Ok(settings?)
}

async fn outputs(stack: &str, region: &str) -> anyhow::Result<HashMap<String, String>> {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let credentials = Credentials::new(
        required("AWS_ACCESS_KEY_ID")?,
        required("AWS_SECRET_ACCESS_KEY")?,
        variable("AWS_SESSION_TOKEN"),
        None,
        "environment",
    );
    let mut config = aws_sdk_cloudformation::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region.to_owned()))
        .credentials_provider(credentials)
        .http_client(http);
    config.set_endpoint_url(variable("AWS_ENDPOINT_URL_CLOUDFORMATION").or_else(|| variable("AWS_ENDPOINT_URL")));
    let client = aws_sdk_cloudformation::Client::from_conf(config.build());
    let described = client.describe_stacks().stack_name(stack).send().await;
    let described = described.with_context(|| format!("asking CloudFormation for the stack {stack}"))?;
    let outputs = described.stacks.unwrap_or_default().into_iter().flat_map(|stack| stack.outputs.unwrap_or_default());
    Ok(outputs.filter_map(|output| Some((output.output_key?, output.output_value?))).collect())
}
