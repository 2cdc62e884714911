//! What changed in what a module asks for and says of itself, from one version of it to another.

mod lists;
#[cfg(test)]
mod tests;

use super::limits;
use super::warn::interface_name;
use foil_manifest::{Capability, ExecScope, Limits, Manifest, ShieldLevel};
use lists::{Lists, texts};
use std::collections::{BTreeMap, BTreeSet};

/// Functions by interface.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// How something changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// The new version has it, the old one does not.
    Added,
    /// It allows what it allowed, and more.
    Widened,
    /// It allows less than it did.
    Narrowed,
    /// The old version has it, the new one does not.
    Removed,
    /// It is another, which is neither more nor less.
    Changed,
}

impl Effect {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Widened => "widened",
            Self::Narrowed => "narrowed",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// One difference between two versions.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Where: `exec`, `exec.allow`, `impact`, `parameters.count` …
    pub key: String,
    /// How it changed.
    pub effect: Effect,
    /// What it was; `None` of what was added.
    pub old: Option<String>,
    /// What it is; `None` of what was removed.
    pub new: Option<String>,
    /// It is part of what a reviewer grants: imports, capabilities, limits, shields, impact, root. Everything else is what the module
    /// says of itself.
    pub asked: bool,
}

impl Difference {
    /// The new version asks for something that the old one does not.
    pub fn is_more(&self) -> bool {
        self.asked && matches!(self.effect, Effect::Added | Effect::Widened)
    }

    /// The new version does not ask for something that the old one does.
    pub fn is_less(&self) -> bool {
        self.asked && matches!(self.effect, Effect::Removed | Effect::Narrowed)
    }
}

/// What changed from `old` to `new`. `imports`: of both, where both were built.
pub fn versions(old: &Manifest, new: &Manifest, imports: Option<(&Imports, &Imports)>) -> Vec<Difference> {
    let mut lists = Lists::default();
    capabilities(&mut lists, &old.capabilities, &new.capabilities);
    lists.grade("impact", old.impact, new.impact, |impact| impact.to_string());
    lists.grade("root", old.root, new.root, |root| (if *root { "needed" } else { "not needed" }).to_owned());
    lists.plain("shield", &texts(old.shields()), &texts(new.shields()));
    limits_of(&mut lists, &old.limits, &new.limits);
    if let Some((old, new)) = imports {
        lists.plain("imports", &functions(old), &functions(new));
    }
    lists.says_of_itself();
    lists.scalar("kind", old.kind, new.kind);
    lists.scalar("id", &old.id, &new.id);
    lists.scalar("title", &old.title, &new.title);
    lists.scalar("about", old.about.trim(), new.about.trim());
    lists.plain("attack", &texts(&old.attack), &texts(&new.attack));
    lists.plain("aliases", &old.aliases, &new.aliases);
    lists.plain("expected", &old.expected, &new.expected);
    lists.plain("events", &old.events, &new.events);
    lists.plain("programs", &old.programs, &new.programs);
    lists.plain("one-of", &old.one_of, &new.one_of);
    lists.scalar("idempotent", old.idempotent, new.idempotent);
    lists.json("tied-by", &old.tied_by, &new.tied_by);
    lists.map("parameters", &old.parameters, &new.parameters);
    lists.map("facts", &old.facts.clone().unwrap_or_default(), &new.facts.clone().unwrap_or_default());
    preference(&mut lists, old.shields(), new.shields());
    lists.found
}

/// Another level is preferred now, though the one that was is still there; or the same levels stand in another order.
fn preference(lists: &mut Lists, old: &[ShieldLevel], new: &[ShieldLevel]) {
    let kept = old.first().is_some_and(|first| new.contains(first)) && old.first() != new.first();
    let same = old.len() == new.len() && old.iter().all(|level| new.contains(level));
    if kept || same {
        lists.scalar("shield (the first is preferred)", texts(old).join(", "), texts(new).join(", "));
    }
}

