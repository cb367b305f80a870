//! No payload makes the splitter's event decoding panic, and an upload that it reads has a key that names it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_split::SplitEvent;

fuzz_target!(|text: &str| {
    let Ok(payload) = serde_json::from_str(text) else { return };
    if let Ok(SplitEvent::Uploads(uploads)) = SplitEvent::read(payload) {
        for upload in uploads {
            assert!(!upload.account.as_str().contains('/') && upload.import.as_str().starts_with("imp_"));
        }
    }
});
