use proptest::prelude::*;

use super::*;

const MINUTE_MS: i64 = 60 * SECOND_MS;

fn webhook() -> Webhook {
    let account = "1".parse().expect("valid");
    Webhook::new(WebhookId::new(1, [7; 10]), account, "https://a.example".into(), "whsec_a".into(), 1)
}

fn delivery(now_ms: i64) -> Delivery {
    let webhook = webhook();
    let event = webhook.test_event(now_ms, [9; 10]);
    Delivery::new(webhook.id, false, event, now_ms)
}

fn answered(status: u16) -> Outcome {
    Outcome::Answered { status, retry_after_seconds: None, body: String::new() }
}

fn sent(delivery: &Delivery, now_ms: i64) -> Delivery {
    match delivery.begin(delivery.begun, now_ms) {
        DeliveryBegin::Send(begun) => *begun,
        other => panic!("{other:?}"),
    }
}

/// Attempts until the last, each as soon as its time has come; the moments at which they begin.
fn attempts(outcome: &Outcome, draw: f64) -> (Delivery, Vec<i64>) {
    let (mut delivery, mut now, mut began) = (delivery(0), 0, Vec::new());
    while delivery.state == DeliveryState::Pending {
        began.push(now);
        delivery = sent(&delivery, now).end_attempt(outcome, 3, now, draw);
        now = delivery.next_at.unwrap_or(now);
    }
    (delivery, began)
}

#[test]
fn ten_attempts_are_made_over_about_three_days() {
    for (draw, hours) in [(0.0, 64), (0.5, 72), (1.0, 79)] {
        let (failed, began) = attempts(&answered(500), draw);
        assert_eq!((failed.state, began.len(), failed.begun), (DeliveryState::Failed, 10, 10));
        assert_eq!(began[9] / (60 * MINUTE_MS), hours);
        assert!((4_500..=5_500).contains(&began[1]), "the first again comes after some 5 s");
        assert!(failed.attempts.iter().all(|attempt| (attempt.status, attempt.ms) == (Some(500), Some(3))));
    }
}

#[test]
fn two_hundred_and_something_is_success_and_410_is_the_end() {
    for (status, state, tries) in [
        (200, DeliveryState::Delivered, 1),
        (204, DeliveryState::Delivered, 1),
        (410, DeliveryState::Failed, 1),
        (301, DeliveryState::Failed, 10),
        (404, DeliveryState::Failed, 10),
        (429, DeliveryState::Failed, 10),
    ] {
        let (ended, began) = attempts(&answered(status), 0.5);
        assert_eq!((ended.state, began.len(), ended.next_at), (state, tries, None), "{status}");
    }
    let (ended, began) = attempts(&Outcome::Failed("timed_out".into()), 0.5);
    assert_eq!((ended.state, began.len()), (DeliveryState::Failed, 10));
    assert_eq!(ended.attempts[9].error.as_deref(), Some("timed_out"));
}

#[test]
fn who_asks_to_be_left_alone_is_for_a_day_at_most() {
    let later = |seconds| {
        let outcome =
            Outcome::Answered { status: 429, retry_after_seconds: Some(seconds), body: "slow down".to_owned() };
        let told = sent(&delivery(0), 0).end_attempt(&outcome, 1, 0, 0.5);
        assert_eq!(told.answer.as_deref(), Some("slow down"));
        told.next_at.expect("it is attempted again")
    };
    assert_eq!(later(1), 5_000, "no sooner than otherwise");
    assert_eq!(later(600), 600_000);
    assert_eq!(later(u64::MAX), DAY_MS);
}

#[test]
fn an_attempt_is_one_senders_and_a_death_costs_it() {
    let new = delivery(100);
    assert_eq!(new.begin(1, 100), DeliveryBegin::Nothing, "another attempt");
    assert_eq!(new.begin(0, 99), DeliveryBegin::Nothing, "too soon");
    let begun = sent(&new, 100);
    assert_eq!((begun.begun, begun.under_way, begun.attempts.len()), (1, true, 1));
    assert_eq!(begun.begin(0, 100), DeliveryBegin::Nothing, "it has begun");
    assert_eq!(begun.begin(1, 100 + DELIVERY_LEASE_MS - 1), DeliveryBegin::Nothing, "its sender may be alive");
    assert_eq!((begun.delay_seconds(100), begun.due_at(100)), (None, Some(100 + DELIVERY_LEASE_MS)));
    let mut delivery = begun;
    for attempt in 1..ATTEMPTS {
        delivery = sent(&delivery, delivery.next_at.expect("a lease"));
        assert_eq!((delivery.begun, delivery.attempts.len()), (attempt + 1, attempt as usize + 1));
    }
    let over = delivery.next_at.expect("a lease");
    let DeliveryBegin::GiveUp(failed) = delivery.begin(ATTEMPTS, over) else { panic!("no more attempts") };
    assert_eq!((failed.state, failed.next_at, failed.attempts[9].ms), (DeliveryState::Failed, None, None));
}

