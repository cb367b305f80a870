//! No message makes chunk decoding panic, what is decoded is encoded to the same chunk again, and its rows can be parsed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_engine::{kinds, plan::Plan, rows};
use penstock_model::ChunkMessage;

fuzz_target!(|body: &str| {
    let Ok(message) = ChunkMessage::decode(body) else { return };
    if let Ok(again) = message.encode() {
        assert_eq!(ChunkMessage::decode(&again).expect("as encoded"), message);
    }
    if let Ok(plan) = Plan::compile(&kinds::all()[0], &message.job.columns) {
        rows::parse(&plan, &message.job, &message.chunk);
    }
});
