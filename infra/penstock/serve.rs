//! `penstock serve`: the API as an ordinary HTTP server, for a container in front of a deployed stack. Bodies are
//! streamed, so that they may be as large as each API documents.

use std::{
    net::{IpAddr, SocketAddr},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;
use ipnet::IpNet;
use penstock_api::{BodyLimits, Bounds, CorsOrigins, Server};
use penstock_store::Settings;
use tokio::net::TcpListener;

use crate::{
    aws::{self, Aws},
    interrupt::Interrupts,
    service::listen_address,
    variable,
};

#[derive(Args)]
pub(crate) struct ServeArgs {
    /// Where it listens; 8080 is that port on this machine, port 0 lets the system choose one, a container takes
    /// 0.0.0.0:8080. It speaks plain HTTP: what it stands behind speaks TLS.
    #[arg(long, env = "PENSTOCK_LISTEN", default_value = "127.0.0.1:8080", value_parser = listen_address)]
    listen: SocketAddr,
    /// The proxies in front of it, as addresses or networks (10.0.0.0/8), separated by commas. Rate limits take the
    /// client that these name in X-Forwarded-For; of any other peer the header is not read.
    #[arg(long, env = "PENSTOCK_TRUSTED_PROXIES", value_delimiter = ',', value_parser = proxy)]
    trusted_proxies: Vec<IpNet>,
}

/// An address, or a network of them.
fn proxy(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let alone = text.parse::<IpAddr>().map(IpNet::from);
    alone.or_else(|_| text.parse()).map_err(|_| format!("{text:?} is not an address or a network such as 10.0.0.0/8"))
}

pub(crate) async fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::catch()?;
    let Aws { region, credentials } = aws::found().await?;
    let settings = Settings::with_credentials(credentials, |name| match name {
        "AWS_REGION" => Some(region.clone()),
        name => variable(name),
    });
    let store = penstock_runtime::start_with(settings?);
    let rate_limits = penstock_api::rate_limits(|name| std::env::var(name).ok())?;
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("listening on {}", args.listen))?;
    let address = listener.local_addr()?;
    let origins = CorsOrigins::from_vars(|name| std::env::var(name).ok())?;
    let router = penstock_api::router(store, BodyLimits::STREAMED, rate_limits, origins);
    let router = penstock_api::behind_proxies(router, args.trusted_proxies);
    let server = Server::serve(listener, address, router, Bounds::PUBLIC);
    say!("Penstock listens on http://{address}");
    interrupts.next().await;
    server.stop().await;
    Ok(ExitCode::SUCCESS)
}
