//! A deployed stack, asked with the operator's own AWS credentials.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use penstock_model::QueueName;
use penstock_store::Settings;
use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde::Deserialize;

use crate::{
    aws::{self, Aws},
    variable,
};

const TIMEOUT: Duration = Duration::from_secs(30);

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

/// The settings of a stack's functions, with the operator's credentials and region, and the endpoints of this process's
/// environment.
///
/// # Errors
/// There are no credentials, no region, no such stack, or none of this version.
pub(crate) async fn settings(stack: &str) -> anyhow::Result<Settings> {
    let aws = aws::found().await?;
    let outputs = outputs(stack, &aws).await?;
    let of_variables = outputs_of_variables();
    for output in of_variables.values() {
        anyhow::ensure!(outputs.contains_key(output), "the stack {stack} has no output {output}: is it Penstock's?");
    }
    let Aws { region, credentials } = aws;
    let settings = Settings::with_credentials(credentials, |name| match of_variables.get(name) {
        Some(output) => outputs.get(output).cloned(),
        None if name == "AWS_REGION" => Some(region.clone()),
        None => variable(name),
    });
    Ok(settings?)
}

/// The stack's outputs by name, as `DescribeStacks` of CloudFormation's Query API gives them
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html>). It only reads.
async fn outputs(stack: &str, aws: &Aws) -> anyhow::Result<HashMap<String, String>> {
    let region = &aws.region;
    let endpoint = variable("AWS_ENDPOINT_URL_CLOUDFORMATION")
        .or_else(|| variable("AWS_ENDPOINT_URL"))
        .unwrap_or_else(|| format!("https://cloudformation.{region}.amazonaws.com"));
    let mut url = Url::parse(&endpoint).with_context(|| format!("the endpoint {endpoint:?} is not a URL"))?;
    url.query_pairs_mut().extend_pairs([("Action", "DescribeStacks"), ("Version", "2010-05-15"), ("StackName", stack)]);
    let http = penstock_client::http_to(url.as_str()).timeout(TIMEOUT).build()?;
    let request = http.get(url.clone()).headers(signed_headers(&url, aws).await?);
    let asking = || format!("asking CloudFormation for the stack {stack}");
    let answer = request.send().await.with_context(asking)?;
    let (status, body) = (answer.status(), answer.text().await.with_context(asking)?);
    if !status.is_success() {
        let refused: Refused = quick_xml::de::from_str(&body).unwrap_or_default();
        let Refusal { code, message } = refused.error;
        anyhow::bail!("{}: it answers {status}: {code} {message}", asking());
    }
    let described: Described = quick_xml::de::from_str(&body).with_context(asking)?;
    let stacks = described.result.stacks.member.into_iter();
    Ok(stacks.flat_map(|stack| stack.outputs.member).map(|output| (output.key, output.value)).collect())
}

/// The headers that sign a GET of `url` with the operator's credentials.
async fn signed_headers(url: &Url, aws: &Aws) -> anyhow::Result<HeaderMap> {
    let identity = aws.credentials.provide_credentials().await?.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&aws.region)
        .name("cloudformation")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let signable = SignableRequest::new("GET", url.as_str(), std::iter::empty(), SignableBody::Bytes(b""))?;
    let (instructions, _) = sign(signable, &parameters)?.into_parts();
    let mut headers = HeaderMap::new();
    for (name, value) in instructions.headers() {
        headers.insert(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
    }
    Ok(headers)
}

#[derive(Deserialize)]
struct Described {
    #[serde(rename = "DescribeStacksResult")]
    result: DescribedStacks,
}

#[derive(Deserialize)]
struct DescribedStacks {
    #[serde(rename = "Stacks", default)]
    stacks: Members<Stack>,
}

#[derive(Deserialize)]
struct Stack {
    #[serde(rename = "Outputs", default)]
    outputs: Members<Output>,
}

#[derive(Deserialize)]
struct Output {
    #[serde(rename = "OutputKey")]
    key: String,
    #[serde(rename = "OutputValue", default)]
    value: String,
}

/// A list of the Query protocol.
#[derive(Deserialize)]
struct Members<T> {
    #[serde(default = "Vec::new")]
    member: Vec<T>,
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self { member: Vec::new() }
    }
}

#[derive(Default, Deserialize)]
struct Refused {
    #[serde(rename = "Error")]
    error: Refusal,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Refusal {
    code: String,
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outputs_of_an_answer_are_read() {
        let answer = r#"<?xml version="1.0"?><DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
            <DescribeStacksResult><Stacks><member><StackName>a</StackName><Outputs>
            <member><OutputKey>A</OutputKey><OutputValue>https://a.example/?b&amp;c</OutputValue><Description>d</Description></member>
            <member><OutputKey>B</OutputKey><OutputValue/></member>
            </Outputs><Tags/></member></Stacks></DescribeStacksResult><ResponseMetadata/></DescribeStacksResponse>"#;
        let described: Described = quick_xml::de::from_str(answer).expect("reads");
        let outputs = described.result.stacks.member.into_iter().flat_map(|stack| stack.outputs.member);
        let outputs: Vec<_> = outputs.map(|output| (output.key, output.value)).collect();
        assert_eq!(outputs, [("A".into(), "https://a.example/?b&c".into()), ("B".into(), String::new())]);
    }

    #[test]
    fn a_refusal_names_its_reason() {
        let answer = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>\
                      <Message>Stack with id a does not exist</Message></Error></ErrorResponse>";
        let refused: Refused = quick_xml::de::from_str(answer).expect("reads");
        assert_eq!(refused.error.code, "ValidationError");
        assert_eq!(refused.error.message, "Stack with id a does not exist");
    }
}
