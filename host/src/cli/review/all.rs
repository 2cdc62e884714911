//! All modules, riskiest first.

use super::Review;
use crate::cli::{Format, Global, discover, print_json, table};
use crate::console::{err, out};
use crate::module::{Catalog, Filter};
use comfy_table::Table;
use foil_manifest::Kind;
use foil_policy::Risk;
use foil_record::Exit;
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) fn run(catalog: &Catalog, kind: Option<Kind>, global: &Global) -> anyhow::Result<Exit> {
    let modules = catalog.modules(&Filter { kind, ..Filter::default() });
    let grants = discover::grants(global, None)?;
    let now = Timestamp::now();
    let reviews = modules.iter().map(|module| (module, Review::of_module(module, &grants.value, now)));
    let mut rows: Vec<_> = reviews
        .map(|(module, review)| (Risk::of(review.manifest, &review.warnings), module.source.raw(), review))
        .collect();
    // The catalog's order, by id, decides where nothing else does.
    rows.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    match global.format {
        Format::Json => {
            print_json(&rows.iter().map(|(risk, from, review)| json(risk, from, review)).collect::<Vec<_>>())?
        }
        Format::Text if rows.is_empty() => out!("no module matches"),
        Format::Text => {
            out!("{}", text(rows.iter().map(|(risk, _, review)| (risk, review))));
            out!("\nRiskiest first; a review of one module says why. docs/policy.md explains each hazard.");
        }
    }
    for problem in catalog.problems() {
        err!("foil: {problem}");
    }
    Ok(if catalog.problems().next().is_none() { Exit::Success } else { Exit::Usage })
}

fn text<'a>(rows: impl Iterator<Item = (&'a Risk, &'a Review<'a>)>) -> Table {
    let mut table = table(["id", "hazards", "impact", "shield", "grant"]);
    for (risk, review) in rows {
        let manifest = review.manifest;
        let hazards: Vec<&str> = risk.hazards.iter().map(|hazard| hazard.code()).collect();
        let hazards = if hazards.is_empty() { "none".to_owned() } else { hazards.join(", ") };
        let shields: Vec<String> = manifest.shields().iter().map(ToString::to_string).collect();
        // A check starts nothing, so that nothing has to be held.
        let shield = if manifest.kind == Kind::Check { "(check)".to_owned() } else { shields.join(" ") };
        let grant = super::json::state(review);
        let narrowed = if review.granted().is_some() && !review.changes.is_empty() { ", not as asked" } else { "" };
        table.add_row([
            manifest.id.to_string(),
            hazards,
            manifest.impact.to_string(),
            shield,
            format!("{grant}{narrowed}"),
        ]);
    }
    table
}

/// One row for programs. Fields are added, never renamed.
fn json(risk: &Risk, source: &str, review: &Review<'_>) -> Value {
    let manifest = review.manifest;
    let capabilities: Vec<_> = manifest.capabilities.iter().map(foil_manifest::Capability::name).collect();
    json!({
        "id": manifest.id, "kind": manifest.kind, "hazards": risk.hazards, "warnings": review.warnings,
        "impact": manifest.impact, "shield": manifest.shields(), "root": manifest.root, "capabilities": capabilities,
        "digest": review.module.map(|module| module.digest), "source": source,
        "grant": { "state": super::json::state(review), "changes": review.changes },
    })
}
