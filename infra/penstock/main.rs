//! The `penstock` command.

// The layout of the SDK's nested futures is deeper than the compiler's default allows.
#![recursion_limit = "256"]

/// As `println!`, of a line whose control characters are shown, for output that its reader may stop reading.
macro_rules! say {
    ($($line:tt)*) => { $crate::terminal::say(format_args!($($line)*))? };
}

/// As `eprintln!`, of a line whose control characters are shown; it never fails.
macro_rules! note {
    ($($line:tt)*) => { $crate::terminal::note(format_args!($($line)*)) };
}

mod accounts;
mod aws;
mod change;
mod check;
mod cost;
mod course;
mod dev;
mod doctor;
mod export;
mod exports;
mod file;
mod follow;
mod groups;
mod help;
mod history;
mod import;
mod interrupt;
mod keys;
mod kinds;
mod listen;
mod output;
mod presets;
mod preview;
mod printed;
mod profile;
mod progress;
mod records;
mod schema_file;
mod serve;
mod service;
mod show;
mod source;
mod stack;
mod terminal;
mod webhooks;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{
    CommandFactory, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use clap_complete::Shell;
use penstock_client::Credential;
use penstock_model::FunctionName;

use interrupt::Interrupts;
use service::Service;

/// Serverless bulk imports: a CSV on a presigned URL becomes validated, counted records.
#[derive(Parser)]
#[command(version, about, after_help = help::COMMAND)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Imports files: at a service that is named, or else through a local cloud that is started for them and ends with
    /// the command.
    #[command(after_help = help::IMPORT)]
    Import(Box<import::ImportArgs>),
    /// Checks a file as an import of it would, without one: by the engine alone, on this machine, on all its cores.
    #[command(after_help = help::CHECK)]
    Check(check::CheckArgs),
    /// Shows an import: to a person in words, else as JSON.
    #[command(after_help = help::STATUS)]
    Status {
        /// The import's id.
        id: String,
        /// Prints the import as JSON, to a person too.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Follows an import to its end, and exits as the command that made it would have.
    #[command(after_help = help::WATCH)]
    Watch {
        /// The import's id.
        id: String,
        /// Prints the import as JSON, to a person too.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Shows every row error of an import: to a person in words, else a JSON object a line.
    #[command(after_help = help::ERRORS)]
    Errors {
        /// The import's id.
        id: String,
        /// Sums them up instead, by code and field: a table to a person, else a JSON document.
        #[arg(long)]
        summary: bool,
        /// Prints a JSON object a line, to a person too.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        output: show::OutputArgs,
        #[command(flatten)]
        service: Service,
    },
    /// Shows an import with those that it corrects and those that correct it, and what became of the rows of the first
    /// file: to a person as a table, else as JSON.
    #[command(after_help = help::HISTORY)]
    History {
        /// The id of any of them.
        id: String,
        /// Prints a JSON document, to a person too.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Prints the rejected rows of an import that has ended, each with its reasons: mended, they can be imported as
    /// they are.
    #[command(after_help = help::REJECTED)]
    Rejected {
        /// The import's id.
        id: String,
        /// Prints a JSON object with the import's id and the rows as a text.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        output: show::OutputArgs,
        #[command(flatten)]
        service: Service,
    },
    /// Lists imports, newest first.
    #[command(after_help = help::LIST)]
    List(show::ListArgs),
    /// Cancels an import: what has not begun is not applied any more.
    #[command(after_help = help::CANCEL)]
    Cancel {
        /// The import's id.
        id: String,
        /// Prints the import as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Lists the records that an import in the mode replace would remove, or once it has ended has removed.
    #[command(after_help = help::REMOVALS)]
    Removals {
        /// The import's id.
        id: String,
        /// Prints a JSON object a line, to a person too.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        output: show::OutputArgs,
        #[command(flatten)]
        service: Service,
    },
    /// Confirms that an import removes what it would remove, or that what a review has judged is imported, and follows
    /// that to its end. On a terminal it asks first.
    #[command(after_help = help::CONFIRM)]
    Confirm {
        /// The import's id.
        id: String,
        /// Imports what a review has judged although the records may have changed since.
        #[arg(long)]
        even_if_moved: bool,
        /// Does not ask.
        #[arg(long, short)]
        yes: bool,
        /// Prints the import as JSON, to a person too.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Deletes an import that does not run, with its errors and files, never its records. On a terminal it asks first.
    #[command(after_help = help::DELETE)]
    Delete {
        /// The import's id.
        id: String,
        /// Does not ask.
        #[arg(long, short)]
        yes: bool,
        /// Prints what was done as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Shows what happens to imports as it happens, and posts it to a URL.
    #[command(after_help = help::LISTEN)]
    Listen(listen::ListenArgs),
    /// Makes and changes the endpoints to which events are sent; shows what became of the events there, and sends them
    /// again.
    #[command(after_help = help::WEBHOOKS)]
    Webhooks {
        #[command(subcommand)]
        command: webhooks::WebhooksCommand,
    },
    /// Exports the records of a kind as a file from which an import reads the same records: NDJSON, or of a flat kind
    /// CSV.
    #[command(after_help = help::EXPORT)]
    Export(export::ExportArgs),
    /// Lists exports; cancels and deletes them.
    #[command(after_help = help::EXPORTS)]
    Exports {
        #[command(subcommand)]
        command: exports::ExportsCommand,
    },
    /// Shows what has been imported.
    #[command(after_help = help::RECORDS)]
    Records {
        #[command(subcommand)]
        command: records::RecordsCommand,
    },
    /// Shows the kinds of records; registers and removes one's own.
    #[command(after_help = help::KINDS)]
    Kinds {
        #[command(subcommand)]
        command: kinds::KindsCommand,
    },
    /// Keeps options for imports of a kind under a name, such as the mapping of a file that comes every night.
    #[command(after_help = help::PRESETS)]
    Presets {
        #[command(subcommand)]
        command: presets::PresetsCommand,
    },
    /// Manages API keys, with a key that has the scope admin.
    #[command(after_help = help::KEYS)]
    Keys {
        #[command(subcommand)]
        command: keys::KeysCommand,
    },
    /// Lists accounts and removes them, with a key that has the scope admin.
    #[command(after_help = help::ACCOUNTS)]
    Accounts {
        #[command(subcommand)]
        command: accounts::AccountsCommand,
    },
    /// Stores a service and a key as a profile, in a file that its owner alone can read, once the service has taken the
    /// key.
    #[command(after_help = help::LOGIN)]
    Login(profile::LoginArgs),
    /// Removes a profile.
    #[command(after_help = help::LOGOUT)]
    Logout {
        /// Its name.
        #[arg(long, default_value = profile::DEFAULT)]
        profile: String,
        /// Prints what was done as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Examines a service: imports files of its own, looks at everything that follows from them, and removes what it
    /// made. Exits with 1 if anything is not as it should be.
    #[command(after_help = help::DOCTOR)]
    Doctor(doctor::DoctorArgs),
    /// Runs the local cloud until it is interrupted.
    #[command(after_help = help::DEV)]
    Dev(dev::DevArgs),
    /// Serves the API of a deployed stack as an ordinary HTTP server, with settings from the environment as a function
    /// has them, and AWS credentials from where the AWS CLI finds them.
    #[command(after_help = help::SERVE)]
    Serve(serve::ServeArgs),
    /// Imports rows through a local cloud and says what that would cost on AWS.
    #[command(after_help = help::COST)]
    Cost(cost::CostArgs),
    /// Prints a script by which a shell completes this command.
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// The shell.
        #[arg(value_parser = PossibleValuesParser::new(["bash", "fish", "zsh"]).map(|name| {
            name.parse::<Shell>().expect("a shell that clap_complete knows")
        }))]
        shell: Shell,
    },
    /// Runs one of the functions against the Lambda Runtime API; the local cloud starts its children so.
    #[command(hide = true)]
    Function {
        /// Which.
        name: FunctionName,
    },
}

/// The key of `penstock dev`, when it is told none. Everyone knows it.
const LOCAL_KEY: &str = "local:secret";

/// The local cloud's account, when it is told none.
const LOCAL_ACCOUNT: &str = "1";

/// The local cloud's address, when it is told none.
const LOCAL_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9000);

/// The executable that runs the functions: this one.
fn program() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?)
}

