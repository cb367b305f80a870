//! The schedule: the sweep function, at every full minute of the local clock.

use bytes::Bytes;
use penstock_model::FunctionName;
use serde_json::json;

use crate::clock::{Alarm, LocalClock, rfc3339};
use crate::lambda::{FunctionError, LambdaHost};
use crate::queue::random_id;
use crate::sqs::ACCOUNT_ID;

const FUNCTION: &str = FunctionName::Sweep.as_str();
const EVERY_MS: i64 = 60_000;

/// Invokes the function at every full minute until the host is stopped: one at a time, and once only for however many
/// minutes have passed at one advance.
pub(crate) fn run(host: LambdaHost, clock: &LocalClock) -> impl Future<Output = ()> + Send + use<> {
    let clock = clock.clone();
    // It is set before anybody can advance the clock.
    let mut minute = next_minute(&clock);
    async move {
        loop {
            tokio::select! {
                () = minute.rings() => {}
                () = host.stopped() => return,
            }
            // The cloud is not quiet between the minute and its invocation, and a minute that comes meanwhile is not
            // missed.
            let busy = host.busy();
            minute = next_minute(&clock);
            match invoke(&host, &clock).await {
                Ok(_) => {}
                Err(FunctionError::Stopped) => return,
                Err(error) => tracing::warn!(function = FUNCTION, %error, "a scheduled invocation failed"),
            }
            drop(busy);
        }
    }
}

fn next_minute(clock: &LocalClock) -> Alarm {
    clock.alarm((clock.now_ms().div_euclid(EVERY_MS) + 1) * EVERY_MS)
}

/// Invokes the function as the schedule does, and returns its result. A repeat is another invocation.
pub(crate) async fn invoke(host: &LambdaHost, clock: &LocalClock) -> Result<Bytes, FunctionError> {
    host.invoke(FUNCTION, Bytes::from(event(clock.now_ms()))).await
}

/// Source: the Amazon EventBridge User Guide, "Events from Amazon EventBridge Scheduler rules" (`Scheduled Event`).
fn event(now_ms: i64) -> String {
    let seconds_ms = now_ms.div_euclid(1000) * 1000;
    json!({
        "version": "0",
        "id": random_id(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT_ID,
        "time": rfc3339(seconds_ms).replace(".000Z", "Z"),
        "region": crate::REGION,
        "resources": [format!("arn:aws:events:{}:{ACCOUNT_ID}:rule/sweep", crate::REGION)],
        "detail": {},
    })
    .to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    #[test]
    fn a_scheduled_event_carries_whole_seconds() {
        let event: serde_json::Value = serde_json::from_str(&super::event(1_700_000_000_007)).unwrap();
        assert_eq!(event["time"], "2023-11-14T22:13:20Z");
        assert_eq!(event["detail-type"], "Scheduled Event");
    }
}
