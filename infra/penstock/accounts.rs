//! `penstock accounts`: listing and removing accounts.

use std::{process::ExitCode, time::Instant};

use clap::Subcommand;
use penstock_client::{Account, AccountRemoval};
use penstock_model::{AccountRemovalStage, RemovedCounts};

use crate::{
    follow, help,
    interrupt::{Interrupts, end_when_interrupted_in_a_change, while_asking},
    service::{Asked, Service},
    terminal,
};

/// Items of a page.
const PAGE: usize = 20;

#[derive(Subcommand)]
pub(crate) enum AccountsCommand {
    /// Lists accounts by name, with what they have.
    #[command(after_help = help::ACCOUNTS_LIST)]
    List {
        /// Prints each as a JSON object on a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Removes an account with all that is stored of it: keys, imports, files, records, kinds. That takes a day. On a
    /// terminal it asks first.
    #[command(after_help = help::ACCOUNTS_DELETE)]
    Delete {
        /// The account.
        account: String,
        /// Does not ask.
        #[arg(long, short)]
        yes: bool,
        /// Waits until nothing of it is left, and shows how far it is.
        #[arg(long)]
        wait: bool,
        /// Prints the removal as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Shows how far the removal of an account is, or what it removed.
    #[command(after_help = help::ACCOUNTS_REMOVAL)]
    Removal {
        /// The account.
        account: String,
        /// Prints it as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
}

pub(crate) async fn run(command: AccountsCommand) -> anyhow::Result<ExitCode> {
    match command {
        AccountsCommand::List { json, service } => list(&service.client()?, json).await?,
        AccountsCommand::Delete { account, yes, wait, json, service } => {
            let client = service.client()?;
            if !yes && terminal::has_a_person() {
                let shown = terminal::shown(&account);
                note!("{shown}: its keys are revoked now; its imports, files, records and kinds are gone in a day");
                let question = "nothing of it can be had back. Type the account's name to remove it: ";
                let no = format!("{shown} is not removed");
                anyhow::ensure!(while_asking(&no, || terminal::ask(question))? == account, no);
                if !wait {
                    end_when_interrupted_in_a_change()?;
                }
            }
            let ordered = client.delete_account(&account).await?;
            let removal = if wait { to_its_end(&client, ordered).await? } else { ordered };
            show(&removal, json)?;
        }
        AccountsCommand::Removal { account, json, service } => {
            show(&service.client()?.account_removal(&account).await?, json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &Asked, json: bool) -> anyhow::Result<()> {
    let mut cursor = None;
    loop {
        let page = client.accounts(cursor.as_deref(), PAGE).await?;
        for account in &page.accounts {
            if json { terminal::say_json_line(account)? } else { line(account)? }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

fn line(account: &Account) -> anyhow::Result<()> {
    let Account { account, created_at, removing, keys, kinds, imports_unfinished, exports_unfinished } = account;
    let removing = if *removing { "  is being removed" } else { "" };
    say!(
        "{account}  {created_at}  {keys} keys, {kinds} kinds, {imports_unfinished} imports and {exports_unfinished} \
         exports unfinished{removing}"
    );
    Ok(())
}

/// Waits until nothing of an account is left. An interruption ends the wait alone.
///
/// # Errors
/// The service does not answer for a minute, or the wait is interrupted.
async fn to_its_end(client: &Asked, mut removal: AccountRemoval) -> anyhow::Result<AccountRemoval> {
    let mut interrupts = Interrupts::catch()?;
    let (started, mut answered) = (Instant::now(), Instant::now());
    let mut shown = None;
    while removal.status != AccountRemovalStage::Removed {
        let state = in_words(&removal);
        if shown.as_ref() != Some(&state) {
            note!("{state}");
            shown = Some(state);
        }
        tokio::select! {
            () = follow::pause(started) => {}
            () = interrupts.next() => anyhow::bail!(
                "interrupted; the removal goes on, {} shows how far it is",
                client.hint(&format!("accounts removal {}", removal.account))
            ),
        }
        match client.account_removal(&removal.account).await {
            Ok(now) => (removal, answered) = (now, Instant::now()),
            Err(error) if error.is_transient() && answered.elapsed() < follow::PATIENCE => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(removal)
}

fn show(removal: &AccountRemoval, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::say_json(removal);
    }
    say!("{}", in_words(removal));
    Ok(())
}

/// A removal in one line.
fn in_words(removal: &AccountRemoval) -> String {
    let RemovedCounts { keys, kinds, imports, exports, records, uploads, files } = removal.removed;
    let gone = format!(
        "{records} records, {uploads} uploads, {files} files, {imports} imports, {exports} exports, {kinds} kinds and \
         {keys} keys are gone"
    );
    let until = removal.waits_until.as_deref().unwrap_or_default();
    let state = match removal.status {
        AccountRemovalStage::Halting => "its imports and exports are being ended".to_owned(),
        AccountRemovalStage::Purging => "what is stored of it is being removed".to_owned(),
        AccountRemovalStage::Waiting => format!("what was in flight is waited for until {until}"),
        AccountRemovalStage::Checking => "what is left of it is being removed".to_owned(),
        AccountRemovalStage::Removed => "nothing of it is left".to_owned(),
    };
    format!("{}: {state}; {gone}", removal.account)
}
