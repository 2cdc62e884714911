//! `foil show`: all that a module says of itself, for people.

use super::attack as attack_page;
use super::granted::Granted;
use super::rbac::{self, Rbac};
use super::{Exit, Format, Global, discover};
use crate::console::{out, out_text};
use crate::module::{Catalog, Module};
use anstyle::{AnsiColor, Style};
use anyhow::bail;
use foil_manifest::{Capability, Imports, Limits, Manifest, Network, Parameter, ShieldLevel, attack};
use foil_policy::interface_name;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A module's id, one of its aliases, or a .wasm file; an ATT&CK id for what it is and which modules have it; with --rbac several
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    /// Print the least rights in the cluster that it needs, Foil's own undo included, as YAML to apply
    #[arg(long)]
    rbac: bool,
    /// With --rbac: the namespace that techniques work in [default: the environment's, else one that each run makes]
    #[arg(long, value_name = "NAME", requires = "rbac", value_parser = rbac::namespace)]
    namespace: Option<String>,
    /// With --rbac: the service account that Foil uses
    #[arg(long, value_name = "NAMESPACE/NAME", requires = "rbac", default_value = "foil/foil", value_parser = rbac::account)]
    service_account: (String, String),
}

const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default().bold();

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let catalog = Catalog::open(&global.modules);
    if let [one] = args.ids.as_slice()
        && let Some(id) = attack_page::id(one).filter(|_| !args.rbac && catalog.find(one).is_err())
    {
        return attack_page::show(&id, &catalog, global);
    }
    let modules = args.ids.iter().map(|id| Ok(catalog.find(id)?)).collect::<anyhow::Result<Vec<Module>>>()?;
    if args.rbac {
        return rights(&modules, args, global);
    }
    let [module] = modules.as_slice() else { bail!("several modules are shown with --rbac only: name one") };
    let grants = discover::grants(global, None).map(|found| found.value).ok();
    let granted = Granted::of(module, grants.as_ref());
    match global.format {
        Format::Json => super::print_json(&json(module, granted))?,
        Format::Text => print(module, granted),
    }
    Ok(Exit::Success)
}

fn rights(modules: &[Module], args: Args, global: &Global) -> anyhow::Result<Exit> {
    let cluster = discover::environment(global, None)?.value.cluster;
    let falco = cluster.as_ref().map(|cluster| cluster.falco.clone()).unwrap_or_default().namespace;
    let (named, impersonate) = cluster.map_or((None, None), |cluster| (cluster.namespace, cluster.impersonate));
    let namespace = args.namespace.or(named);
    let settings = rbac::Settings { namespace, account: args.service_account, falco, impersonate };
    let manifests: Vec<&Manifest> = modules.iter().map(|module| &*module.manifest).collect();
    let rbac = Rbac::of(&manifests, &settings)?;
    match global.format {
        Format::Json => super::print_json(&rbac.json())?,
        Format::Text => out_text!("{}", rbac.yaml()),
    }
    Ok(Exit::Success)
}

fn json(module: &Module, granted: Granted) -> serde_json::Value {
    serde_json::json!({
        "manifest": *module.manifest, "imports": module.imports.interfaces, "digest": module.digest,
        "judged": module.judged(), "size": module.size, "source": module.source.raw(),
        "attack-version": attack::version(), "granted": granted.to_string(),
    })
}

fn print(module: &Module, granted: Granted) {
    let manifest = &module.manifest;
    out!("{BOLD}{}{BOLD:#}  {}", manifest.id, manifest.title);
    if !manifest.about.is_empty() {
        out!();
        for line in manifest.about.trim().lines() {
            out!("  {line}");
        }
    }
    out!();
    let field = |name: &str, value: &str| out!("  {name:<11} {value}");
    field("kind", &manifest.kind.to_string());
    field("impact", &manifest.impact.to_string());
    for id in &manifest.attack {
        let tactics = attack::tactics(id.as_str()).join(", ");
        let name = attack::name(id.as_str()).unwrap_or_default();
        field("ATT&CK", &format!("{id} {name} ({tactics}; ATT&CK {})", attack::version()));
    }
    if !manifest.aliases.is_empty() {
        field("aliases", &manifest.aliases.join(", "));
    }
    field("shield", &shields(manifest));
    field("root", if manifest.root { "needed" } else { "not needed" });
    field("idempotent", if manifest.idempotent { "yes" } else { "no" });
    if !manifest.programs.is_empty() {
        field("programs", &manifest.programs.join(", "));
    }
    field("source", &module.source.to_string());
    field("size", &format!("{} bytes", module.size));
    field("digest", &module.digest.to_string());
    let more = match granted {
        Granted::Narrowed | Granted::Changed => format!("; `foil review {}` shows what is granted", manifest.id),
        _ => String::new(),
    };
    field("grant", &format!("{granted}{more}"));
    print_limits(&manifest.limits);
    for (name, parameter) in &manifest.parameters {
        print_parameter(name, parameter);
    }
    if !manifest.one_of.is_empty() {
        field("needed", &format!("at least one of {}", manifest.one_of.join(", ")));
    }
    for (name, about) in manifest.facts.iter().flatten() {
        field("fact", &format!("{name}: {}", about.trim()));
    }
    if !manifest.expected.is_empty() {
        out!("\n{BOLD}Should be noticed by{BOLD:#}");
        for sensor in &manifest.expected {
            out!("  {sensor}");
        }
    }
    out!("\n{BOLD}Asks for{BOLD:#}");
    if manifest.capabilities.is_empty() {
        out!("  nothing");
    }
    for capability in &manifest.capabilities {
        print_capability(capability);
    }
    out!();
    print_imports(&module.imports);
}

