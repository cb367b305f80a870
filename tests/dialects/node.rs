//! The documents' own client code, with its base URL changed and nothing else, where Node is present.

use std::process::Output;

use tokio::process::Command;

use super::support::{Stack, TOKEN};

/// Runs a script; `None` where there is no Node.
async fn node(script: &str, environment: &[(&str, &str)]) -> Option<Output> {
    let run = Command::new("node").arg("-e").arg(script).envs(environment.iter().copied()).kill_on_drop(true).output();
    match run.await {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("there is no Node here: the script is not run");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Algure's page: ids by fetch, a CSV that is joined and never quoted, a body of which the status must be exactly 201.
#[tokio::test(flavor = "multi_thread")]
async fn algures_fetch_client_works_unchanged() {
    let stack = Stack::start().await;
    let script = r#"
        const baseUrl = process.env.BASE_URL + "/v1";
        const authorization = "Basic " + Buffer.from("test:secret").toString("base64");
        function buildAlgureCsv(rows) {
          const header = ["code","description","stock","warehouseCode","locationCode","locationPriority","costPrice","packagingUnit","lot"].join(",");
          const lines = rows.map((r) => [r.code, r.description, r.stock, r.warehouseCode, r.locationCode, r.locationPriority ?? "",
            r.costPrice, r.packagingUnit, r.lot ?? ""].join(","));
          return [header, ...lines].join("\n");
        }
        (async () => {
          const createImportRes = await fetch(`${baseUrl}/products/import`, { method: "POST", headers: { Authorization: authorization } });
          if (!createImportRes.ok) throw new Error(`Create import failed: ${createImportRes.status}`);
          const productImport = await createImportRes.json();
          const rows = [1, 2, 3].map((n) => ({ code: `C-${n}`, description: n == 2 ? "long, thin" : "plain", stock: n, warehouseCode: "W",
            locationCode: "L", costPrice: 1.5, packagingUnit: 1 }));
          const csv = buildAlgureCsv(rows);
          const uploadRes = await fetch(`${baseUrl}/products/import/${productImport.id}`, {
            method: "PUT", headers: { Authorization: authorization, "Content-Type": "text/csv" }, body: csv });
          if (uploadRes.status !== 201) throw new Error(`Upload failed: ${uploadRes.status}`);
          console.log(productImport.id);
        })();
    "#;
    let Some(output) = node(script, &[("BASE_URL", stack.cloud.url())]).await else { return };
    assert!(output.status.success(), "{output:?}");
    let id = String::from_utf8(output.stdout).expect("text");
    let import = stack.ended(id.trim()).await;
    assert_eq!((import.rows.created, import.rows.failed), (2, 1));
    stack.stop().await;
}

/// Connectif's script, with Node's own fetch and form instead of the two packages it requires: polls until `finished`.
#[tokio::test(flavor = "multi_thread")]
async fn connectifs_script_ends_on_finished() {
    let stack = Stack::start().await;
    let script = r#"
        const apiKey = process.env.API_KEY;
        async function main() {
          const form = new FormData();
          form.append('type', 'contacts')
          form.append('delimiter', ',')
          form.append('overrideExisting', 'true')
          form.append('updateOnlyEmptyFields', 'false')
          form.append('file', new Blob(["_email,_name,_points\njohn@example.org,John,10\nmark@example.org,Mark,x\n"]), 'contacts.csv');
          const response = await fetch(process.env.BASE_URL + '/imports', { method: 'POST', headers: { 'Authorization': `apiKey ${apiKey}` }, body: form });
          if (!response.ok) {
            console.error(response.status, await response.json());
            process.exit(1);
          }
          const { id, total } = await response.json();
          while (true) {
            const getResponse = await fetch(`${process.env.BASE_URL}/imports/${id}`, { method: 'GET', headers: { 'Authorization': `apiKey ${apiKey}` } });
            const { success, errors, status } = await getResponse.json();
            console.log(`completed ${success + errors} of ${total}`);
            if (status === 'finished') process.exit(0);
            await new Promise(resolve => setTimeout(resolve, 20));
          }
        }
        main().catch(error => { console.error(error); process.exit(1); });
    "#;
    let Some(output) = node(script, &[("BASE_URL", stack.cloud.url()), ("API_KEY", TOKEN)]).await else { return };
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).expect("text");
    assert_eq!(printed.lines().last(), Some("completed 2 of 2"));
    stack.stop().await;
}
