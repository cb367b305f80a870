//! What the functions share: around their work, logs, settings, metrics, the loop over a batch of messages, the time
//! that is left; and of their work, what more than one of them does.

pub mod chunk_end;
pub mod delivery;
pub mod event;
pub mod metrics;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use delivery::{all_at_once, each_message};
use lambda_runtime::{Context, Error};
use penstock_store::{Settings, Store};
use serde::Serialize;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Starts a function: logs in JSON on standard error, at the level of `RUST_LOG` (`info` if not set), and a store from
/// the environment.
///
/// # Errors
/// The environment variable that is missing, by name.
pub fn start() -> Result<Store, Error> {
    Ok(start_with(Settings::from_env()?))
}

/// The same with settings that are there already.
pub fn start_with(settings: Settings) -> Store {
    // A second start in one process, as in a test, keeps the first one's logs.
    let _ = tracing_subscriber::registry()
        .with(filter(std::env::var("RUST_LOG").ok().as_deref()))
        .with(tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr))
        .try_init();
    metrics::start(&settings.stack);
    Store::new(settings)
}

/// What is logged: a level, or levels of targets (`info,penstock_store=debug`); `info` where there is no such text.
fn filter(levels: Option<&str>) -> Targets {
    let told = levels.filter(|levels| !levels.is_empty()).and_then(|levels| levels.parse::<Targets>().ok());
    let filter = told.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    // At their finest these log what they carry, which is cells.
    let carriers = ["lambda_runtime", "lambda_http", "aws_smithy_runtime", "aws_smithy_http_client", "hyper", "h2"];
    filter.with_targets(carriers.map(|library| (library, LevelFilter::INFO)))
}

/// An error and its sources in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line.push_str(": ");
        line.push_str(&error.to_string());
        source = error.source();
    }
    line
}

/// A serializable value as the answer of a function that answers in several shapes.
///
/// # Errors
/// When the value has no JSON.
pub fn answer(value: impl Serialize) -> Result<serde_json::Value, Error> {
    Ok(serde_json::to_value(value)?)
}

/// When an invocation has to come to an end.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    stop_at: SystemTime,
}

impl Deadline {
    /// Leaves a quarter of the invocation's time, at most 30 seconds, for handing the rest of the work on.
    pub fn of(context: &Context) -> Self {
        let now = SystemTime::now();
        let end = UNIX_EPOCH + Duration::from_millis(context.deadline);
        let left = end.duration_since(now).unwrap_or_default();
        Self { stop_at: end - (left / 4).min(Duration::from_secs(30)) }
    }

    /// How much time is left until then.
    pub fn left(&self) -> Duration {
        self.stop_at.duration_since(SystemTime::now()).unwrap_or_default()
    }

    /// Whether it is time to hand on.
    pub fn is_near(&self) -> bool {
        SystemTime::now() >= self.stop_at
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn info_is_logged_unless_told_otherwise_and_of_those_that_carry_cells_nothing_finer() {
        for (levels, target, finest) in [
            (None, "penstock_store", Level::INFO),
            (Some(""), "penstock_store", Level::INFO),
            (Some("penstock_store=loud"), "penstock_store", Level::INFO),
            (Some("warn"), "penstock_store::table", Level::WARN),
            (Some("info,penstock_store=debug"), "penstock_store::table", Level::DEBUG),
            (Some("info,penstock_store=debug"), "penstock_engine", Level::INFO),
            (Some("trace"), "penstock_store", Level::TRACE),
            (Some("trace"), "hyper::proto", Level::INFO),
            (Some("trace,aws_smithy_runtime=trace"), "aws_smithy_runtime", Level::INFO),
        ] {
            let filter = filter(levels);
            for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
                assert_eq!(filter.would_enable(target, &level), level <= finest, "{levels:?}: {target} {level}");
            }
        }
    }
}
