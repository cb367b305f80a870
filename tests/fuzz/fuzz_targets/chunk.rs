//! No message makes decoding panic, what is decoded is encoded to the same order, and a chunk's rows can be parsed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_engine::{kind::Kind, kinds, plan::Plan, rows};
use penstock_model::Order;

fuzz_target!(|body: &str| {
    let Ok(order) = Order::decode(body) else { return };
    if let Ok(encoded) = order.encode() {
        assert_eq!(Order::decode(&encoded).expect("as encoded"), order);
    }
    let Order::Chunk(message) = order else { return };
    let kind = Kind::compile(&kinds::all()[0], &message.job.account).expect("a bundled kind compiles");
    let Ok(kind) = kind.read_by(&message.job.reading) else { return };
    if let Ok(mut plan) = Plan::compile(kind, message.job.grammar, &message.job.columns, &message.job.options.mapping) {
        let records = rows::Records::of(&message.job, &message.chunk);
        rows::parse(&mut plan, &message.job, &records);
    }
});
