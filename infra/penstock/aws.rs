//! AWS credentials and region as the AWS SDKs and the AWS CLI find them (AWS SDKs and Tools Reference Guide,
//! "Standardized credential providers").

use anyhow::Context;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

/// Whose requests the command sends, and where to.
pub(crate) struct Aws {
    pub(crate) region: String,
    /// Whoever holds it asks it again before what it gave ends.
    pub(crate) credentials: SharedCredentialsProvider,
}

/// What is found first of the environment, the profile (`AWS_PROFILE`; keys, IAM Identity Center, a role, a process), a
/// web identity, a container's role and an instance's role; the region by the environment, the profile and the
/// instance.
///
/// # Errors
/// None of them gives a region, or credentials.
pub(crate) async fn found() -> anyhow::Result<Aws> {
    let chain = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(penstock_store::https());
    let config = chain.load().await;
    let region = config.region().map(Region::to_string).filter(|region| !region.is_empty());
    let region = region.context("no AWS region is set: set AWS_REGION, or `region` in the profile of AWS_PROFILE")?;
    let credentials = config.credentials_provider().context("no AWS credentials are asked for")?;
    // So that a start without any says so at once.
    credentials.provide_credentials().await.context(
        "no AWS credentials are found in the environment, the profile of AWS_PROFILE, a web identity, nor the role of a \
         container or an instance",
    )?;
    Ok(Aws { region, credentials })
}
