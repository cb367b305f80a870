//! The `penstock` command.

// The layout of the SDK's nested futures is deeper than the compiler's default allows.
#![recursion_limit = "256"]

/// As `println!`, for output that its reader may stop reading.
macro_rules! say {
    ($($line:tt)*) => { $crate::write_line(format_args!($($line)*))? };
}

mod check;
mod cost;
mod dev;
mod file;
mod import;
mod keys;
mod preview;
mod progress;
mod serve;
mod show;
mod stack;

use std::{io::Write, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use penstock_client::Client;
use penstock_model::FunctionName;
use tokio::signal::unix::{SignalKind, signal};

/// Serverless bulk imports: a CSV on a presigned URL becomes validated, counted records.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Imports a file: through the service at --url, or else through a local cloud that is started for it.
    Import(import::ImportArgs),
    /// Checks a file as an import of it would, without one: by the engine alone, on this machine, on all its cores.
    Check(check::CheckArgs),
    /// Imports rows through a local cloud and says what that would cost on AWS.
    Cost(cost::CostArgs),
    /// Runs the local cloud until it is interrupted.
    Dev(dev::DevArgs),
    /// Serves the API of a deployed stack as an ordinary HTTP server, with settings from the environment as a function has them.
    Serve(serve::ServeArgs),
    /// Manages API keys, with a key that has the scope admin.
    Keys {
        #[command(subcommand)]
        command: keys::KeysCommand,
    },
    /// Shows an import.
    Status {
        /// The import's id.
        id: String,
        #[command(flatten)]
        service: Service,
    },
    /// Shows an import's row errors, one JSON object a line.
    Errors {
        /// The import's id.
        id: String,
        #[command(flatten)]
        service: Service,
    },
    /// Lists imports, newest first.
    List {
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        service: Service,
    },
    /// Runs one of the functions against the Lambda Runtime API; the local cloud starts its children so.
    #[command(hide = true)]
    Function {
        /// Which.
        name: FunctionName,
    },
}

/// Where the service is, and who asks.
#[derive(Args, Clone)]
struct Service {
    /// The service's base URL.
    #[arg(long, env = "PENSTOCK_URL")]
    url: String,
    /// The API key: `<id>.<secret>`.
    #[arg(long, env = "PENSTOCK_TOKEN", hide_env_values = true)]
    token: String,
}

impl Service {
    fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(&self.url, &self.token)?)
    }
}

/// The local cloud's API key, when it is told none.
const LOCAL_KEY: &str = "local:secret";

/// The local cloud's account, when it is told none.
const LOCAL_ACCOUNT: &str = "1";

/// The local cloud's address, when it is told none.
const LOCAL_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9000);

/// The executable that runs the functions: this one.
fn program() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?)
}

/// Writes a line to standard output. Whoever reads it may have read enough and gone, as `head` does: that is no error.
fn write_line(line: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// From the call on, SIGINT and SIGTERM no longer end the process: what is returned resolves at the first of them.
fn interruption() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Not clap's own exit code, 2: that says that some rows failed.
            let code = if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
            return error.print().map_or(ExitCode::FAILURE, |()| code);
        }
    };
    let run = match cli.command {
        // What asks no service needs no runtime.
        Command::Check(args) => check::run(&args),
        command => with_services(command),
    };
    run.unwrap_or_else(|error| {
        eprintln!("penstock: {error:#}");
        ExitCode::FAILURE
    })
}

#[tokio::main]
async fn with_services(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Import(args) => import::run(args).await,
        Command::Check(args) => check::run(&args),
        Command::Cost(args) => cost::run(args).await,
        Command::Dev(args) => dev::run(args).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Keys { command } => keys::run(command).await,
        Command::Status { id, service } => show::status(&service, &id).await,
        Command::Errors { id, service } => show::errors(&service, &id).await,
        Command::List { limit, service } => show::list(&service, limit).await,
        Command::Function { name } => function(name).await,
    }
}

async fn function(name: FunctionName) -> anyhow::Result<ExitCode> {
    let served = match name {
        FunctionName::Api => penstock_api::serve().await,
        FunctionName::Authorize => penstock_api::authorizer::serve().await,
        FunctionName::Split => penstock_split::serve().await,
        FunctionName::Validate => penstock_validate::serve().await,
        FunctionName::Report => penstock_report::serve().await,
        FunctionName::Sweep => penstock_sweep::serve().await,
    };
    served.map_err(|error| anyhow::anyhow!(error))?;
    Ok(ExitCode::SUCCESS)
}
