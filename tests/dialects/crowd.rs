//! The clients of two accounts on every dialect at once: nothing crosses, every import ends, limits hold exactly.

use std::{net::Ipv4Addr, time::Duration};

use futures::future::join_all;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tokio::sync::Barrier;

use super::{
    DOCUMENTS, quotiza,
    support::{OTHER_TOKEN, Stack, TOKEN, http::send},
};

/// Good rows of each client's file. One more row is bad.
pub(crate) const ROWS: usize = 400;

/// One account at one network address.
pub(crate) struct Caller<'a> {
    pub(crate) stack: &'a Stack,
    http: Client,
    pub(crate) account: &'static str,
    pub(crate) token: &'static str,
    /// Where the clients wait for one another when they have created their imports: no time passes before.
    created: &'a Barrier,
}

impl<'a> Caller<'a> {
    fn new(
        stack: &'a Stack,
        created: &'a Barrier,
        account: &'static str,
        token: &'static str,
        address: [u8; 4],
    ) -> Self {
        let http = Client::builder().local_address(std::net::IpAddr::from(Ipv4Addr::from(address)));
        Self { stack, http: http.build().expect("a client"), account, token, created }
    }

    pub(crate) fn ask(&self, method: Method, path: &str, credential: (&str, String)) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.stack.cloud.url())).header(credential.0, credential.1)
    }

    pub(crate) fn bearer(&self) -> (&'static str, String) {
        ("authorization", format!("Bearer {}", self.token))
    }

    /// The text of every value that this account imports.
    pub(crate) fn says(&self) -> String {
        format!("of account {}", self.account)
    }

    /// The status of an import that has ended, which has to be a final one.
    pub(crate) async fn ended(&self, id: &str, path: &str, credential: (&str, String), is_final: &[&str]) -> Value {
        self.created.wait().await;
        self.stack.ended_for(&self.stack.client_of(self.token), id).await.expect("it ends");
        let status = send(self.ask(Method::GET, path, credential)).await.json();
        assert!(is_final.contains(&status["status"].as_str().expect("a status")), "{status}");
        status
    }
}

/// What a client leaves behind.
pub(crate) struct Ended {
    /// The path of the status of its import; `THEIRS` stands for the account that asks.
    pub(crate) path: String,
    /// How many imports it created.
    pub(crate) imports: usize,
    /// A record that both accounts have: its kind, its key, and the field that tells whose it is.
    pub(crate) record: (&'static str, &'static str, &'static str),
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_of_two_accounts_on_every_dialect_stay_apart_and_end() {
    let stack = Stack::start().await;
    let created = Barrier::new(2 * DOCUMENTS.len());
    let one = Caller::new(&stack, &created, "1", TOKEN, [127, 0, 0, 1]);
    let two = Caller::new(&stack, &created, "2", OTHER_TOKEN, [127, 0, 0, 2]);
    let all = async |caller| join_all(DOCUMENTS.iter().map(|document| (document.client)(caller))).await;
    let (ended_one, ended_two) = tokio::join!(all(&one), all(&two));
    for (caller, other, ended) in [(&one, &two, &ended_one), (&two, &one, &ended_two)] {
        let client = stack.client_of(caller.token);
        for Ended { path, record: (kind, key, field), .. } in ended {
            let record = client.record(kind, key).await.expect("answers").expect("there");
            assert_eq!(record["fields"][field], caller.says(), "{kind}/{key}");
            let theirs = path.replace("THEIRS", other.account);
            let foreign = send(other.ask(Method::GET, &theirs, other.bearer())).await;
            assert_eq!(foreign.status, 404, "{path}");
        }
        // No import but those: a refused request has created none.
        let imports = client.list(None, 100).await.expect("answers").imports;
        assert_eq!(imports.len(), ended.iter().map(|ended| ended.imports).sum::<usize>());
        for import in imports {
            let ended = stack.ended_for(&client, &import.id).await.expect("it ends");
            assert_eq!((ended.rows.failed, ended.rows.total), (1, Some(ROWS as u64 + 1)), "{ended:?}");
        }
    }
    // The limit of an account holds from another address too, and that of an address for another account; after the
    // window neither does.
    let elsewhere = Caller::new(&stack, &created, "1", TOKEN, [127, 0, 0, 3]);
    let in_its_place = Caller::new(&stack, &created, "2", OTHER_TOKEN, [127, 0, 0, 1]);
    stack.pass(Duration::from_secs(60)).await;
    for _ in 0..5 {
        assert_eq!(quotiza::import(&one).await.status, 202);
    }
    assert_eq!((quotiza::import(&elsewhere).await.status, quotiza::import(&in_its_place).await.status), (429, 429));
    assert_eq!(quotiza::import(&two).await.status, 202);
    stack.pass(Duration::from_secs(60)).await;
    assert_eq!((quotiza::import(&elsewhere).await.status, quotiza::import(&in_its_place).await.status), (202, 202));
    stack.stop().await;
}
