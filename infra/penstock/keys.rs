//! `penstock keys`: managing API keys.

use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use penstock_client::{Client, Key, NewKey};
use penstock_model::{AccountId, Scope};
use penstock_store::{Store, keys};
use serde_json::json;

use crate::{
    LOCAL_ACCOUNT, help,
    interrupt::{end_when_interrupted_in_a_change, while_asking},
    service::Service,
    stack, terminal,
};

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Makes a key and prints its token, once: only its hash is stored.
    #[command(after_help = help::KEYS_CREATE)]
    Create {
        /// Whose it is to be; the account of --token if not given.
        #[arg(long)]
        account: Option<String>,
        /// What it may do: import:read, import:write, import:delete, record:delete, import:confirm, account:write,
        /// admin. Separated by commas.
        #[arg(long, value_delimiter = ',', default_value = "import:read,import:write,import:delete")]
        scopes: Vec<Scope>,
        /// What to call it.
        #[arg(long)]
        label: Option<String>,
        /// Prints the key, its token included, as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Makes a deployed stack's first key, before there is one to ask with: writes it to the stack's table, with the
    /// AWS credentials and the region that the AWS CLI would take, and prints its token, once.
    #[command(after_help = help::KEYS_BOOTSTRAP)]
    Bootstrap {
        /// The stack's name.
        #[arg(long)]
        stack: String,
        /// Whose it is to be.
        #[arg(long, default_value = LOCAL_ACCOUNT)]
        account: AccountId,
        /// What it may do.
        #[arg(long, value_delimiter = ',', default_value = "admin")]
        scopes: Vec<Scope>,
        /// What to call it.
        #[arg(long, default_value = "bootstrap")]
        label: String,
        /// Prints the key, its token included, as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Lists an account's keys, revoked ones too; never a secret.
    #[command(after_help = help::KEYS_LIST)]
    List {
        /// Whose; those of the account of --token if not given.
        #[arg(long)]
        account: Option<String>,
        /// Prints each as a JSON object on a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Revokes a key. The last admin key of its account, with which keys are managed, it revokes only when asked twice.
    #[command(after_help = help::KEYS_REVOKE)]
    Revoke {
        /// The key's id.
        id: String,
        /// Whose it is; the account of --token if not given.
        #[arg(long)]
        account: Option<String>,
        /// Revokes the last admin key too, without asking.
        #[arg(long)]
        force: bool,
        /// Prints what was done as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
}

pub(crate) async fn run(command: KeysCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeysCommand::Create { account, scopes, label, json, service } => {
            let key = service.client()?.create_key(&NewKey { account, scopes, label }).await?;
            let token = key.token.as_deref().context("the service gave no token")?;
            note!("{}, of account {}: its token is shown this once", key.id, key.account);
            if json { terminal::say_json(&key)? } else { say!("{token}") }
        }
        KeysCommand::Bootstrap { stack, account, scopes, label, json } => {
            let store = Store::new(stack::settings(&stack).await?);
            let (id, secret) = (keys::new_id(), keys::new_secret());
            let token = format!("{id}.{secret}");
            let key = store.put_key(&keys::NewKey { id, secret, account, scopes, label: Some(label) }).await?;
            let key =
                key.context("the account is being removed, and gets no key before it is gone: name another one")?;
            note!("{}, of account {}: its token is shown this once", key.id, key.account);
            if json {
                let keys::Key { id, account, scopes, label, .. } = key;
                let shown = json!({ "id": id, "account": account, "scopes": scopes, "label": label, "token": token });
                terminal::say_json(&shown)?;
            } else {
                say!("{token}");
            }
        }
        KeysCommand::List { account, json, service } => {
            for key in service.client()?.keys(account.as_deref()).await? {
                if json {
                    terminal::say_json_line(&key)?;
                    continue;
                }
                let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
                let state = if key.revoked { "revoked" } else { "active" };
                let used = key.last_used_at.as_deref().unwrap_or("never used");
                let label = key.label.as_deref().unwrap_or("");
                let scopes = scopes.join(",");
                say!("{}  {}  {}  {used:<20}  {state:<7}  {scopes}  {label}", key.id, key.account, key.created_at);
            }
        }
        KeysCommand::Revoke { id, account, force, json, service } => {
            let client = service.client()?;
            let why = if force { None } else { why_not(&client, &id, account.as_deref()).await? };
            if let Some(why) = why {
                anyhow::ensure!(terminal::has_a_person(), "{why}; --force revokes it all the same");
                note!("{why}");
                let no = format!("{id} is not revoked");
                anyhow::ensure!(while_asking(&no, || terminal::agrees("revoke it all the same?"))?, no);
                end_when_interrupted_in_a_change()?;
            }
            client.revoke_key(&id).await?;
            if json { terminal::say_json(&json!({ "id": id, "revoked": true }))? } else { say!("{id}  revoked") }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Why a key had better not be revoked: no other admin key of its account would be left, or it is not known whether one
/// would.
///
/// # Errors
/// An account was named that has no such key.
async fn why_not(client: &Client, id: &str, account: Option<&str>) -> anyhow::Result<Option<String>> {
    let keys = client.keys(account).await?;
    let Some(key) = keys.iter().find(|key| key.id == id) else {
        if let Some(account) = account {
            anyhow::bail!("the account {account} has no key {id}");
        }
        return Ok(Some(format!(
            "{id} is no key of the account of --token, and may be the last admin key of another: name that by --account"
        )));
    };
    let is_admin = |key: &Key| !key.revoked && key.scopes.contains(&Scope::Admin);
    let is_last = is_admin(key) && keys.iter().filter(|key| is_admin(key)).count() == 1;
    Ok(is_last
        .then(|| format!("{id} is the last admin key of its account: without one nobody can make or revoke keys")))
}