#[test]
fn a_queue_holds_an_order_back_for_a_quarter_of_an_hour_and_what_is_later_is_the_sweepers() {
    let at = |next_at| Delivery { next_at: Some(next_at), ..delivery(0) };
    assert_eq!((at(0).delay_seconds(0), at(0).due_at(0)), (Some(0), Some(DELIVERY_LEASE_MS)));
    assert_eq!(at(4_500).delay_seconds(0), Some(5), "not before its time");
    let quarter = 15 * MINUTE_MS;
    assert_eq!((at(quarter).delay_seconds(0), at(quarter).due_at(0)), (Some(900), Some(quarter + DELIVERY_LEASE_MS)));
    assert_eq!((at(quarter + 1).delay_seconds(0), at(quarter + 1).due_at(0)), (None, Some(quarter + 1)));
    assert!(!at(5).is_due(4) && at(5).is_due(5));
    let ended = Delivery { state: DeliveryState::Delivered, next_at: None, ..delivery(0) };
    assert_eq!((ended.delay_seconds(9), ended.due_at(9), ended.is_due(9)), (None, None, false));
}

#[test]
fn what_did_not_arrive_is_ordered_again_with_all_its_attempts() {
    let (failed, _) = attempts(&answered(500), 0.5);
    let again = failed.resend(7 * DAY_MS);
    assert_eq!(
        (again.state, again.tries, again.begun, again.next_at),
        (DeliveryState::Pending, 0, 10, Some(7 * DAY_MS))
    );
    assert_eq!(again.delay_seconds(7 * DAY_MS), Some(0));
    let arrived = sent(&again, 7 * DAY_MS).end_attempt(&answered(200), 1, 7 * DAY_MS, 0.5);
    assert_eq!((arrived.state, arrived.attempts.len()), (DeliveryState::Delivered, 11));
    // The attempt that is under way goes on.
    let begun = sent(&delivery(0), 0);
    let again = begun.resend(10);
    assert_eq!((again.under_way, again.next_at, again.delay_seconds(10)), (true, begun.next_at, None));
    assert_eq!(again.end_attempt(&answered(500), 1, 20, 0.5).next_at, Some(5_020));
}

#[test]
fn a_disabled_endpoint_is_sent_nothing_and_what_it_missed_can_be_ordered() {
    let event = webhook().test_event(5, [9; 10]);
    let dropped = Delivery::new(webhook().id, true, event, 5);
    assert_eq!((dropped.state, dropped.next_at, dropped.due_at(5)), (DeliveryState::Dropped, None, None));
    let begun = sent(&delivery(0), 0).drop_attempt();
    assert_eq!((begun.state, begun.attempts.len(), begun.under_way), (DeliveryState::Dropped, 0, false));
    assert_eq!(dropped.resend(9).next_at, Some(9));
}

#[test]
fn an_endpoint_that_fails_for_five_days_is_disabled_and_one_that_answers_is_not() {
    let fails = webhook().after(&answered(500), false, 10).expect("it begins to fail");
    assert_eq!((fails.failing_since, &fails.disabled, fails.rev), (Some(10), &None, 2));
    let five_days = 10 + 5 * DAY_MS;
    assert_eq!(fails.after(&answered(503), true, five_days - 1), None);
    let well = fails.after(&answered(204), false, five_days - 1).expect("it answers again");
    assert_eq!((well.failing_since, well.after(&answered(204), false, five_days)), (None, None));
    assert_eq!(fails.after(&answered(500), false, five_days + DAY_MS), None, "its next attempt may arrive");
    let disabled = fails.after(&Outcome::Failed("timed_out".into()), true, five_days).expect("it is disabled");
    assert_eq!(disabled.disabled, Some(Disabled { reason: DisabledFor::Failing, at: five_days }));
    assert_eq!(disabled.after(&answered(500), true, five_days + 1), None);
    assert_eq!(disabled.disabled_event().map(|event| event.what), Some(EventType::WebhookDisabled));
    let gone = webhook().after(&answered(410), true, 10).expect("it is disabled");
    assert_eq!(gone.disabled.map(|disabled| disabled.reason), Some(DisabledFor::Gone));
    // Enabled again it is as one that never failed; disabled by its account it is told to nobody.
    let enabled = disabled.change(WebhookChange { disabled: Some(false), ..WebhookChange::default() }, 20);
    assert_eq!((&enabled.disabled, enabled.failing_since, enabled.rev), (&None, None, disabled.rev + 1));
    let asked = enabled.change(WebhookChange { disabled: Some(true), ..WebhookChange::default() }, 30);
    assert_eq!(asked.disabled, Some(Disabled { reason: DisabledFor::Asked, at: 30 }));
    assert_eq!(asked.disabled_event(), None);
    assert!(asked.listener().disabled);
    // Of another URL nothing is known.
    let url = |url: &str| WebhookChange { url: Some(url.into()), ..WebhookChange::default() };
    assert_eq!(fails.change(url("https://other.example"), 40).failing_since, None);
    assert_eq!(fails.change(url(&fails.url), 40).failing_since, Some(10));
}

