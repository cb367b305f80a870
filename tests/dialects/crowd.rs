//! Ten clients on five dialects at once, two accounts: nothing crosses, all end, limits hold exactly.

use std::{net::Ipv4Addr, time::Duration};

use reqwest::{Client, Method, RequestBuilder, multipart};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use super::support::{
    OTHER_TOKEN, Stack, TOKEN,
    http::{Answer, send},
};

/// Good rows of each client's file; one more is bad.
const ROWS: usize = 400;

/// One account at one network address.
struct Caller<'a> {
    stack: &'a Stack,
    http: Client,
    account: &'static str,
    token: &'static str,
    /// Where the clients wait for one another when they have made their imports: no time passes before.
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

    fn ask(&self, method: Method, path: &str, credential: (&str, String)) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.stack.cloud.url())).header(credential.0, credential.1)
    }

    fn bearer(&self) -> (&'static str, String) {
        ("authorization", format!("Bearer {}", self.token))
    }

    /// What every value says.
    fn says(&self) -> String {
        format!("of account {}", self.account)
    }

    /// The status of an import that has ended, which has to be a final one.
    async fn ended(&self, id: &str, path: &str, credential: (&str, String), is_final: &[&str]) -> Value {
        self.created.wait().await;
        self.stack.ended_for(&self.stack.client_of(self.token), id).await.expect("it ends");
        let status = send(self.ask(Method::GET, path, credential)).await.json();
        assert!(is_final.contains(&status["status"].as_str().expect("a status")), "{status}");
        status
    }

    async fn algure(&self) -> Ended {
        let created = send(self.ask(Method::POST, "/v1/products/import", self.bearer())).await.json();
        let id = created["id"].as_str().expect("an id");
        let path = format!("/v1/products/import/{id}");
        let mut feed = String::from("code,description,stock,warehouseCode,locationCode,costPrice,packagingUnit\n");
        for row in 1..=ROWS {
            feed.push_str(&format!("A-{row},{},1,W,L,1,1\n", self.says()));
        }
        feed.push_str("A-0,much, too much,1,W,L,1,1\n");
        let put = self.ask(Method::PUT, &path, self.bearer()).header("content-type", "text/csv").body(feed);
        assert_eq!(send(put).await.status, 201);
        let status = self.ended(id, &path, self.bearer(), &["completed", "completed_with_errors"]).await;
        assert_eq!((&status["totalCreated"], &status["totalErrors"]), (&json!(ROWS), &json!(1)), "{status}");
        Ended { path, record: ("algure-products", "A-1,W,L,", "description") }
    }

    async fn products_manager(&self) -> Ended {
        let mut file = String::from("EAN,Titre\n42,no product\n");
        for number in 0..ROWS as u64 {
            let digits = format!("{:012}", 400_000_000_000 + number);
            let weighted = |(at, digit): (usize, u8)| u64::from(digit - b'0') * if at % 2 == 0 { 1 } else { 3 };
            let check = (10 - digits.bytes().enumerate().map(weighted).sum::<u64>() % 10) % 10;
            file.push_str(&format!("{digits}{check},{}\n", self.says()));
        }
        let form = multipart::Form::new().part("file", multipart::Part::text(file).file_name("catalog.csv"));
        let form = form.text("mapping", r#"{"EAN":"ean","Titre":"title"}"#);
        let created = send(self.ask(Method::POST, "/api/v1/imports", self.bearer()).multipart(form)).await.json();
        let id = created["id"].as_str().expect("an id");
        let path = format!("/api/v1/imports/{id}");
        let status = self.ended(id, &path, self.bearer(), &["completed", "completed_with_errors", "failed"]).await;
        assert_eq!((&status["created_rows"], &status["error_rows"]), (&json!(ROWS), &json!(1)), "{status}");
        Ended { path, record: ("productsmanager-products", "4000000000006", "title") }
    }

    async fn better_data(&self) -> Ended {
        let credential = || ("x-api-key", self.token.to_owned());
        let mut rows: Vec<Value> =
            (1..=ROWS).map(|row| json!({ "externalId": format!("A-{row}"), "name": self.says() })).collect();
        rows.push(json!({ "name": "no id" }));
        let created = self.ask(Method::POST, "/api/import/catalog", credential()).json(&json!({ "products": rows }));
        let created = send(created).await.json();
        let id = created["jobId"].as_str().expect("an id");
        let path = format!("/api/import/status/{id}");
        let status = self.ended(id, &path, credential(), &["COMPLETED", "FAILED"]).await;
        assert_eq!((&status["processedCount"], &status["failedCount"]), (&json!(ROWS + 1), &json!(1)), "{status}");
        Ended { path, record: ("catalog", "A-1", "name") }
    }

    async fn connectif(&self) -> Ended {
        let credential = || ("authorization", format!("apiKey {}", self.token));
        let mut file = String::from("_email,_name\nnobody,x\n");
        (1..=ROWS).for_each(|row| file.push_str(&format!("a{row}@example.org,{}\n", self.says())));
        let file = multipart::Part::text(file).file_name("contacts.csv");
        let form = multipart::Form::new().text("type", "contacts").text("overrideExisting", "true").part("file", file);
        let created = send(self.ask(Method::POST, "/imports", credential()).multipart(form)).await.json();
        assert_eq!(created["total"], json!(ROWS + 1), "{created}");
        let id = created["id"].as_str().expect("an id");
        let path = format!("/imports/{id}");
        let status = self.ended(id, &path, credential(), &["finished", "error"]).await;
        assert_eq!((&status["success"], &status["errors"]), (&json!(ROWS), &json!(1)), "{status}");
        Ended { path, record: ("contacts", "a1@example.org", "_name") }
    }

    async fn quotiza_import(&self) -> Answer {
        let mut products: Vec<Value> =
            (1..=ROWS).map(|row| json!({ "sku": format!("A-{row}"), "name": self.says(), "brand": "B" })).collect();
        products.push(json!({ "sku": "A-0" }));
        let body = json!({ "account_id": self.account, "products": products });
        send(self.ask(Method::POST, "/api/v1/products/import", self.bearer()).json(&body)).await
    }

    /// Six imports at once, of which five are let through; the sixth is told when to come again.
    async fn quotiza(&self) -> Ended {
        let answers = futures::future::join_all((0..6).map(|_| self.quotiza_import())).await;
        let (taken, refused): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(|answer| answer.status == 202);
        assert_eq!((taken.len(), refused.len()), (5, 1), "account {}", self.account);
        let seconds: u64 = refused[0].header("retry-after").expect("a wait").parse().expect("seconds");
        assert_eq!((refused[0].status, (1..=60).contains(&seconds)), (429, true), "{seconds}");
        let id = taken[0].json()["job_id"].as_str().expect("an id").to_owned();
        let path = format!("/api/v1/products/import_status?account_id={}&job_id={id}", self.account);
        let status = self.ended(&id, &path, self.bearer(), &["completed", "failed"]).await;
        assert_eq!((&status["successes"], &status["failures"]), (&json!(ROWS), &json!(1)), "{status}");
        Ended {
            path: path.replace(&format!("account_id={}", self.account), "account_id=THEIRS"),
            record: ("products", "A-1", "name"),
        }
    }
}