fn shields(manifest: &Manifest) -> String {
    let one = |level: &ShieldLevel| match level {
        ShieldLevel::Open => format!("{RED}open{RED:#}"),
        other => other.to_string(),
    };
    manifest.shields().iter().map(one).collect::<Vec<_>>().join(", ")
}

fn print_limits(limits: &Limits) {
    // Named as in the file, and by the type itself, so that no limit can be forgotten here.
    if let Ok(serde_json::Value::Object(limits)) = serde_json::to_value(limits) {
        for (name, value) in limits {
            out!("  {:<11} {name} = {value}", "limit");
        }
    }
}

fn print_parameter(name: &str, parameter: &Parameter) {
    let kind = serde_json::to_value(parameter.kind).unwrap_or_default();
    let mut text = format!("{name}: {}", kind.as_str().unwrap_or_default());
    if parameter.required {
        text.push_str(", required");
    }
    if let Some(default) = &parameter.default {
        text.push_str(&format!(", default {default}"));
    }
    if !parameter.choices.is_empty() {
        let choices: Vec<_> = parameter.choices.iter().map(ToString::to_string).collect();
        text.push_str(&format!(", one of {}", choices.join(", ")));
    }
    let bound = |bound: &Option<serde_json::Number>| bound.as_ref().map(ToString::to_string).unwrap_or_default();
    if parameter.min.is_some() || parameter.max.is_some() {
        text.push_str(&format!(", {}..{}", bound(&parameter.min), bound(&parameter.max)));
    }
    if let Some(form) = &parameter.form {
        text.push_str(&format!(", of the form `{form}`"));
    }
    out!("  {:<11} {text}\n  {:<11} {}", "parameter", "", parameter.about.trim());
}

fn print_capability(capability: &Capability) {
    let name = capability.name();
    let red = matches!(capability, Capability::Exec(_) | Capability::KubeWrite(_) | Capability::KubeExec(_));
    let style = if red { RED } else { BOLD };
    out!("  {style}{name}{style:#}: {}", capability.reason().trim());
    let list = |what: &str, values: Vec<String>| {
        for value in values {
            out!("    {what} {value}");
        }
    };
    match capability {
        Capability::Exec(scope) => {
            list("run", scope.allow.iter().map(ToString::to_string).collect());
            list("children read", scope.reads.clone());
            list("children write", scope.writes.clone());
            list("environment", scope.env.clone());
            if scope.network == Network::Host {
                out!("    {RED}children use the host's network{RED:#}");
            }
            if scope.privileges {
                out!("    {RED}children may gain privileges by set-id programs{RED:#}");
            }
        }
        Capability::FilesRead(scope) => list("read", scope.allow.iter().map(ToString::to_string).collect()),
        Capability::FilesWrite(scope) => list("write", scope.allow.iter().map(ToString::to_string).collect()),
        Capability::EventsRead(scope) => list("collector", scope.allow.clone()),
        // Of a capability without a scope, or one that is newer than this listing, the name and reason stand above.
        other => list("may", other.kube_rules().iter().map(ToString::to_string).collect()),
    }
}

/// The imported functions, by interface.
pub(super) fn print_imports(imports: &Imports) {
    out!("{BOLD}Imports{BOLD:#}");
    if imports.interfaces.is_empty() {
        out!("  nothing");
    }
    for (interface, functions) in &imports.interfaces {
        let functions: Vec<_> = functions.iter().map(String::as_str).collect();
        let functions = if functions.is_empty() { "types only".to_owned() } else { functions.join(", ") };
        let red = matches!(interface_name(interface), "exec" | "kube-write" | "kube-exec");
        let style = if red { RED } else { Style::new() };
        out!("  {style}{interface}{style:#}: {functions}");
    }
}
