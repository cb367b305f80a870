//! A client of the S3 that settings name, with the functions' own credentials.

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Region},
};
use penstock_store::Settings;

pub fn of(settings: &Settings) -> Client {
    let mut config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .credentials_provider(settings.credentials.clone())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .force_path_style(true);
    config.set_endpoint_url(settings.s3_endpoint.clone());
    Client::from_conf(config.build())
}
