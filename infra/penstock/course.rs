//! The course of an import, to a person: who asked for it, when it came to each of its stages, what it cost, and until
//! when it is kept.

use penstock_client::Import;
use penstock_model::Actor;

/// A line for each stage that the import has come to, in the order of the stages.
pub(crate) fn lines(import: &Import) -> Vec<String> {
    let times = &import.times;
    let stages = [
        ("created", Some(&import.created_at), import.created_by.as_ref()),
        ("uploaded", times.uploaded_at.as_ref(), None),
        ("accepted", times.accepted_at.as_ref(), None),
        ("splitting began", times.split_began_at.as_ref(), None),
        ("split", times.split_ended_at.as_ref(), None),
        ("first rows done", times.rows_began_at.as_ref(), None),
        ("last rows done", times.rows_ended_at.as_ref(), None),
        ("confirmed", times.confirmed_at.as_ref(), import.confirmed_by.as_ref()),
        ("halted", times.halted_at.as_ref(), import.cancelled_by.as_ref()),
        ("ended", import.completed_at.as_ref(), import.cancelled_by.as_ref().filter(|_| times.halted_at.is_none())),
        ("kept until", import.retained_until.as_ref(), None),
    ];
    let came = stages.into_iter().filter_map(|(stage, at, by)| {
        let by = by.map(|by| format!("  by {}", named(by))).unwrap_or_default();
        Some(format!("  {stage:<15}  {}{by}", at?))
    });
    let cost = import.cost.as_ref().map(|cost| {
        format!(
            "  {:<15}  about ${:.6}, estimated from its rows at the prices of {} as of {}",
            "cost", cost.dollars, cost.region, cost.prices
        )
    });
    came.chain(cost).collect()
}

/// A key by what its maker called it, and the client.
fn named(by: &Actor) -> String {
    let key = match &by.label {
        Some(label) => format!("{label} ({})", by.key),
        None => by.key.clone(),
    };
    let api = if by.api == "native" { String::new() } else { format!(", the API {}", by.api) };
    let client = by.client.as_ref().map(|client| format!(", {client}")).unwrap_or_default();
    format!("{key}{client}{api}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_named_by_key_client_and_api() {
        let by = |label: Option<&str>, client, api| {
            named(&Actor::new("key_1".into(), label.map(str::to_owned), client, api))
        };
        assert_eq!(by(Some("nightly"), Some("curl/8"), "native"), "nightly (key_1), curl/8");
        assert_eq!(by(None, None, "quotiza"), "key_1, the API quotiza");
    }
}