/// A variable of the environment, unless it is empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A key for a local cloud that nobody but this process is to use.
fn own_key() -> Credential {
    Credential { id: "local".to_owned(), secret: penstock_store::keys::new_secret() }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // What it repeats of the arguments, which may be the names of files, is shown as all else is.
            let shown = std::env::args_os().map(|argument| terminal::shown(&argument.to_string_lossy()).into_owned());
            let error = Cli::try_parse_from(shown).err().unwrap_or(error);
            // Not clap's own exit code, 2: that says that some rows failed.
            let code = if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
            return error.print().map_or(ExitCode::FAILURE, |()| code);
        }
    };
    let run = match cli.command {
        // What asks no service needs no threads but its own.
        Command::Check(args) => check_until_interrupted(args),
        Command::Completions { shell } => completions(shell),
        command => with_services(command),
    };
    // A thread that is not waited for may be in the middle of one.
    output::discard_pending();
    run.unwrap_or_else(|error| {
        note!("penstock: {error:#}");
        ExitCode::FAILURE
    })
}

#[tokio::main]
async fn with_services(command: Command) -> anyhow::Result<ExitCode> {
    let _full = interrupt::outlive_full_files()?;
    match command {
        Command::Import(args) => import::run(*args).await,
        Command::Status { id, json, service } => show::status(&service, &id, json).await,
        Command::Watch { id, json, service } => show::watch(&service, &id, json).await,
        Command::Errors { id, summary, json, output, service } => {
            let show = show::Shown { json, output: output.output.as_deref() };
            if summary {
                show::error_summary(&service, &id, show).await
            } else {
                show::errors(&service, &id, show).await
            }
        }
        Command::History { id, json, service } => history::run(&service, &id, json).await,
        Command::Rejected { id, json, output, service } => {
            show::rejected(&service, &id, json, output.output.as_deref()).await
        }
        Command::List(args) => show::list(args).await,
        Command::Cancel { id, json, service } => change::cancel(&service, &id, json).await,
        Command::Removals { id, json, output, service } => {
            show::removals(&service, &id, json, output.output.as_deref()).await
        }
        Command::Confirm { id, even_if_moved, yes, json, service } => {
            change::confirm(&service, &id, even_if_moved, yes, json).await
        }
        Command::Delete { id, yes, json, service } => change::delete(&service, &id, yes, json).await,
        Command::Listen(args) => listen::run(args).await,
        Command::Webhooks { command } => webhooks::run(command).await,
        Command::Export(args) => export::run(args).await,
        Command::Exports { command } => exports::run(command).await,
        Command::Records { command } => records::run(command).await,
        Command::Kinds { command } => kinds::run(command).await,
        Command::Presets { command } => presets::run(command).await,
        Command::Keys { command } => keys::run(command).await,
        Command::Accounts { command } => accounts::run(command).await,
        Command::Login(args) => profile::login(args).await,
        Command::Logout { profile, json } => profile::logout(&profile, json),
        Command::Doctor(args) => doctor::run(args).await,
        Command::Dev(args) => dev::run(args).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Cost(args) => cost::run(args).await,
        Command::Function { name } => function(name).await,
        Command::Check(_) | Command::Completions { .. } => unreachable!("they ask no service"),
    }
}