fn functions(imports: &Imports) -> Vec<String> {
    let of = |(interface, functions): (&String, &BTreeSet<String>)| {
        let name = interface_name(interface).to_owned();
        functions.iter().map(move |function| format!("{name}.{function}")).collect::<Vec<_>>()
    };
    imports.iter().flat_map(of).collect()
}

fn capabilities(lists: &mut Lists, old: &[Capability], new: &[Capability]) {
    let of =
        |list: &[Capability], capability: &Capability| list.iter().find(|c| c.name() == capability.name()).cloned();
    for capability in new {
        match of(old, capability) {
            Some(before) => {
                scope(lists, Some(&before), Some(capability));
                let key = format!("{}.reason", capability.name());
                lists.remark(&key, before.reason().trim(), capability.reason().trim());
            }
            None => {
                lists.whole(&capability.name().to_string(), Effect::Added, capability.reason().trim());
                scope(lists, None, Some(capability));
            }
        }
    }
    for capability in old.iter().filter(|capability| of(new, capability).is_none()) {
        lists.whole(&capability.name().to_string(), Effect::Removed, capability.reason().trim());
        scope(lists, Some(capability), None);
    }
}

/// The scopes of one capability; what is not there is empty.
fn scope(lists: &mut Lists, old: Option<&Capability>, new: Option<&Capability>) {
    let Some(name) = new.or(old).map(Capability::name) else { return };
    let exec = |capability: Option<&Capability>| match capability {
        Some(Capability::Exec(scope)) => scope.clone(),
        _ => ExecScope::default(),
    };
    let paths = |capability: Option<&Capability>| match capability {
        Some(Capability::FilesRead(scope) | Capability::FilesWrite(scope)) => scope.allow.clone(),
        _ => Vec::new(),
    };
    let collectors = |capability: Option<&Capability>| match capability {
        Some(Capability::EventsRead(scope)) => scope.allow.clone(),
        _ => Vec::new(),
    };
    let rules = |capability: Option<&Capability>| capability.map(|c| c.kube_rules().to_vec()).unwrap_or_default();
    let key = |field: &str| format!("{name}.{field}");
    let (a, b) = (exec(old), exec(new));
    lists.list(&key("allow"), &a.allow, &b.allow, foil_manifest::CommandPattern::covers);
    let within = |outer: &String, inner: &String| super::paths::contains(outer, inner);
    lists.list(&key("reads"), &a.reads, &b.reads, within);
    lists.list(&key("writes"), &a.writes, &b.writes, within);
    lists.plain(&key("env"), &a.env, &b.env);
    lists.json_grade(&key("network"), a.network, b.network);
    lists.json_grade(&key("privileges"), a.privileges, b.privileges);
    lists.list(&key("allow"), &paths(old), &paths(new), foil_manifest::PathPattern::covers);
    let names = |outer: &String, inner: &String| foil_manifest::pattern::names_collector(outer, inner);
    lists.list(&key("allow"), &collectors(old), &collectors(new), names);
    lists.list(&key("allow"), &rules(old), &rules(new), foil_manifest::KubeRule::covers);
}

/// A manifest can only lower a limit, so that one that is gone is one that was raised.
fn limits_of(lists: &mut Lists, old: &Limits, new: &Limits) {
    for (name, field) in limits::named() {
        let (a, b) = (field(old), field(new));
        let effect = match a.unwrap_or(u64::MAX).cmp(&b.unwrap_or(u64::MAX)) {
            std::cmp::Ordering::Less => Effect::Widened,
            std::cmp::Ordering::Greater => Effect::Narrowed,
            std::cmp::Ordering::Equal => continue,
        };
        let shown = |limit: Option<u64>| Some(limit.map_or("the host's default".to_owned(), |limit| limit.to_string()));
        lists.push(format!("limits.{name}"), effect, shown(a), shown(b));
    }
}
