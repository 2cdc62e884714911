//! `foil schema`: JSON Schemas (draft 2020-12) of what people write and of what Foil prints, made from the types that read and
//! write them.

use super::Exit;
use crate::campaign::checks::Checks;
use crate::campaign::experiment::Expectations;
use crate::campaign::{Experiment, document};
use crate::console::out;
use clap::ValueEnum;
use foil_manifest::{Kind, Manifest};
use foil_policy::{environment, grants};
use foil_report::ReportDocument;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of what
    #[arg(value_enum)]
    of: Of,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Of {
    /// An experiment's file
    Experiment,
    /// A campaign's file
    Campaign,
    /// foil.yaml
    Environment,
    /// grants.toml
    Grants,
    /// A technique's technique.toml
    Technique,
    /// A check's check.toml
    Check,
    /// What `run` and `fire` print with `--format json`
    Report,
}

pub(super) fn run(args: Args) -> anyhow::Result<Exit> {
    let mut schema = match args.of {
        Of::Experiment => experiment(),
        Of::Campaign => read::<document::File>("A campaign of Foil"),
        Of::Environment => read::<environment::File<Expectations>>("foil.yaml"),
        Of::Grants => read::<grants::File>("grants.toml"),
        Of::Technique => manifest(Kind::Technique),
        Of::Check => manifest(Kind::Check),
        Of::Report => {
            made::<Vec<ReportDocument<'_>>>(SchemaSettings::draft2020_12().for_serialize(), "Reports of Foil")
        }
    };
    plain_words(&mut schema);
    out!("{schema:#}");
    Ok(Exit::Success)
}

/// An experiment in a file of its own has a name; a step of a campaign need not. Without a technique it has checks only, so that what
/// belongs to a technique has no place in it.
fn experiment() -> Value {
    let mut schema = read::<Experiment>("An experiment of Foil");
    let checks = read::<Checks>("");
    let keys = |of: &Value| -> Vec<String> {
        of["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    let shared = keys(&checks);
    let of_technique: Vec<String> = keys(&schema).into_iter().filter(|key| !shared.contains(key)).collect();
    let without: Vec<Value> = of_technique.iter().map(|key| json!({ "required": [key] })).collect();
    let needed = schema.get_mut("required").map(Value::take).unwrap_or_default();
    if let Some(all) = schema.as_object_mut() {
        all.insert("required".into(), json!(["experiment"]));
        let checks = json!({ "required": checks.get("required"), "not": { "anyOf": without } });
        all.insert("anyOf".into(), json!([{ "required": needed }, checks]));
    }
    schema
}

/// Of a file that is read.
fn read<T: JsonSchema>(title: &str) -> Value {
    made::<T>(SchemaSettings::draft2020_12().for_deserialize(), title)
}

fn made<T: JsonSchema>(settings: SchemaSettings, title: &str) -> Value {
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema.into()
}

/// A module's manifest as it is written: its file's name says the kind, and the kind what is needed.
fn manifest(kind: Kind) -> Value {
    let mut schema = read::<Manifest>(kind.file_name());
    if let Some(needed) = schema.get_mut("required").and_then(Value::as_array_mut) {
        needed.retain(|name| name != "kind");
        if kind == Kind::Technique {
            needed.push("attack".into());
        }
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.remove("kind");
        match kind {
            Kind::Check => _ = properties.insert("impact".into(), json!({ "const": "read-only" })),
            Kind::Technique => {
                if let Some(attack) = properties.get_mut("attack").and_then(Value::as_object_mut) {
                    attack.insert("minItems".into(), 1.into());
                }
            }
        }
    }
    if let Some(definitions) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        definitions.remove("Kind");
    }
    schema
}

/// Descriptions are the types' documentation, whose links and line breaks mean nothing elsewhere.
fn plain_words(schema: &mut Value) {
    match schema {
        Value::Object(all) => {
            for (name, value) in all.iter_mut() {
                match value {
                    Value::String(text) if name == "description" => {
                        *text = text.replace("[`", "`").replace("`]", "`").replace('\n', " ")
                    }
                    other => plain_words(other),
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(plain_words),
        _ => {}
    }
}
