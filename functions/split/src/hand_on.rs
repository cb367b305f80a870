//! Handing the rest of the work on to another invocation.

use penstock_model::{ImportId, Order};
use penstock_store::{Result, Store, crash};
use tracing::info;

/// Orders the rest of what this invocation does. A repeat has it done twice at once; whoever is overtaken stops.
pub(crate) async fn hand_on(store: &Store, import: &ImportId, rest: &Order) -> Result<()> {
    store.send(rest).await?;
    info!(import.id = %import, "the invocation's time is near its end: the rest is handed on");
    crash::point("split.continued");
    Ok(())
}
