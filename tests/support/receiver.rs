//! Receivers of events: servers on this machine that answer as a test wants, and remember what came.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use penstock_model::EventMessage;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

/// What a receiver does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Answers with this status.
    Status(u16),
    /// Answers 503 and asks to be left alone for so many seconds.
    RetryAfter(u64),
    /// Answers that the event goes to another place: to itself, with another path.
    Redirect,
    /// Closes the connection before it reads.
    Down,
    /// Reads the request and closes the connection.
    Cut,
    /// Reads the request and never answers.
    Slow,
    /// Answers with this status once it is let go.
    Held(u16),
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Came {
    pub path: String,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Came {
    pub fn message(&self) -> EventMessage {
        serde_json::from_slice(&self.body).expect("an event")
    }

    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }
}

#[derive(Default)]
struct State {
    /// What it does with the next requests; when there is nothing left, it answers 204.
    manners: VecDeque<Manner>,
    came: Vec<Came>,
    let_go: Arc<Notify>,
}

/// A receiver; it stops when it is dropped.
pub struct Receiver {
    port: u16,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// One that answers 204.
    pub async fn start() -> Self {
        Self::with([]).await
    }

    /// One that does so with the first requests, and then answers 204.
    pub async fn with(manners: impl IntoIterator<Item = Manner>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(Mutex::new(State { manners: manners.into_iter().collect(), ..State::default() }));
        let server = tokio::spawn(serve(listener, state.clone()));
        Self { port, state, server }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/events", self.port)
    }

    /// What it does with the next requests, instead of what it was to do.
    pub fn set(&self, manners: impl IntoIterator<Item = Manner>) {
        lock(&self.state).manners = manners.into_iter().collect();
    }

    /// Has the request answered that is held, or the next one.
    pub fn let_go(&self) {
        lock(&self.state).let_go.notify_one();
    }

    /// What came whole, the oldest first.
    pub fn came(&self) -> Vec<Came> {
        lock(&self.state).came.clone()
    }

    /// How often each event came.
    pub fn ids(&self) -> BTreeMap<String, usize> {
        let mut ids = BTreeMap::new();
        self.came().iter().for_each(|came| *ids.entry(came.id().to_owned()).or_default() += 1);
        ids
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, state.clone()));
    }
}

async fn answer(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let manner = lock(&state).manners.pop_front().unwrap_or(Manner::Status(204));
    if manner == Manner::Down {
        return;
    }
    let Some(came) = read(&mut stream).await else { return };
    lock(&state).came.push(came);
    let answer = match manner {
        Manner::Down | Manner::Cut => return,
        Manner::Slow => {
            // Until the sender gives it up.
            let _ = tokio::time::timeout(Duration::from_secs(60), stream.read_u8()).await;
            return;
        }
        Manner::Held(status) => {
            let let_go = lock(&state).let_go.clone();
            let_go.notified().await;
            format!("HTTP/1.1 {status} Told\r\ncontent-length: 0\r\n\r\n")
        }
        Manner::Status(status) => format!("HTTP/1.1 {status} Told\r\ncontent-length: 0\r\n\r\n"),
        Manner::RetryAfter(seconds) => {
            format!("HTTP/1.1 503 Later\r\nretry-after: {seconds}\r\ncontent-length: 5\r\n\r\nlater")
        }
        Manner::Redirect => "HTTP/1.1 301 Moved\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".to_owned(),
    };
    // Whoever has gone gets no answer.
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// A request with a body of a stated length; nothing of one that breaks off.
async fn read(stream: &mut TcpStream) -> Option<Came> {
    let (mut bytes, mut head_end) = (Vec::new(), None);
    loop {
        let head_end = match head_end {
            Some(end) => end,
            None => match bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => *head_end.insert(end),
                None => {
                    (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
                    continue;
                }
            },
        };
        let head = std::str::from_utf8(&bytes[..head_end]).ok()?;
        let mut lines = head.split("\r\n");
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers: BTreeMap<String, String> =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let length: usize = headers.get("content-length")?.parse().ok()?;
        let body = head_end + 4;
        if bytes.len() >= body + length {
            return Some(Came { path, headers, body: bytes[body..body + length].to_vec() });
        }
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    }
}
