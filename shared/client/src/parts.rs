//! Uploads in parts: each part is a request of its own, which can be sent again alone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::stream;
use md5::{Digest, Md5};
use reqwest::Method;
use serde_json::json;

use crate::{
    Body, Client, ClientError, Import, PartUrl, PartUrls, Result, TakenPart, done, encoded, read, storage_refusal,
};

/// Bytes of a part that are handed to the connection at once.
const PIECE_BYTES: usize = 64 * 1024;

/// How long a connection may take no byte of a part, or the storage may be silent after the last one.
const QUIET: Duration = Duration::from_secs(60);

impl Client {
    /// URLs for these parts of an import's file. The first call begins the upload; a repeat gives URLs of the same.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn part_urls(&self, id: &str, numbers: &[u32]) -> Result<PartUrls> {
        let request = self.request(Method::POST, &format!("/v1/imports/{}/parts", encoded(id)));
        let urls: PartUrls = read(request.json(&json!({ "numbers": numbers })).send().await?).await?;
        let is_given = |number: &u32| urls.parts.iter().any(|part| part.number == *number);
        if numbers.iter().all(is_given) { Ok(urls) } else { Err(ClientError::Lacking("a part's URL")) }
    }

    /// Sends a part, `sent` counting its bytes as they go. The storage compares them with their MD5 and takes no part
    /// that was damaged on its way. A repeat stores the same part again.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Stalled`] where nothing moves for a minute.
    pub async fn upload_part(&self, part: &PartUrl, content: Bytes, sent: &Arc<AtomicU64>) -> Result<TakenPart> {
        self.send_part(part, content, sent, QUIET).await
    }

    async fn send_part(
        &self,
        part: &PartUrl,
        content: Bytes,
        sent: &Arc<AtomicU64>,
        quiet: Duration,
    ) -> Result<TakenPart> {
        let moved = Arc::new(AtomicU64::new(0));
        let mut request = self
            .http(&part.url)
            .put(&part.url)
            .header("content-length", content.len())
            .header("content-md5", STANDARD.encode(Md5::digest(&content)))
            .body(counted(content, sent, &moved));
        for (name, value) in &part.headers {
            request = request.header(name, value);
        }
        let answered = async {
            let response = request.send().await?;
            if !response.status().is_success() {
                return Err(storage_refusal(response).await);
            }
            let etag = response.headers().get("etag").and_then(|etag| etag.to_str().ok()).unwrap_or_default();
            Ok(TakenPart { number: part.number, etag: etag.to_owned() })
        };
        tokio::select! {
            answered = answered => answered,
            () = stands_still(&moved, quiet) => Err(ClientError::Stalled { seconds: quiet.as_secs() }),
        }
    }

    /// Makes the parts, all of the file in their order, the import's file. A repeat gives the import as it is then.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn complete(&self, id: &str, parts: &[TakenPart]) -> Result<Import> {
        let request = self.request(Method::POST, &format!("/v1/imports/{}/complete", encoded(id)));
        read(request.json(&json!({ "parts": parts })).send().await?).await
    }

    /// Removes the parts of an import's file; the import awaits its upload as if none had been sent. A repeat changes
    /// nothing.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn give_up_parts(&self, id: &str) -> Result<()> {
        done(self.request(Method::DELETE, &format!("/v1/imports/{}/parts", encoded(id))).send().await?).await
    }
}

/// Bytes as a body that counts them as they go.
fn counted(content: Bytes, sent: &Arc<AtomicU64>, moved: &Arc<AtomicU64>) -> Body {
    let (sent, moved) = (sent.clone(), moved.clone());
    let pieces = stream::unfold(content, move |mut rest| {
        let piece = rest.split_to(rest.len().min(PIECE_BYTES));
        let bytes = piece.len() as u64;
        sent.fetch_add(bytes, Ordering::Relaxed);
        moved.fetch_add(bytes, Ordering::Relaxed);
        async move { (bytes > 0).then_some((Ok::<_, std::io::Error>(piece), rest)) }
    });
    Body::wrap_stream(pieces)
}

/// Resolves when a count has not changed for so long.
async fn stands_still(count: &AtomicU64, quiet: Duration) {
    let mut before = None;
    loop {
        let now = count.load(Ordering::Relaxed);
        if before == Some(now) {
            return;
        }
        before = Some(now);
        tokio::time::sleep(quiet).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn a_storage_that_takes_nothing_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/part", listener.local_addr().expect("an address"));
        let client = Client::new(&url, "id.secret").expect("a client");
        let part = PartUrl { number: 7, method: "PUT".into(), url, headers: std::collections::BTreeMap::new() };
        let sent = Arc::new(AtomicU64::new(0));
        // More than the connection's buffers hold.
        let content = Bytes::from(vec![b'x'; 64 << 20]);
        let quiet = Duration::from_millis(200);
        let (tried, mut connection) = tokio::join!(client.send_part(&part, content.clone(), &sent, quiet), async {
            listener.accept().await.expect("a connection").0
        });
        assert!(matches!(tried, Err(ClientError::Stalled { .. })), "{tried:?}");
        assert!(tried.is_err_and(|error| error.is_transient()));
        assert!(sent.load(Ordering::Relaxed) < content.len() as u64);
        // It was really on its way, with what tells the storage whether it is whole.
        let mut head = vec![0; 4096];
        let read = connection.read(&mut head).await.expect("bytes");
        let head = String::from_utf8_lossy(&head[..read]).into_owned();
        let md5 = STANDARD.encode(Md5::digest(&content));
        assert!(head.starts_with("PUT /part ") && head.contains(&format!("content-md5: {md5}")), "{head}");
        assert!(head.contains(&format!("content-length: {}", content.len())), "{head}");
    }
}
