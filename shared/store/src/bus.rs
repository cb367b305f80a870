//! The bus: events on EventBridge, for whoever has rules there.

use aws_sdk_eventbridge::{primitives::DateTime, types::PutEventsRequestEntry};
use penstock_model::Event;

use crate::{Result, Store, StoreError, crash};

/// What the source of every event is on the bus.
pub const SOURCE: &str = "penstock";

impl Store {
    /// Puts an event on the bus, if there is one and it is for it: as its detail what an endpoint is sent, as its
    /// detail type the event's type. A repeat puts it there again, with the same id in its detail.
    pub async fn put_on_bus(&self, event: &Event) -> Result<()> {
        let settings = self.settings();
        let Some(bus) = settings.event_bus.as_ref().filter(|_| event.what.is_for_bus()) else { return Ok(()) };
        let message = event.message(settings.api_url.as_deref());
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(bus)
            .source(SOURCE)
            .detail_type(event.what.as_str())
            .time(DateTime::from_millis(event.at))
            .detail(serde_json::to_string(&message).expect("an event's members have JSON"))
            .build();
        let bus = self.inner.bus.get_or_init(|| self.clients().eventbridge());
        let sent = bus.put_events().entries(entry).send().await;
        let output = sent.map_err(StoreError::unavailable("events:PutEvents"))?;
        // An entry may be refused though the request is taken.
        if let Some(code) = output.entries().iter().find_map(|entry| entry.error_code()) {
            return Err(StoreError::Unavailable { call: "events:PutEvents", reason: code.to_owned() });
        }
        crash::point("event.on_bus");
        Ok(())
    }
}
