//! Clients that open connections and send nothing do not shut out those that ask.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{Stack, TOKEN, lines::Lines};

/// More than a process may open of files, the limit of most systems.
const SILENT: usize = 1_100;
const DESCRIPTORS: usize = 1_024;

/// Well within the time that a silent client has: nobody waits for them to be given up.
const SOON: Duration = Duration::from_secs(15);

/// `penstock dev` or `penstock serve` with as many descriptors as a shell gives, until it is dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(command: &str, environment: &[(String, String)]) -> Self {
        let script = format!("ulimit -n {DESCRIPTORS} && exec \"$0\" {command} --listen 127.0.0.1:0");
        let mut child = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_penstock")])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let line = Lines::of(child.stdout.take().expect("piped")).next().expect("a line");
        let address = line.trim().rsplit_once("http://").and_then(|(_, address)| address.parse().ok());
        Self { address: address.unwrap_or_else(|| panic!("no address: {line:?}")), child }
    }

    fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        // A server may have closed it already.
        let _ = stream.write_all(text.as_bytes());
        stream
    }

    /// `/health` answers, within [`SOON`].
    fn is_healthy(&self) {
        let started = Instant::now();
        let mut stream = self.send("GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"status":"ok"}"#), "{answer}");
        println!("healthy after {:?}", started.elapsed());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This process opens as many connections as a server gets.
fn open_many() {
    let limit = getrlimit(Resource::Nofile);
    let enough = limit.maximum.is_none_or(|most| most >= 4 * DESCRIPTORS as u64);
    assert!(enough, "this test opens {SILENT} connections, and the system allows {:?} files", limit.maximum);
    setrlimit(
        Resource::Nofile,
        Rlimit { current: limit.maximum.map(|most| most.min(65_536)).or(Some(65_536)), ..limit },
    )
    .expect("a limit may be raised to its maximum");
}

/// Half-open connections of every sort, each held to the end.
fn withstands(server: &Server) {
    let body = format!(
        "POST /v1/imports HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: 100\r\n\r\n{{"
    );
    for silent in ["", "GET /health HTTP/1.1\r\nhost: loc", &body] {
        let held: Vec<TcpStream> = (0..SILENT).map(|_| server.send(silent)).collect();
        server.is_healthy();
        drop(held);
    }
}

#[test]
fn the_local_cloud_answers_beside_more_half_open_requests_than_it_has_descriptors() {
    open_many();
    let server = Server::start("dev --key test:secret", &[]);
    withstands(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_answers_beside_more_half_open_requests_than_it_has_descriptors() {
    open_many();
    let stack = Stack::start().await;
    let environment = stack.cloud.environment().to_vec();
    let run = tokio::task::spawn_blocking(move || withstands(&Server::start("serve", &environment)));
    run.await.expect("it withstands");
    stack.stop().await;
}
