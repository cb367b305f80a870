//! No message makes chunk decoding panic, what is decoded is encoded to the same chunk again, and its rows can be parsed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_engine::{kind::Kind, kinds, plan::Plan, rows};
use penstock_model::ChunkMessage;

fuzz_target!(|body: &str| {
    let Ok(message) = ChunkMessage::decode(body) else { return };
    if let Ok(again) = message.encode() {
        assert_eq!(ChunkMessage::decode(&again).expect("as encoded"), message);
    }
    let kind = Kind::compile(&kinds::all()[0], &message.job.account).expect("a bundled kind compiles");
    if let Ok(mut plan) = Plan::compile(kind, message.job.grammar, &message.job.columns, &message.job.mapping) {
        let records = rows::Records::of(&message.job, &message.chunk);
        rows::parse(&mut plan, &message.job, &records);
    }
});
