//! A review for people.

use super::Review;
use super::page::{BOLD, GREEN, PLAIN, Page, RED};
use crate::cli::grants_file::short;
use crate::policy::{Direction, interface_name};
use anstyle::Style;
use foil_manifest::{Capability, CapabilityName, ExecScope, Impact, Network, ShieldLevel, attack};

pub fn render(review: &Review<'_>) -> String {
    let mut page = Page::default();
    let (module, manifest) = (&review.module, review.module.manifest);
    page.heading(&format!("{}: {}", manifest.id, manifest.title));
    // An author wraps lines for the editor, we for the page.
    for paragraph in manifest.about.trim().split("\n\n").filter(|p| !p.is_empty()) {
        page.item(2, PLAIN, "", &paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" "));
    }
    let origin = match module {
        module if module.script => "imported, run by a built-in interpreter",
        module if module.builtin => "built in",
        _ => "from outside",
    };
    page.item(2, PLAIN, "kind      ", &format!("{}, {origin}", manifest.kind));
    // Without the alignment it fits into 80 columns to the digit.
    page.item(2, PLAIN, "digest ", &module.digest.to_string());
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
    for capability in &manifest.capabilities {
        request(&mut page, capability);
    }
    for (name, value) in limits(&manifest.limits) {
        page.item(2, PLAIN, "limit     ", &format!("{name} = {value}"));
    }
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
    page.finish()
}

fn imports(page: &mut Page, review: &Review<'_>) {
    page.heading("Can call");
    if review.module.imports.is_empty() {
        page.item(2, PLAIN, "", "nothing");
    }
    for (interface, functions) in review.module.imports {
        let name = interface_name(interface);
        let style = if acts(name) { RED } else { PLAIN };
        let functions: Vec<&str> = functions.iter().map(String::as_str).collect();
        let functions = if functions.is_empty() { "types only".to_owned() } else { functions.join(", ") };
        page.item(2, style, "", &format!("{interface}: {functions}"));
    }
}

/// The sentence that says what a capability is.
fn meaning(name: CapabilityName) -> &'static str {
    match name {
        CapabilityName::Exec => "starts programs on the target; they can do what the shield lets them",
        CapabilityName::FilesRead => "reads files on the target",
        CapabilityName::FilesWrite => "changes files on the target; the journal undoes it",
        CapabilityName::EventsRead => "reads what collectors recorded",
        CapabilityName::LoopbackServe => "serves files to its own programs; nothing leaves the machine",
        CapabilityName::KubeRead => "looks at objects of the cluster; Foil takes the values of Secrets out",
        CapabilityName::KubeWrite => "makes and changes objects of the cluster; the journal undoes it",
        CapabilityName::KubeExec => "starts programs in pods of the run's own, or that the operator named",
        _ => "a capability that is newer than this text",
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

fn request(page: &mut Page, capability: &Capability) {
    let name = capability.name();
    let red = acts(name.interface());
    page.item(2, if red { RED } else { BOLD }, "", &format!("{name}: {}", meaning(name)));
    page.item(4, PLAIN, "reason    ", capability.reason().trim());
    match capability {
        Capability::Exec(scope) => exec(page, scope),
        Capability::FilesRead(scope) => scope.allow.iter().for_each(|p| page.item(4, PLAIN, "read      ", p.as_str())),
        Capability::FilesWrite(scope) => scope.allow.iter().for_each(|p| page.item(4, RED, "write     ", p.as_str())),
        Capability::EventsRead(scope) => scope.allow.iter().for_each(|name| page.item(4, PLAIN, "collector ", name)),
        other => {
            let style = if red { RED } else { PLAIN };
            other.kube_rules().iter().for_each(|rule| page.item(4, style, "may       ", &rule.to_string()));
        }
    }
}

fn exec(page: &mut Page, scope: &ExecScope) {
    for rule in &scope.allow {
        page.item(4, RED, "run       ", rule.as_str());
    }
    for path in &scope.reads {
        page.item(4, PLAIN, "programs read    ", path);
    }
    for path in &scope.writes {
        page.item(4, RED, "programs change  ", path);
    }
    if !scope.env.is_empty() {
        page.item(4, PLAIN, "sets      ", &scope.env.join(", "));
    }
    match scope.network {
        Network::Loopback => page.item(4, PLAIN, "network   ", "none but a loopback of the run's own"),
        Network::Host => page.item(4, RED, "network   ", "the target's"),
    }
    if scope.privileges {
        page.item(4, RED, "", "set-id programs work");
    }
}

/// Named as in the file, and by the type itself, so that no limit can be forgotten here.
fn limits(limits: &foil_manifest::Limits) -> Vec<(String, String)> {
    match serde_json::to_value(limits) {
        Ok(serde_json::Value::Object(map)) => map.into_iter().map(|(name, value)| (name, value.to_string())).collect(),
        _ => Vec::new(),
    }
}

fn grant(page: &mut Page, review: &Review<'_>) {
    page.heading("Grant");
    match &review.state {
        Ok(grant) => {
            let until = grant.expires.map(|when| format!(", until {when}")).unwrap_or_default();
            page.item(
                2,
                PLAIN,
                "",
                &format!("granted on {} by {}{until}: {}", grant.granted, grant.reviewer, grant.reason),
            );
        }
        Err(refusal) => page.item(2, RED, "", &refusal.to_string()),
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

/// Whether a capability of this name does something, and not only looks.
fn acts(name: &str) -> bool {
    matches!(name, "exec" | "files-write" | "kube-write" | "kube-exec")
}

fn dangerous(key: &str, value: &str) -> bool {
    acts(key.split('.').next().unwrap_or_default()) || matches!(value, "open" | "destructive")
}
