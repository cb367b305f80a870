//! No payload makes the reading of storage events panic, and what it reads has a key that names it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_runtime::event::StorageEvent;

fuzz_target!(|text: &str| {
    let Ok(payload) = serde_json::from_str(text) else { return };
    for event in StorageEvent::read(payload).unwrap_or_default() {
        match event {
            StorageEvent::Upload(upload) => {
                assert!(!upload.account.as_str().contains('/') && upload.import.as_str().starts_with("imp_"));
            }
            StorageEvent::Inbox(file) => assert!(file.key.starts_with("inbox/") && !file.version.is_empty()),
        }
    }
});