#[test]
fn a_secret_that_is_replaced_signs_for_a_day() {
    let mut webhook = webhook();
    let signing = |webhook: &Webhook, now| webhook.signing(now).map(|one| one.secret.clone()).collect::<Vec<_>>();
    webhook = webhook.rotate("whsec_b".into(), 10).expect("there is room");
    let day = 10 + DAY_MS;
    assert_eq!(signing(&webhook, day - 1), ["whsec_b", "whsec_a"]);
    assert_eq!(signing(&webhook, day), ["whsec_b"]);
    for secret in ["whsec_c", "whsec_d"] {
        webhook = webhook.rotate(secret.into(), 20).expect("there is room");
    }
    assert_eq!((signing(&webhook, 30).len(), webhook.rotate("whsec_e".into(), 30)), (WEBHOOK_SECRETS, None));
    // A rotation does not make an old one last longer.
    assert_eq!(signing(&webhook, day), ["whsec_d", "whsec_c", "whsec_b"]);
    assert!(webhook.rotate("whsec_e".into(), day).is_some());
    assert!(!format!("{webhook:?}").contains("whsec_"), "{webhook:?}");
}

#[test]
fn a_change_leaves_what_it_does_not_name() {
    let events: BTreeSet<_> = [EventType::ImportFailed].into();
    let named = WebhookChange {
        url: Some("https://b.example".into()),
        events: Some(Some(events.clone())),
        ..WebhookChange::default()
    };
    let changed = webhook().change(named, 5);
    assert_eq!((changed.url.as_str(), &changed.events, changed.rev), ("https://b.example", &Some(events), 2));
    let all = changed.change(WebhookChange { events: Some(None), ..WebhookChange::default() }, 6);
    assert_eq!((all.url.as_str(), &all.events, &all.secrets), ("https://b.example", &None, &changed.secrets));
}

#[test]
fn a_style_has_one_word() {
    for style in SignatureStyle::ALL {
        assert_eq!(style.as_str().parse(), Ok(style));
        assert_eq!(serde_json::to_value(style).expect("JSON"), style.as_str());
    }
    for reason in DisabledFor::ALL {
        assert_eq!(serde_json::to_value(reason).expect("JSON"), reason.as_str());
    }
    for state in DeliveryState::ALL {
        assert_eq!(serde_json::to_value(state).expect("JSON"), state.as_str());
    }
}

proptest! {
    /// Whatever happens to a delivery, in whatever order: it is pending exactly while there is a next attempt, no
    /// sender makes more attempts than it may, and every write is another revision.
    #[test]
    fn a_delivery_ends(steps in prop::collection::vec((0..6_u8, 0..40_i64, 0.0..=1.0_f64), 1..120)) {
        let (mut delivery, mut now) = (delivery(0), 0);
        for (step, hours, draw) in steps {
            now += hours * 60 * MINUTE_MS;
            let before = delivery.clone();
            let next = match (step, delivery.under_way) {
                (0, true) => Some(delivery.end_attempt(&answered(204), 1, now, draw)),
                (1 | 2, true) => Some(delivery.end_attempt(&answered(500), 1, now, draw)),
                (3, true) => Some(delivery.drop_attempt()),
                (4, _) if hours > 35 => Some(delivery.resend(now)),
                _ => match delivery.begin(delivery.begun, now) {
                    DeliveryBegin::Send(begun) => Some(*begun),
                    DeliveryBegin::GiveUp(ended) => Some(*ended),
                    DeliveryBegin::Nothing => None,
                },
            };
            let Some(next) = next else { continue };
            delivery = next;
            prop_assert_eq!(delivery.rev, before.rev + 1);
            prop_assert_eq!(delivery.next_at.is_some(), delivery.state == DeliveryState::Pending);
            prop_assert!(delivery.tries <= ATTEMPTS && delivery.attempts.len() <= DELIVERY_ATTEMPTS_KEPT);
            prop_assert!(delivery.begun >= before.begun && !(delivery.under_way && delivery.next_at.is_none()));
            if let Some(due_at) = delivery.due_at(now) {
                prop_assert!(due_at >= delivery.next_at.unwrap_or(0), "it is not ordered before its time");
            }
        }
    }
}
