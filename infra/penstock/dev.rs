//! `penstock dev`: the local cloud in the foreground.

mod lines;
mod ready;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Args;
use penstock_client::Credential;
use penstock_local::{Events, LocalCloud, Options, PublicUrl};
use rustix::{fs::Mode, process::umask};
use serde_json::json;

use crate::{
    LOCAL_ACCOUNT, LOCAL_KEY, LOCAL_LISTEN, interrupt::Interrupts, output::FileId, program, service::listen_address,
    variable,
};
use ready::ReadyPlace;

/// How long the last lines are waited for, at most: a terminal may take none any more.
const LAST_LINES: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct DevArgs {
    /// Where it listens, the API and uploads on one port; 9000 is that port on this machine, port 0 lets the system
    /// choose one, a container takes 0.0.0.0:9000.
    #[arg(long, default_value_t = LOCAL_LISTEN, value_parser = listen_address)]
    listen: SocketAddr,
    /// The URL by which clients reach it, which upload URLs then carry, such as http://localhost:8080 where a
    /// container's port is published there; what it listens on if not given.
    #[arg(long, value_name = "URL")]
    public_url: Option<PublicUrl>,
    /// Where everything is kept over a restart, for one process at a time; in memory and in a temporary folder if not
    /// given.
    #[arg(long)]
    data: Option<PathBuf>,
    /// An API key, which may do everything, manage keys included: `<id>:<secret>` or `<id>.<secret>`; local:secret if
    /// none is given. Other users of this machine see it in the list of processes: not so with --key-file and
    /// PENSTOCK_KEY [env: PENSTOCK_KEY]
    #[arg(long, conflicts_with = "key_file")]
    key: Option<String>,
    /// A file that holds the API key.
    #[arg(long, value_name = "PATH")]
    key_file: Option<PathBuf>,
    /// The account whose key it is.
    #[arg(long, default_value = LOCAL_ACCOUNT)]
    account: String,
    /// How long an upload URL is valid, in seconds, 2,700 at most.
    #[arg(long, env = "PENSTOCK_UPLOAD_TTL_SECONDS", default_value_t = penstock_model::limits::UPLOAD_TTL_SECONDS)]
    upload_ttl_seconds: u64,
    /// How many unfinished imports an account may have at once, 10,000 at most; a further one is refused with 429.
    #[arg(long, value_name = "N", env = "PENSTOCK_ACCOUNT_IMPORTS", default_value_t = penstock_model::limits::ACCOUNT_IMPORTS)]
    account_imports: usize,
    /// How many bytes an account may upload on one day (UTC) before further imports are refused with 429.
    #[arg(long, value_name = "BYTES", env = "PENSTOCK_ACCOUNT_DAY_BYTES", default_value_t = penstock_model::limits::ACCOUNT_DAY_BYTES)]
    account_day_bytes: u64,
    /// How often the API may be asked, over the defaults: `<api>.<imports|all>.<address|account>=<requests>/<seconds>`
    /// or `=off`, separated by commas.
    #[arg(long, env = "PENSTOCK_RATE_LIMITS", default_value = "")]
    rate_limits: String,
    /// The origins whose pages may use the native API, separated by commas, such as http://localhost:3000; `*` allows
    /// every one.
    #[arg(long, value_name = "ORIGINS", env = "PENSTOCK_CORS_ORIGINS", default_value = "")]
    cors_origins: String,
    /// A file that is there while it answers, for programs that start it: JSON with url, public_url, pid, account and
    /// key_id.
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
    /// Prints no line for each request and each stage of an import, but for uploads that fail.
    #[arg(long)]
    quiet: bool,
    /// Shows what the functions log.
    #[arg(long, conflicts_with = "quiet")]
    verbose: bool,
}

