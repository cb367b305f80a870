//! `penstock kinds`: the kinds of records, and those of one's own.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Subcommand;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use penstock_client::ClientError;
use penstock_model::{KindName, advice::shown};

use crate::{
    help,
    interrupt::end_when_interrupted,
    output::{self, FileId},
    printed,
    schema_file::name_of,
    service::Service,
    show::OutputArgs,
    source::standard_input,
    terminal,
};

#[derive(Subcommand)]
pub(crate) enum KindsCommand {
    /// Lists the bundled kinds and the account's own.
    #[command(after_help = help::KINDS_LIST)]
    List {
        /// Prints each as a JSON object on a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Prints a kind's schema, a Table Schema document in JSON.
    #[command(after_help = help::KINDS_SHOW)]
    Show {
        /// The kind's name.
        kind: String,
        /// Changes nothing: a schema is JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        service: Service,
    },
    /// Registers a schema as the newest version of the account's kind of its name, or of its file's.
    #[command(after_help = help::KINDS_PUT)]
    Put {
        /// The schema's file; `-` is standard input.
        file: PathBuf,
        /// Prints the kind as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Deletes the account's kind with all its versions. On a terminal it asks first.
    #[command(after_help = help::KINDS_DELETE)]
    Delete {
        /// The kind's name.
        kind: String,
        /// Does not ask.
        #[arg(long, short)]
        yes: bool,
        /// Prints what was done as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Prints the first line of a CSV of the kind's records, with a column for each field.
    #[command(after_help = help::KINDS_TEMPLATE)]
    Template {
        /// The kind's name.
        kind: String,
        /// Prints a JSON object with the kind and that line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        service: Service,
    },
}

pub(crate) async fn run(command: KindsCommand) -> anyhow::Result<ExitCode> {
    end_when_interrupted()?;
    match command {
        KindsCommand::List { json, service } => {
            for kind in service.client()?.kinds().await? {
                if json {
                    terminal::say_json_line(&kind)?;
                } else {
                    let version = kind.version.map_or("bundled".to_owned(), |version| format!("version {version}"));
                    say!("{:<24}  {version:<12}  {}", kind.name, kind.title);
                }
            }
        }
        KindsCommand::Show { kind, json: _, output, service } => {
            let file = printed::open(output.output.as_deref())?;
            let text = service.client()?.kind_text(&kind).await?;
            let document: Box<RawValue> = serde_json::from_str(&text).context("the schema is no JSON")?;
            match file {
                Some(file) => output::write(&terminal::json_text(&document)?, Some(file))?,
                None => terminal::say_json(&document)?,
            }
        }
        KindsCommand::Put { file, json, service } => put(&service, &file, json).await?,
        KindsCommand::Delete { kind, yes, json, service } => return delete(&service, &kind, yes, json).await,
        KindsCommand::Template { kind, json, output, service } => {
            let file = printed::open(output.output.as_deref())?;
            let template = service.client()?.kind_template(&kind).await?;
            let text = if json {
                let document = json!({ "kind": kind, "template": template.trim_end_matches(['\r', '\n']) });
                format!("{}\n", terminal::json_line(&document)?)
            } else {
                template
            };
            output::write(&text, file)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn delete(service: &Service, kind: &str, yes: bool, json: bool) -> anyhow::Result<ExitCode> {
    let client = service.client()?;
    if !yes && terminal::has_a_person() {
        let question = format!("delete the kind {} with all its versions?", shown(kind));
        anyhow::ensure!(terminal::agrees(&question)?, "it is not deleted");
    }
    // A kind of very many deleted records is looked through by several requests, each of which goes on.
    while let Err(error) = client.delete_kind(kind).await {
        let goes_on = matches!(&error, ClientError::Refused { code, .. } if code == "kind_not_looked_through");
        anyhow::ensure!(goes_on, error);
    }
    if json {
        terminal::say_json(&json!({ "kind": kind, "deleted": true }))?;
    } else {
        say!("{}  deleted", shown(kind));
    }
    Ok(ExitCode::SUCCESS)
}

/// The one part of a schema that its path repeats.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: serde_json::Value,
}

async fn put(service: &Service, file: &Path, json: bool) -> anyhow::Result<()> {
    let shown = || file.display().to_string();
    let mut input = if file == Path::new("-") { standard_input() } else { File::open(file) }.with_context(shown)?;
    FileId::of_input(&shown(), &input.metadata().with_context(shown)?)?;
    let mut document = Vec::new();
    input.read_to_end(&mut document).with_context(shown)?;
    let named = serde_json::from_slice::<Named>(&document);
    let Named { name } = named.with_context(|| format!("{} is no schema: a JSON object", file.display()))?;
    let own = name.as_str().and_then(|name| name.parse::<KindName>().ok());
    let name = own.or_else(|| name_of(file)).with_context(|| {
        format!("neither the schema in {} nor the file's name names a kind: add a \"name\"", file.display())
    })?;
    let kind = service.client()?.put_kind_text(name.as_str(), document).await?;
    if json {
        return terminal::say_json(&kind);
    }
    say!("{}  version {}  {}", kind.name, kind.version.unwrap_or(0), kind.title);
    Ok(())
}
