//! A shop whose account has something to show on every page.

use penstock_client::{NewImport, NewKey, NewWebhook};
use penstock_model::{DeliveryState, ImportOptions, Mode, Scope, Status};
use reqwest::Method;
use serde_json::json;

use crate::support::{
    Stack,
    http::send,
    receiver::{Manner, Receiver},
    upload,
};

/// What there is to look at.
pub(crate) struct Shop {
    /// Completed, every row a good one.
    pub good: String,
    /// Ended with errors, and corrected since.
    pub bad: String,
    /// Ended with errors, and not corrected.
    pub open: String,
    /// A replace that waits to be confirmed.
    pub held: String,
    /// A review that waits to be confirmed.
    pub review: String,
    /// One whose columns tell no field.
    pub failed: String,
    /// One that awaits its upload.
    pub awaiting: String,
    pub webhook: String,
    _receiver: Receiver,
}

const THINGS: [&str; 8] = ["Lamp", "Desk", "Chair", "Shelf", "Rug", "Clock", "Mirror", "Bench"];
const COLOURS: [&str; 6] = ["oak", "walnut", "ash grey", "forest green", "sand", "midnight blue"];
const MAKERS: [&str; 4] = ["Acme", "Northwind", "Hearth & Co", "Lumen"];

/// A catalogue of so many products.
pub(crate) fn catalogue(rows: usize) -> String {
    let mut file = String::from("sku,name,brand,cost,description\n");
    for row in 0..rows {
        let (thing, colour, maker) = (THINGS[row % 8], COLOURS[row % 6], MAKERS[row % 4]);
        file.push_str(&format!("HW-{:04},{thing} in {colour},{maker},{}.90,\n", 1000 + row, 19 + row % 180));
    }
    file
}

/// The same with rows that cannot be taken, for four reasons.
pub(crate) fn catalogue_with_errors(rows: usize) -> String {
    let mut file = String::new();
    for (number, line) in catalogue(rows).lines().enumerate() {
        let mut cells: Vec<&str> = line.split(',').collect();
        match number {
            7 | 8 | 9 | 31 => cells[1] = "",
            14 | 52 => cells[3] = "on request",
            21 => cells[0] = "",
            40 => cells.truncate(3),
            _ => {}
        }
        file.push_str(&format!("{}\n", cells.join(",")));
    }
    file
}

impl Shop {
    /// Opens the shop in account `1`.
    pub(crate) async fn open(stack: &Stack) -> Self {
        let receiver = Receiver::with([Manner::Status(204), Manner::Status(500)]).await;
        let new = NewWebhook {
            url: receiver.url(),
            description: Some("Tells the warehouse".into()),
            ..NewWebhook::default()
        };
        let webhook = stack.client.create_webhook(&new).await.expect("made").id;
        let imported = async |name: &str, file: &str| stack.import_as(named(name), file.as_bytes()).await.id;
        let good = imported("spring-catalogue.csv", &catalogue(480)).await;
        let bad = imported("supplier-prices.csv", &catalogue_with_errors(96)).await;
        let mended = "_row,_line,_errors,sku,name,brand,cost\n7,8,,HW-1006,Mirror in oak,Hearth & Co,25.90\n";
        let corrects = NewImport { corrects: Some(bad.clone()), ..named("supplier-prices-mended.csv") };
        stack.import_as(corrects, mended.as_bytes()).await;
        let open = imported("summer-range.csv", &catalogue_with_errors(60)).await;
        let failed = imported("stock.csv", "Item no,Title,Maker\nAG-1,Lamp,Acme\n").await;
        assert_eq!(stack.client.import(&failed).await.expect("there").status, Status::Failed);

        let dry = NewImport {
            options: ImportOptions { dry_run: true, ..ImportOptions::default() },
            ..named("winter-range.csv")
        };
        stack.import_as(dry, catalogue_with_errors(60).as_bytes()).await;
        let quotiza =
            json!({ "account_id": "1", "products": [{ "sku": "Q-1", "name": "Vase", "brand": "Acme", "cost": 4 }] });
        let quotiza =
            stack.request(Method::POST, "/api/v1/products/import").bearer_auth(crate::support::TOKEN).json(&quotiza);
        assert!(send(quotiza).await.status < 300);
        stack.cloud.quiet().await;

        let replace = ImportOptions { mode: Mode::Replace, most_removed_percent: Some(5), ..ImportOptions::default() };
        let held = stack.waits(NewImport { options: replace, ..named("full-catalogue.csv") }, &catalogue(440)).await;
        let review = ImportOptions { review: true, ..ImportOptions::default() };
        let review = stack.waits(NewImport { options: review, ..named("autumn-range.csv") }, &catalogue(500)).await;
        let cancelled = stack.client.create(&named("mistake.csv"), None).await.expect("created").id;
        stack.client.cancel(&cancelled).await.expect("cancelled");
        let awaiting = stack.client.create(&named("tomorrow.csv"), None).await.expect("created").id;

        for fields in [
            json!([{ "name": "id" }]),
            json!([
                { "name": "id", "title": "Number" },
                { "name": "name", "constraints": { "required": true } },
                { "name": "weight", "type": "number", "description": "In kilograms" },
            ]),
        ] {
            let kind = json!({ "name": "spare-parts", "primaryKey": "id", "fields": fields });
            stack.client.put_kind(&kind).await.expect("registered");
        }
        for (label, scopes) in [
            ("nightly export of the ERP", vec![Scope::ImportRead, Scope::ImportWrite]),
            ("support", vec![Scope::ImportRead]),
        ] {
            let key = NewKey { account: None, scopes, label: Some(label.into()) };
            let key = stack.client.create_key(&key).await.expect("made");
            if label == "support" {
                stack.client.revoke_key(&key.id).await.expect("revoked");
            }
        }
        let arrived = async || {
            let page = stack.client.deliveries(&webhook, None, 100).await.expect("a page");
            let states: Vec<_> = page.deliveries.iter().map(|delivery| delivery.state).collect();
            states.contains(&DeliveryState::Delivered)
        };
        crate::support::until("an event arrives", arrived).await;
        Self { good, bad, open, held, review, failed, awaiting, webhook, _receiver: receiver }
    }
}

impl Stack {
    /// An import that comes to wait to be confirmed.
    async fn waits(&self, new: NewImport, file: &str) -> String {
        let import = self.client.create(&new, None).await.expect("created");
        assert_eq!(upload(&import, file.as_bytes()).await, 200);
        let waits =
            async || self.client.import(&import.id).await.expect("there").status == Status::AwaitingConfirmation;
        self.passes_until("it waits to be confirmed", waits).await;
        import.id
    }
}

/// An import whose file is called so.
pub(crate) fn named(filename: &str) -> NewImport {
    NewImport { filename: Some(filename.into()), ..NewImport::default() }
}
