//! `penstock keys`: managing API keys.

use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use penstock_client::NewKey;
use penstock_model::{AccountId, Scope};
use penstock_store::{Store, keys};

use crate::{LOCAL_ACCOUNT, Service, stack};

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Makes a key and prints its token, once: only its hash is stored.
    Create {
        /// Whose it is to be; the account of --token if not given.
        #[arg(long)]
        account: Option<String>,
        /// What it may do: import:read, import:write, import:delete, admin. Separated by commas.
        #[arg(long, value_delimiter = ',', default_value = "import:read,import:write,import:delete")]
        scopes: Vec<Scope>,
        /// What to call it.
        #[arg(long)]
        label: Option<String>,
        #[command(flatten)]
        service: Service,
    },
    /// Makes a deployed stack's first key, before there is one to ask with: writes it to the stack's table, with the AWS credentials and the
    /// region of the environment, and prints its token, once.
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
    },
    /// Lists an account's keys, revoked ones too; never a secret.
    List {
        /// Whose; those of the account of --token if not given.
        #[arg(long)]
        account: Option<String>,
        #[command(flatten)]
        service: Service,
    },
    /// Revokes a key.
    Revoke {
        /// The key's id.
        id: String,
        #[command(flatten)]
        service: Service,
    },
}

pub(crate) async fn run(command: KeysCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeysCommand::Create { account, scopes, label, service } => {
            let key = service.client()?.create_key(&NewKey { account, scopes, label }).await?;
            let token = key.token.context("the service gave no token")?;
            eprintln!("{}, of account {}: its token is shown this once", key.id, key.account);
            say!("{token}");
        }
        KeysCommand::Bootstrap { stack, account, scopes, label } => {
            let store = Store::new(stack::settings(&stack).await?);
            let (id, secret) = (keys::new_id(), keys::new_secret());
            let token = format!("{id}.{secret}");
            let key = store.put_key(&keys::NewKey { id, secret, account, scopes, label: Some(label) }).await?;
            eprintln!("{}, of account {}: its token is shown this once", key.id, key.account);
            println!("{token}");
        }
        KeysCommand::List { account, service } => {
            for key in service.client()?.keys(account.as_deref()).await? {
                let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
                let state = if key.revoked { "revoked" } else { "active" };
                let label = key.label.as_deref().unwrap_or("");
                say!("{}  {}  {}  {state:<7}  {}  {label}", key.id, key.account, key.created_at, scopes.join(","));
            }
        }
        KeysCommand::Revoke { id, service } => {
            service.client()?.revoke_key(&id).await?;
            say!("{id}  revoked");
        }
    }
    Ok(ExitCode::SUCCESS)
}
