//! A review for people.

use super::Review;
use super::page::{GREEN, PLAIN, Page, RED};
use super::request::{limits, request};
use crate::cli::grants_file::short;
use anstyle::Style;
use foil_manifest::{CapabilityName, Impact, ShieldLevel, attack};
use foil_policy::{Direction, Grant, interface_name};
use foil_text::Shown as _;

pub fn render(review: &Review<'_>) -> String {
    let mut page = Page::default();
    let manifest = review.manifest;
    page.heading(&format!("{}: {}", manifest.id, manifest.title));
    // An author wraps lines for the editor, we for the page.
    for paragraph in manifest.about.trim().split("\n\n").filter(|p| !p.is_empty()) {
        page.item(2, PLAIN, "", &paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" "));
    }
    origin(&mut page, review);
    for id in &manifest.attack {
        page.item(2, PLAIN, "ATT&CK    ", &format!("{id} {}", attack::name(id.as_str()).unwrap_or_default()));
    }
    page.item(
        2,
        impact_style(manifest.impact),
        "impact    ",
        &format!("{}: {}", manifest.impact, impact(manifest.impact)),
    );
    for level in manifest.shields() {
        page.item(2, shield_style(*level), "shield    ", &format!("{level}: {}", shield(*level)));
    }
    if manifest.root {
        page.item(2, RED, "root      ", "it needs root on the target");
    }
    imports(&mut page, review);
    page.heading("Asks for");
    if manifest.capabilities.is_empty() {
        page.item(2, PLAIN, "", "nothing");
    }
    for (number, capability) in manifest.capabilities.iter().enumerate() {
        request(&mut page, capability, place(review, number).as_deref());
    }
    limits(&mut page, &manifest.limits);
    if let Some(imported) = review.imported {
        super::script::show(&mut page, imported);
    }
    if !review.warnings.is_empty() {
        page.heading("Beware");
    }
    for warning in &review.warnings {
        page.item(2, RED, "! ", &warning.text);
    }
    grant(&mut page, review);
    if let Some(grant) = review.granted().filter(|_| !review.changes.is_empty()) {
        granted(&mut page, review, grant);
    }
    page.finish()
}

/// What it is, and which version of it.
fn origin(page: &mut Page, review: &Review<'_>) {
    let origin = match &review.module {
        None => "the source's manifest: no code was built",
        Some(module) if module.script => "imported, run by a built-in interpreter",
        Some(module) if module.builtin => "built in",
        Some(_) => "from outside",
    };
    page.item(2, PLAIN, "kind      ", &format!("{}, {origin}", review.manifest.kind));
    if let Some(source) = review.source {
        page.item(2, PLAIN, "source    ", &source.path.shown());
    }
    match &review.module {
        // Without the alignment it fits into 80 columns to the digit.
        Some(module) => page.item(2, PLAIN, "digest ", &module.digest.to_string()),
        None => page.item(2, PLAIN, "digest    ", "none: there is one once it is built"),
    }
}

/// The file and line of a capability, where its source is there.
fn place(review: &Review<'_>, number: usize) -> Option<String> {
    let source = review.source?;
    let line = source.lines.get(number)?;
    let name = source.path.file_name().map(std::path::Path::new)?;
    Some(format!("{}:{line}", name.shown()))
}

fn imports(page: &mut Page, review: &Review<'_>) {
    page.heading("Can call");
    let Some(module) = &review.module else {
        return page.item(2, PLAIN, "", "unknown until it is built; what it asks for bounds it");
    };
    if module.imports.is_empty() {
        page.item(2, PLAIN, "", "nothing");
    }
    for (interface, functions) in module.imports {
        let name = interface_name(interface);
        let style = if acts(name) { RED } else { PLAIN };
        let functions: Vec<&str> = functions.iter().map(String::as_str).collect();
        let functions = if functions.is_empty() { "types only".to_owned() } else { functions.join(", ") };
        page.item(2, style, "", &format!("{interface}: {functions}"));
    }
}

