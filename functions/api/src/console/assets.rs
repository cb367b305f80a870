//! What the pages load: modules, the style and the icon. They are part of the program.

use std::{
    io::Write,
    sync::{LazyLock, OnceLock},
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

/// A file of the console.
#[derive(Debug)]
pub(super) struct Asset {
    pub(super) name: &'static str,
    pub(super) media_type: &'static str,
    pub(super) text: &'static str,
    packed: OnceLock<Vec<u8>>,
}

impl Asset {
    /// The file as gzip, which is made once.
    pub(super) fn packed(&self) -> &[u8] {
        self.packed.get_or_init(|| pack(self.text))
    }
}

/// A text as gzip.
pub(super) fn pack(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("writing to memory succeeds")
}

/// Makes `ASSETS` of files in `functions/api/console/`, each with its media type.
macro_rules! assets {
    ($($name:literal: $media_type:expr),+ $(,)?) => {
        /// Everything that a page may load.
        pub(super) static ASSETS: [Asset; [$($name),+].len()] = [$(Asset {
            name: $name,
            media_type: $media_type,
            text: include_str!(concat!("../../console/", $name)),
            packed: OnceLock::new(),
        }),+];
    };
}

const MODULE: &str = "text/javascript; charset=utf-8";

assets! {
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "api.js": MODULE,
    "chart.js": MODULE,
    "dom.js": MODULE,
    "errors.js": MODULE,
    "fields.js": MODULE,
    "import.js": MODULE,
    "imports.js": MODULE,
    "keys.js": MODULE,
    "kind.js": MODULE,
    "kinds.js": MODULE,
    "new.js": MODULE,
    "page.js": MODULE,
    "records.js": MODULE,
    "sign-in.js": MODULE,
    "upload.js": MODULE,
    "webhooks.js": MODULE,
    "words.js": MODULE,
}

/// The folder in which they are, below the console: the begin of the hash of them all. Another version of any of them
/// is in another folder.
pub(super) static FOLDER: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in &ASSETS {
        for text in [asset.name, asset.text] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
});