/// What a client leaves.
struct Ended {
    /// Where its import's status is.
    path: String,
    /// A record that both accounts have: its kind, its key, and the field that says whose it is.
    record: (&'static str, &'static str, &'static str),
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_clients_on_five_dialects_at_once_stay_apart_and_end() {
    let stack = Stack::start().await;
    let created = Barrier::new(10);
    let one = Caller::new(&stack, &created, "1", TOKEN, [127, 0, 0, 1]);
    let two = Caller::new(&stack, &created, "2", OTHER_TOKEN, [127, 0, 0, 2]);
    let all = async |caller: &Caller<'_>| {
        let dialects = tokio::join!(
            caller.algure(),
            caller.products_manager(),
            caller.better_data(),
            caller.connectif(),
            caller.quotiza(),
        );
        <[Ended; 5]>::from(dialects)
    };
    let (ended_one, ended_two) = tokio::join!(all(&one), all(&two));
    for (caller, other, ended) in [(&one, &two, &ended_one), (&two, &one, &ended_two)] {
        let client = stack.client_of(caller.token);
        for Ended { path, record: (kind, key, field) } in ended {
            let record = client.record(kind, key).await.expect("answers").expect("there");
            assert_eq!(record["fields"][field], caller.says(), "{kind}/{key}");
            let theirs = path.replace("THEIRS", other.account);
            let foreign = send(other.ask(Method::GET, &theirs, other.bearer())).await;
            assert_eq!(foreign.status, 404, "{path}");
        }
        // Nine imports and no other: of those that were refused there is none.
        let imports = client.list(None, 100).await.expect("answers").imports;
        assert_eq!(imports.len(), 9);
        for import in imports {
            let ended = stack.ended_for(&client, &import.id).await.expect("it ends");
            assert_eq!((ended.rows.failed, ended.rows.total), (1, Some(ROWS as u64 + 1)), "{ended:?}");
        }
    }
    // The limit of an account holds from another address too, and that of an address for another account; after the window neither does.
    let elsewhere = Caller::new(&stack, &created, "1", TOKEN, [127, 0, 0, 3]);
    let in_its_place = Caller::new(&stack, &created, "2", OTHER_TOKEN, [127, 0, 0, 1]);
    stack.pass(Duration::from_secs(60)).await;
    for _ in 0..5 {
        assert_eq!(one.quotiza_import().await.status, 202);
    }
    assert_eq!((elsewhere.quotiza_import().await.status, in_its_place.quotiza_import().await.status), (429, 429));
    assert_eq!(two.quotiza_import().await.status, 202);
    stack.pass(Duration::from_secs(60)).await;
    assert_eq!((elsewhere.quotiza_import().await.status, in_its_place.quotiza_import().await.status), (202, 202));
    stack.stop().await;
}
