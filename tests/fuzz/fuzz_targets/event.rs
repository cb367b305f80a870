//! No payload makes the reading of storage events panic, and an upload that it reads has a key that names it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_runtime::event::UploadEvent;

fuzz_target!(|text: &str| {
    let Ok(payload) = serde_json::from_str(text) else { return };
    for upload in UploadEvent::read(payload).unwrap_or_default() {
        assert!(!upload.account.as_str().contains('/') && upload.import.as_str().starts_with("imp_"));
    }
});