/// Checks a file on a thread that an interruption ends, without a trace of what it was writing.
#[tokio::main(flavor = "current_thread")]
async fn check_until_interrupted(args: check::CheckArgs) -> anyhow::Result<ExitCode> {
    /// As much as a main thread has.
    const STACK_BYTES: usize = 8 << 20;
    let _full = interrupt::outlive_full_files()?;
    let mut interrupts = Interrupts::catch()?;
    let (sender, checked) = tokio::sync::oneshot::channel();
    let check = move || drop(sender.send(check::run(&args)));
    let thread = std::thread::Builder::new().name("check".to_owned()).stack_size(STACK_BYTES).spawn(check)?;
    tokio::select! {
        checked = checked => match checked {
            Ok(checked) => checked,
            Err(_) => std::panic::resume_unwind(thread.join().expect_err("a thread that says nothing has panicked")),
        },
        () = interrupts.next() => {
            output::discard_pending();
            anyhow::bail!("interrupted; nothing is written")
        }
    }
}

fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "penstock", &mut script);
    let mut out = terminal::Data::new();
    out.write(&script)?;
    out.end()?;
    Ok(ExitCode::SUCCESS)
}

async fn function(name: FunctionName) -> anyhow::Result<ExitCode> {
    let served = match name {
        FunctionName::Api => penstock_api::serve().await,
        FunctionName::Authorize => penstock_api::authorizer::serve().await,
        FunctionName::Split => penstock_split::serve().await,
        FunctionName::Validate => penstock_validate::serve().await,
        FunctionName::Report => penstock_report::serve().await,
        FunctionName::Export => penstock_export::serve().await,
        FunctionName::Remove => penstock_remove::serve().await,
        FunctionName::Notify => penstock_notify::serve().await,
        FunctionName::Sweep => penstock_sweep::serve().await,
    };
    served.map_err(|error| anyhow::anyhow!(error))?;
    Ok(ExitCode::SUCCESS)
}
