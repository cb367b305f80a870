//! The local cloud's S3, as somebody with the functions' own credentials sees it.

use aws_sdk_s3::{Client, config::retry::RetryConfig, types::EncodingType};
use penstock_store::versions::decoded;

use super::{Stack, s3_client};

/// A client of a stack's S3.
pub fn s3(stack: &Stack) -> Client {
    s3_client::of(stack.cloud.store().settings())
}

/// The multipart uploads that are under way in the bucket of uploads, by their ids, whatever import they are of.
pub async fn uploads_under_way(stack: &Stack) -> Vec<String> {
    under_way(stack, &stack.cloud.store().settings().uploads_bucket).await
}

/// Those in the bucket of results.
pub async fn results_under_way(stack: &Stack) -> Vec<String> {
    under_way(stack, &stack.cloud.store().settings().results_bucket).await
}

async fn under_way(stack: &Stack, bucket: &str) -> Vec<String> {
    let listed = s3(stack).list_multipart_uploads().bucket(bucket).send().await.expect("S3 lists them");
    assert_ne!(listed.is_truncated(), Some(true));
    listed.uploads().iter().filter_map(|upload| upload.upload_id().map(str::to_owned)).collect()
}

/// The versions under a key of the bucket of uploads, the newest first.
pub async fn versions(stack: &Stack, key: &str) -> Vec<String> {
    let bucket = &stack.cloud.store().settings().uploads_bucket;
    let mut versions = Vec::new();
    let mut after = None;
    loop {
        let page = s3(stack).list_object_versions().bucket(bucket).prefix(key);
        let page = match after.take() {
            Some((key, version)) => page.key_marker(key).version_id_marker(version),
            None => page,
        };
        let page = page.send().await.expect("S3 lists them");
        versions.extend(page.versions().iter().filter_map(|version| version.version_id().map(str::to_owned)));
        match (page.next_key_marker, page.next_version_id_marker) {
            (Some(key), Some(version)) => after = Some((key, version)),
            _ => return versions,
        }
    }
}

/// Stores a file under a key of the bucket of uploads, as somebody does whom the operator lets; its version.
pub async fn put(stack: &Stack, key: &str, file: &[u8]) -> String {
    let bucket = &stack.cloud.store().settings().uploads_bucket;
    let stored = s3(stack).put_object().bucket(bucket).key(key).body(file.to_vec().into()).send().await;
    stored.expect("stored").version_id.expect("the bucket keeps versions")
}

/// The same as somebody does whose request may be refused, or whose answer be cut: where nothing is stored, it is sent
/// again.
pub async fn put_through(seed: u64, stack: &Stack, key: &str, file: &[u8]) {
    let bucket = &stack.cloud.store().settings().uploads_bucket;
    // A client that tries again by itself would store two versions, which are two files.
    let s3 = s3(stack);
    let once = || aws_sdk_s3::config::Config::builder().retry_config(RetryConfig::disabled());
    for tries in 0.. {
        assert!(tries < 50, "seed {seed}: {key} is not stored");
        let put = s3.put_object().bucket(bucket).key(key).body(file.to_vec().into()).customize();
        if put.config_override(once()).send().await.is_ok() {
            return;
        }
        let listed = loop {
            if let Ok(listed) = s3.list_object_versions().bucket(bucket).prefix(key).send().await {
                break listed;
            }
        };
        if !listed.versions().is_empty() {
            return;
        }
    }
}

/// The keys and versions in the bucket of uploads whose keys begin so, whatever characters those hold.
pub async fn listed(stack: &Stack, prefix: &str) -> Vec<(String, String)> {
    let bucket = &stack.cloud.store().settings().uploads_bucket;
    let page = s3(stack).list_object_versions().bucket(bucket).prefix(prefix).encoding_type(EncodingType::Url);
    let page = page.send().await.expect("S3 lists them");
    assert_ne!(page.is_truncated(), Some(true));
    let listed = page.versions().iter().filter_map(|version| Some((decoded(version.key()?)?, version.version_id()?)));
    listed.map(|(key, version)| (key, version.to_owned())).collect()
}

/// Stores so many versions under a key of the bucket of uploads.
pub async fn put_versions(stack: &Stack, key: &str, count: usize) {
    let bucket = &stack.cloud.store().settings().uploads_bucket;
    let s3 = s3(stack);
    let numbers: Vec<usize> = (0..count).collect();
    for group in numbers.chunks(50) {
        let put = |number: &usize| {
            s3.put_object().bucket(bucket).key(key).body(number.to_string().into_bytes().into()).send()
        };
        for stored in futures::future::join_all(group.iter().map(put)).await {
            stored.expect("stored");
        }
    }
}

/// The keys of the rejected rows files that there are.
pub async fn rejected_files(stack: &Stack) -> Vec<String> {
    let bucket = &stack.cloud.store().settings().results_bucket;
    let page = s3(stack).list_objects_v2().bucket(bucket).prefix("rejected/").send().await.expect("S3 lists them");
    page.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
}
