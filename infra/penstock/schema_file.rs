//! A kind in a file: a Table Schema document, which a command reads or registers.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use anyhow::Context;
use penstock_client::Client;
use penstock_engine::{kind::Kind, kinds};
use penstock_model::{KindName, Schema};

use crate::output::FileId;

/// A kind in a file, checked as the service would check it.
pub(crate) struct SchemaFile {
    pub(crate) schema: Schema,
    id: FileId,
    path: String,
    document: Vec<u8>,
}

impl SchemaFile {
    /// Reads the kind in a file. It names itself, or else the file's name does.
    ///
    /// # Errors
    /// The file cannot be read, or is no kind.
    pub(crate) fn read(path: &str) -> anyhow::Result<Self> {
        let read = || -> io::Result<_> {
            let (mut file, mut document) = (File::open(path)?, Vec::new());
            file.read_to_end(&mut document)?;
            Ok((file.metadata()?, document))
        };
        let read = read();
        let (found, document) =
            read.with_context(|| format!("`{path}` is no bundled kind, and cannot be read as a schema's file"))?;
        let id = FileId::of_input(path, &found)?;
        let schema = match name_of(Path::new(path)) {
            Some(name) => Kind::parse_as(&document, &name),
            None => Kind::parse(&document),
        };
        let schema = schema.with_context(|| format!("the schema in {path}"))?;
        Kind::register(&schema, &crate::LOCAL_ACCOUNT.parse()?).with_context(|| format!("the schema in {path}"))?;
        Ok(Self { schema, id, path: path.to_owned(), document })
    }

    /// Which file it is.
    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Reads the kind that an argument names by a file; `None` for the name of a kind.
    ///
    /// # Errors
    /// Those of [`SchemaFile::read`].
    pub(crate) fn of_argument(kind: &str) -> anyhow::Result<Option<Self>> {
        if kind.parse::<KindName>().is_ok() { Ok(None) } else { Self::read(kind).map(Some) }
    }

    /// Registers the kind at a service, and says what became of it. A repeat makes no new version.
    ///
    /// # Errors
    /// The service does not take it.
    pub(crate) async fn register(&self, client: &Client) -> anyhow::Result<String> {
        let (name, path) = (self.schema.name.as_str(), &self.path);
        anyhow::ensure!(
            kinds::bundled(&self.schema.name).is_none(),
            "the schema in {path} is called `{name}`, as a bundled kind is: give it another name"
        );
        let known = client.kinds().await?.into_iter().find(|kind| kind.name == name);
        let kind = client.put_kind_text(name, self.document.clone()).await?;
        let version = kind.version.unwrap_or(0);
        Ok(match known.and_then(|known| known.version) {
            Some(before) if before == version => format!("kind {name}, version {version}, is {path} already"),
            _ => format!("kind {name}, version {version}, is registered from {path}"),
        })
    }
}

/// The name that a schema's file gives its kind: that of the file, in small letters, with hyphens for what has no place
/// in a kind's name.
pub(crate) fn name_of(path: &Path) -> Option<KindName> {
    let name = path.file_name()?.to_str()?.to_lowercase();
    let stem = name.strip_suffix(".json").unwrap_or(&name);
    let stem = stem.strip_suffix(".schema").or_else(|| stem.strip_suffix(".tableschema")).unwrap_or(stem);
    let plain: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    plain.trim_matches('-').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_becomes_a_kinds() {
        let name = |path: &str| name_of(Path::new(path)).map(|name| name.to_string());
        assert_eq!(name("a/Country_Codes.schema.json").as_deref(), Some("country-codes"));
        assert_eq!(name("parts.json").as_deref(), Some("parts"));
        assert_eq!(name("./parts").as_deref(), Some("parts"));
        assert_eq!((name("-.json"), name("/")), (None, None));
    }
}