fn impact(impact: Impact) -> &'static str {
    match impact {
        Impact::ReadOnly => "it changes nothing",
        Impact::Reversible => "it changes what the journal can restore",
        Impact::Destructive => "it changes what only an overlay can throw away",
    }
}

fn shield(level: ShieldLevel) -> &'static str {
    match level {
        ShieldLevel::Confined => "programs see the real machine, and reach the granted paths only",
        ShieldLevel::Overlay => "programs see a copy of the machine that vanishes with all they did (needs root)",
        ShieldLevel::Open => "nothing holds the programs: they can do whatever their user can, and it stays",
    }
}

fn impact_style(impact: Impact) -> Style {
    if impact == Impact::Destructive { RED } else { PLAIN }
}

fn shield_style(level: ShieldLevel) -> Style {
    if level == ShieldLevel::Open { RED } else { PLAIN }
}

fn grant(page: &mut Page, review: &Review<'_>) {
    page.heading("Grant");
    match &review.state {
        Some(Ok(grant)) => {
            let until = grant.expires.map(|when| format!(", until {when}")).unwrap_or_default();
            page.item(
                2,
                PLAIN,
                "",
                &format!("granted on {} by {}{until}: {}", grant.granted, grant.reviewer, grant.reason),
            );
        }
        Some(Err(refusal)) => page.item(2, RED, "", &refusal.to_string()),
        None => page.item(2, PLAIN, "", "A source cannot be granted: what is built of it can."),
    }
    let Some(before) = review.before else { return };
    if review.changes.is_empty() {
        page.item(2, PLAIN, "", "It asks for exactly what was granted then.");
        return;
    }
    page.item(
        2,
        PLAIN,
        "",
        &format!("Compared with what was granted on {} ({}), it asks for:", before.granted, short(before.pin)),
    );
    for change in &review.changes {
        let (style, label) = match change.direction {
            Direction::Added => (if dangerous(&change.key, &change.value) { RED } else { GREEN }, "+ "),
            Direction::Removed => (PLAIN, "- "),
        };
        page.item(4, style, label, format!("{} {}", change.key, change.value).trim_end());
    }
}

/// What holds: the grant's own words, where they are not those of the request.
fn granted(page: &mut Page, review: &Review<'_>, grant: &Grant) {
    page.heading("Is granted");
    if grant.capabilities.is_empty() {
        page.item(2, PLAIN, "", "nothing but to run");
    }
    for capability in &grant.capabilities {
        request(page, capability, None);
    }
    let missing = |name: &CapabilityName| !grant.capabilities.iter().any(|granted| granted.name() == *name);
    let asked = review.manifest.capabilities.iter().map(foil_manifest::Capability::name);
    let denied: Vec<String> = asked.filter(missing).map(|name| name.to_string()).collect();
    if !denied.is_empty() {
        page.item(2, PLAIN, "denied    ", &denied.join(", "));
    }
    let levels: Vec<String> = grant.shield.iter().map(ToString::to_string).collect();
    if !levels.is_empty() {
        let style = if grant.shield.contains(&ShieldLevel::Open) { RED } else { PLAIN };
        page.item(2, style, "shield    ", &levels.join(" or "));
    }
    if let Some(most) = grant.impact {
        page.item(2, impact_style(most), "impact    ", &format!("at most {most}"));
    }
    limits(page, &grant.limits);
}

/// Whether a capability of this name does something, and not only looks.
fn acts(name: &str) -> bool {
    CapabilityName::ALL.into_iter().any(|capability| capability.interface() == name && capability.acts())
}

/// Whether a difference is one that a reviewer must stop at.
pub(super) fn dangerous(key: &str, value: &str) -> bool {
    acts(key.split('.').next().unwrap_or_default()) || matches!(value, "open" | "destructive")
}
