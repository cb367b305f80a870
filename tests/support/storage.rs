//! The local cloud's S3, as somebody with the functions' own credentials sees it.

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Region},
};

use super::Stack;

/// A client of a stack's S3.
pub fn s3(stack: &Stack) -> Client {
    let settings = stack.cloud.store().settings();
    let mut config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .credentials_provider(settings.credentials.clone())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .force_path_style(true);
    config.set_endpoint_url(settings.s3_endpoint.clone());
    Client::from_conf(config.build())
}

/// The multipart uploads that are under way in the bucket of uploads, by their ids, whatever import they are of.
pub async fn uploads_under_way(stack: &Stack) -> Vec<String> {
    let bucket = &stack.cloud.store().settings().uploads_bucket;
    let listed = s3(stack).list_multipart_uploads().bucket(bucket).send().await.expect("S3 lists them");
    assert_ne!(listed.is_truncated(), Some(true));
    listed.uploads().iter().filter_map(|upload| upload.upload_id().map(str::to_owned)).collect()
}
