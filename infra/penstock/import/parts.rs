//! A large file on its way in parts, each of which is sent again until it has arrived: a line that breaks every minute
//! costs a part each time, not the file.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use penstock_client::{Client, ClientError, PartUrl, TakenPart};
use penstock_model::limits::{PART_URLS, PARTS, PARTS_ABOVE_BYTES, SENT_PART_BYTES};
use tokio::sync::mpsc;

use crate::source::Source;

/// How often a request is made before it is given up.
const TRIES: u32 = 12;

/// The pause after a request that failed: the first, and no longer than this. Twelve tries take some three minutes of
/// pauses.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The parts of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    file_bytes: u64,
    part_bytes: u64,
    count: u32,
}

impl Parts {
    /// The parts of a file of so many bytes; `None` if it goes up in one piece.
    pub(super) fn of(file_bytes: u64) -> Option<Self> {
        if file_bytes <= PARTS_ABOVE_BYTES {
            return None;
        }
        let part_bytes = SENT_PART_BYTES.max(file_bytes.div_ceil(PARTS.into()));
        let count = u32::try_from(file_bytes.div_ceil(part_bytes)).expect("no more than there may be");
        Some(Self { file_bytes, part_bytes, count })
    }

    /// Where a part begins, and how many bytes it has.
    fn place(&self, number: u32) -> (u64, u64) {
        let offset = u64::from(number - 1) * self.part_bytes;
        (offset, self.part_bytes.min(self.file_bytes - offset))
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} parts of {} bytes", self.count, self.part_bytes)
    }
}

/// A file that is being sent in parts.
pub(super) struct Sending<'a> {
    client: &'a Client,
    id: &'a str,
    source: &'a Source,
    parts: Parts,
    /// The bytes of the file that have been sent, counted as they go.
    sent: &'a Arc<AtomicU64>,
    /// Takes what people are to know.
    say: mpsc::UnboundedSender<String>,
    urls: BTreeMap<u32, PartUrl>,
}

impl<'a> Sending<'a> {
    pub(super) fn new(
        client: &'a Client,
        id: &'a str,
        source: &'a Source,
        parts: Parts,
        sent: &'a Arc<AtomicU64>,
        say: mpsc::UnboundedSender<String>,
    ) -> Self {
        Self { client, id, source, parts, sent, say, urls: BTreeMap::new() }
    }

    /// Sends every part, and makes them the import's file if the file is still what it was.
    ///
    /// # Errors
    /// The file has changed, or a request was refused, or failed for the last time.
    pub(super) async fn all(mut self) -> anyhow::Result<()> {
        let mut taken = Vec::with_capacity(self.parts.count as usize);
        for number in 1..=self.parts.count {
            taken.push(self.part(number).await.with_context(|| format!("part {number} of {}", self.parts.count))?);
        }
        self.source.is_unchanged("uploaded")?;
        let mut tries = Tries::new();
        loop {
            match self.client.complete(self.id, &taken).await {
                Ok(_) => return Ok(()),
                // One whose answer was lost has had its effect, which a repeat finds.
                Err(error) if error.is_transient() => {
                    self.pause("the parts are not put together", error, &mut tries).await?
                }
                Err(error) => return Err(error).context("the parts were not put together"),
            }
        }
    }

    async fn part(&mut self, number: u32) -> anyhow::Result<TakenPart> {
        let (offset, bytes) = self.parts.place(number);
        // Read once: what is sent again is the same.
        let content = self.source.part(offset, bytes).await?;
        let mut tries = Tries::new();
        loop {
            self.sent.store(offset, Ordering::Relaxed);
            let tried = async {
                let url = self.url(number).await?;
                self.client.upload_part(&url, content.clone(), self.sent).await
            };
            match tried.await {
                Ok(taken) => return Ok(taken),
                // A URL that has expired is signed anew.
                Err(error) if error.is_transient() || error.is_forbidden_upload() => {
                    if error.is_forbidden_upload() {
                        self.urls.clear();
                    }
                    self.pause(&format!("part {number} of {}", self.parts.count), error, &mut tries).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The URL of a part; of those that follow too, so that one request serves many.
    async fn url(&mut self, number: u32) -> Result<PartUrl, ClientError> {
        if !self.urls.contains_key(&number) {
            let numbers: Vec<u32> = (number..=self.parts.count).take(PART_URLS).collect();
            let signed = self.client.part_urls(self.id, &numbers).await?.parts;
            self.urls = signed.into_iter().map(|part| (part.number, part)).collect();
        }
        Ok(self.urls.get(&number).cloned().expect("the client gives every URL that was asked for"))
    }

    async fn pause(&self, what: &str, error: ClientError, tries: &mut Tries) -> anyhow::Result<()> {
        let Some(pause) = tries.next() else {
            return Err(anyhow::Error::from(error).context(format!("given up after {TRIES} tries")));
        };
        // Nobody listens where the import is given up.
        let _ = self.say.send(format!("{what}: {error}: trying again in {:.1} s", pause.as_secs_f64()));
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// The pauses between the tries of one request, each twice as long as the one before.
struct Tries {
    made: u32,
}

impl Tries {
    fn new() -> Self {
        Self { made: 0 }
    }
}

impl Iterator for Tries {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.made += 1;
        (self.made < TRIES).then(|| (FIRST_PAUSE * 2u32.pow(self.made - 1)).min(LONGEST_PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use penstock_model::limits::{PART_LEAST_BYTES, UPLOAD_BYTES};

    use super::*;

    #[test]
    fn parts_cover_the_file_and_are_as_many_and_as_large_as_there_may_be() {
        assert_eq!(Parts::of(PARTS_ABOVE_BYTES), None);
        for bytes in [PARTS_ABOVE_BYTES + 1, 9 * SENT_PART_BYTES, UPLOAD_BYTES, 100_000 * SENT_PART_BYTES + 1] {
            let parts = Parts::of(bytes).expect("it is large");
            assert!(parts.count <= PARTS, "{parts}");
            let mut end = 0;
            for number in 1..=parts.count {
                let (offset, length) = parts.place(number);
                assert_eq!(offset, end, "{number} of {parts}");
                assert!(length > 0 && (length >= PART_LEAST_BYTES || number == parts.count), "{number} of {parts}");
                end += length;
            }
            assert_eq!(end, bytes, "{parts}");
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_end() {
        let pauses: Vec<Duration> = Tries::new().collect();
        assert_eq!(pauses.len() as u32, TRIES - 1);
        assert_eq!(pauses[..3], [1, 2, 4].map(|times| FIRST_PAUSE * times));
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE));
    }
}