pub(crate) async fn run(args: DevArgs) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::catch()?;
    // What it writes, and its functions do, is nobody else's.
    umask(Mode::RWXG | Mode::RWXO);
    let (key, from) = given_key(&args)?;
    let Credential { id, secret } = key.parse().context(from)?;
    let is_default = format!("{id}:{secret}") == LOCAL_KEY;
    if is_default && let Some(place) = beyond_this_machine(&args) {
        anyhow::bail!(
            "{place} can be reached by others, and everyone knows the default key: give a key of your own by --key-file or PENSTOCK_KEY"
        );
    }
    let key_file = args.key_file.as_deref();
    let ready = args.ready_file.as_deref().map(|path| ReadyPlace::look(path, key_file)).transpose()?;
    let is_public = !args.listen.ip().is_loopback();
    let (events, told) = Events::channel();
    let lines = lines::print(told, args.quiet)?;
    let cloud = LocalCloud::start(Options {
        listen: args.listen,
        public_url: args.public_url,
        data: args.data,
        keys: vec![(args.account.clone(), id.clone(), secret.clone())],
        environment: vec![
            ("PENSTOCK_UPLOAD_TTL_SECONDS".to_owned(), args.upload_ttl_seconds.to_string()),
            ("PENSTOCK_ACCOUNT_IMPORTS".to_owned(), args.account_imports.to_string()),
            ("PENSTOCK_ACCOUNT_DAY_BYTES".to_owned(), args.account_day_bytes.to_string()),
            ("PENSTOCK_RATE_LIMITS".to_owned(), args.rate_limits),
            ("PENSTOCK_CORS_ORIGINS".to_owned(), args.cors_origins),
        ],
        verbose: args.verbose,
        events: Some(events),
        bus: true,
        ..Options::new(program()?)
    })
    .await?;
    let told = json!({
        "url": cloud.url(), "public_url": cloud.public_url(), "pid": std::process::id(), "account": args.account, "key_id": id,
    });
    let ready = match ready.map(|place| place.write(&told)).transpose() {
        Ok(ready) => ready,
        Err(error) => {
            cloud.stop().await;
            return Err(error);
        }
    };
    let url = cloud.public_url();
    // A key that somebody chose is theirs to know.
    let token = if is_default { format!("{id}.{secret}") } else { format!("{id}.SECRET") };
    say!("Penstock listens on {}", cloud.url());
    if url != cloud.url() {
        say!("Clients reach it at {url}");
    } else if is_public {
        say!("Upload URLs carry {url}: give --public-url where clients reach it by another");
    }
    say!("");
    say!("  curl {url}/health");
    say!("  curl -X POST {url}/v1/imports -H 'authorization: Bearer {token}'");
    say!("  penstock import FILE --url {url} --token {token}");
    say!("");
    say!("Interrupt it to end it.");
    interrupts.next().await;
    drop(ready);
    cloud.stop().await;
    let _ = tokio::time::timeout(LAST_LINES, lines).await;
    Ok(ExitCode::SUCCESS)
}

/// The API key, and what it was given by.
fn given_key(args: &DevArgs) -> anyhow::Result<(String, &'static str)> {
    if let Some(key) = &args.key {
        return Ok((key.clone(), "--key"));
    }
    if let Some(path) = &args.key_file {
        let shown = format!("the key file {}", path.display());
        FileId::of_input(&shown, &std::fs::metadata(path).with_context(|| shown.clone())?)?;
        let text = std::fs::read_to_string(path).with_context(|| shown)?;
        return Ok((text.trim().to_owned(), "--key-file"));
    }
    Ok(variable("PENSTOCK_KEY").map_or((LOCAL_KEY.to_owned(), "--key"), |key| (key, "PENSTOCK_KEY")))
}

/// By what it can be reached from elsewhere, if it can.
fn beyond_this_machine(args: &DevArgs) -> Option<String> {
    if !args.listen.ip().is_loopback() {
        return Some(format!("--listen {}", args.listen));
    }
    let url = args.public_url.as_ref().filter(|url| !url.is_loopback())?;
    Some(format!("--public-url {url}"))
}
