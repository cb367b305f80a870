//! Services that the command knows by name, each with a key: `~/.config/penstock/config.toml`, which only its owner can
//! read.
//!
//! ```toml
//! [profiles.default]
//! url = "https://imports.example.com"
//! token = "key_1.secret"
//! ```

use std::{
    io::{self, IsTerminal, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;
use penstock_client::{Client, ClientError, Credential, ImportFilter, base_url};
use serde_json::json;
use toml_edit::{DocumentMut, Item, Table, value};

use crate::{
    output::{FileId, Output},
    source::standard_input,
    terminal, variable,
};

/// The profile that is used where none is named.
pub(crate) const DEFAULT: &str = "default";

const PROFILES: &str = "profiles";

/// A service and a key of it.
pub(crate) struct Profile {
    pub(crate) url: String,
    pub(crate) token: String,
}

/// Where the profiles are: `$XDG_CONFIG_HOME` or `~/.config` (XDG Base Directory Specification).
fn path() -> anyhow::Result<PathBuf> {
    let folder = variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let folder = folder.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")));
    let folder = folder.context("there is no home folder for profiles: set HOME or XDG_CONFIG_HOME")?;
    Ok(folder.join("penstock").join("config.toml"))
}

/// The file with all profiles; an empty one if there is none.
fn read() -> anyhow::Result<DocumentMut> {
    let path = path()?;
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(DocumentMut::new()),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let mode = std::fs::metadata(&path)?.permissions().mode();
    if mode & 0o077 != 0 {
        note!("{} holds keys and others may read it: chmod 600 {0}", path.display());
    }
    // Its message shows the line, which may hold a key.
    let parsed = text.parse::<DocumentMut>();
    parsed.map_err(|error| anyhow::anyhow!("{} is no TOML: {}", path.display(), error.message()))
}

/// The profile of a name, if there is one.
///
/// # Errors
/// The profiles cannot be read, or this one lacks a part.
pub(crate) fn find(name: &str) -> anyhow::Result<Option<Profile>> {
    // Who has no home has no profiles.
    if path().is_err() {
        return Ok(None);
    }
    let document = read()?;
    let Some(profile) = document.get(PROFILES).and_then(|profiles| profiles.get(name)) else { return Ok(None) };
    let part = |part: &str| {
        let text = profile.get(part).and_then(Item::as_str).map(str::to_owned);
        let path = path()?;
        text.with_context(|| format!("the profile {name} in {} has no {part}", path.display()))
    };
    Ok(Some(Profile { url: part("url")?, token: part("token")? }))
}

/// Writes the file, readable by its owner alone, in a folder of his own.
fn write(document: &DocumentMut) -> anyhow::Result<PathBuf> {
    let path = path()?;
    let folder = path.parent().context("a file is in a folder")?;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| folder.display().to_string())?;
    let mut file = Output::open_private(&path)?;
    file.write_all(document.to_string().as_bytes()).with_context(|| path.display().to_string())?;
    file.keep()?;
    Ok(path)
}

/// What a profile is made of.
#[derive(Args)]
pub(crate) struct LoginArgs {
    /// The service's base URL; asked for if not given.
    #[arg(long)]
    url: Option<String>,
    /// The API key, `<id>.<secret>` or `<id>:<secret>`; asked for, or read from standard input, if not given.
    #[arg(long)]
    token: Option<String>,
    /// What the service is to be called.
    #[arg(long, default_value = DEFAULT)]
    profile: String,
    /// Prints what was done as JSON, never the secret.
    #[arg(long)]
    json: bool,
}

/// Stores a service and a key, once the service has taken the key.
pub(crate) async fn login(args: LoginArgs) -> anyhow::Result<ExitCode> {
    let has_a_person = terminal::has_a_person();
    let url = match args.url {
        Some(url) => url,
        None if has_a_person => terminal::ask("URL of the service: ")?,
        None => anyhow::bail!("name the service: --url https://HOST"),
    };
    let url = base_url(&url)?;
    let token = match args.token {
        Some(token) => token,
        None if has_a_person => terminal::ask_secret("API key (<id>.<secret>): ")?,
        None => {
            anyhow::ensure!(!io::stdin().is_terminal(), "give the key by --token, or on standard input");
            FileId::of_input("standard input", &standard_input()?.metadata()?)?;
            io::read_to_string(io::stdin())?
        }
    };
    let credential: Credential = token.parse()?;
    let client = Client::new(&url, &credential.token())?;
    match client.imports(&ImportFilter::default(), None, 1).await {
        Ok(_) => {}
        // An operator's key need not read imports.
        Err(ClientError::Refused { code, .. }) if code == "forbidden" => {}
        Err(error) => return Err(error).with_context(|| format!("{url} did not take the key; nothing is stored")),
    }
    let mut document = read()?;
    let profiles = document.entry(PROFILES).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        table.into()
    });
    let profiles = profiles.as_table_like_mut().context("`profiles` in the config file is no table")?;
    let profile = profiles.entry(&args.profile).or_insert_with(|| Table::new().into());
    let profile = profile.as_table_like_mut().context("the profile in the config file is no table")?;
    profile.insert("url", value(&url));
    profile.insert("token", value(credential.token()));
    let path = write(&document)?;
    if args.json {
        let stored = json!({ "profile": args.profile, "url": url, "key_id": credential.id, "config": path });
        terminal::say_json(&stored)?;
        return Ok(ExitCode::SUCCESS);
    }
    let how = if args.profile == DEFAULT {
        "wherever none is named".into()
    } else {
        format!("by --profile {}", args.profile)
    };
    say!("{url} with the key {} is stored in {}; it is used {how}", credential.id, path.display());
    Ok(ExitCode::SUCCESS)
}

/// Removes a service and its key.
pub(crate) fn logout(name: &str, json: bool) -> anyhow::Result<ExitCode> {
    let mut document = read()?;
    let profiles = document.get_mut(PROFILES).and_then(Item::as_table_like_mut);
    let removed = profiles.and_then(|profiles| profiles.remove(name));
    anyhow::ensure!(removed.is_some(), "there is no profile {name} in {}", path()?.display());
    let path = write(&document)?;
    if json {
        terminal::say_json(&json!({ "profile": name, "removed": true, "config": path }))?;
    } else {
        say!("the profile {name} is removed from {}; its key is taken still: `penstock keys revoke`", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
