//! `penstock dev`: the local cloud in the foreground.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;
use penstock_client::Credential;
use penstock_local::{LocalCloud, Options};

use crate::{LOCAL_ACCOUNT, LOCAL_KEY, LOCAL_LISTEN, interrupt::Interrupts, program, service::listen_address};

#[derive(Args)]
pub(crate) struct DevArgs {
    /// Where the API listens; 9000 is that port on this machine, port 0 lets the system choose one.
    #[arg(long, default_value_t = LOCAL_LISTEN, value_parser = listen_address)]
    listen: SocketAddr,
    /// Where everything is kept over a restart; in memory and in a temporary folder if not given.
    #[arg(long)]
    data: Option<PathBuf>,
    /// An API key, which may do everything, manage keys included: `<id>:<secret>` or `<id>.<secret>`.
    #[arg(long, default_value = LOCAL_KEY)]
    key: String,
    /// The account whose key it is.
    #[arg(long, default_value = LOCAL_ACCOUNT)]
    account: String,
    /// How long an upload URL is valid.
    #[arg(long, env = "PENSTOCK_UPLOAD_TTL_SECONDS", default_value_t = penstock_model::limits::UPLOAD_TTL_SECONDS)]
    upload_ttl_seconds: u64,
    /// How often the API may be asked, over the defaults: `<api>.<imports|all>.<address|account>=<requests>/<seconds>` or `=off`, separated
    /// by commas.
    #[arg(long, env = "PENSTOCK_RATE_LIMITS", default_value = "")]
    rate_limits: String,
    /// Shows what the functions log.
    #[arg(long)]
    verbose: bool,
}

pub(crate) async fn run(args: DevArgs) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::catch()?;
    let Credential { id, secret } = args.key.parse().context("--key")?;
    let cloud = LocalCloud::start(Options {
        listen: args.listen,
        data: args.data,
        keys: vec![(args.account.clone(), id.clone(), secret.clone())],
        environment: vec![
            ("PENSTOCK_UPLOAD_TTL_SECONDS".to_owned(), args.upload_ttl_seconds.to_string()),
            ("PENSTOCK_RATE_LIMITS".to_owned(), args.rate_limits),
        ],
        verbose: args.verbose,
        ..Options::new(program()?)
    })
    .await?;
    let url = cloud.url();
    say!("Penstock listens on {url}");
    say!("");
    say!("  curl {url}/health");
    say!("  curl -X POST {url}/v1/imports -H 'authorization: Bearer {id}.{secret}'");
    say!("  penstock import FILE --url {url} --token {id}.{secret}");
    say!("");
    say!("Interrupt it to end it.");
    interrupts.next().await;
    cloud.stop().await;
    Ok(ExitCode::SUCCESS)
}
