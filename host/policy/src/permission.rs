//! May this call be made? Each layer is asked by itself; all must agree.

use super::denial::{Denial, Layer, bounded};
use super::paths::{contains, usable};
use foil_manifest::kube::{KubeCall, Mismatch};
use foil_manifest::pattern::{Variables, names_collector};
use foil_manifest::{Capability, CapabilityName, ExecScope, KubeRule, PathPattern, PathScope};
use foil_text::{quote, visible};
use std::collections::BTreeSet;

/// The effective permission of one run: three layers, each of which must agree to every call.
#[derive(Debug, Clone)]
pub struct Permission {
    /// What the manifest asks for.
    pub request: Vec<Capability>,
    /// What the reviewer allowed.
    pub grant: Vec<Capability>,
    /// The environment's outer limit; `None` where it sets none. A list that lacks a capability forbids it.
    pub guardrail: Option<Vec<Capability>>,
    /// What `{run}` and `{scratch}` stand for.
    pub variables: Variables,
    /// Foil's own folders and files, which hold pre-images of what others may not read: no call reaches them, whatever
    /// the layers say.
    pub own: Vec<String>,
}

/// How precisely a path was allowed. A hard-linked file is only touched where it was named exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exactness {
    /// Every layer names this very path.
    Literal,
    /// At least one layer allows it by a pattern.
    Pattern,
}

impl Permission {
    /// The layers that have something to say.
    pub(super) fn layers(&self) -> impl Iterator<Item = (Layer, &[Capability])> {
        [(Layer::Request, self.request.as_slice()), (Layer::Grant, self.grant.as_slice())]
            .into_iter()
            .chain(self.guardrail.iter().map(|list| (Layer::Guardrail, list.as_slice())))
    }

    /// The interfaces that may be linked: those that every layer has.
    pub fn linked(&self) -> BTreeSet<CapabilityName> {
        CapabilityName::ALL
            .into_iter()
            .filter(|name| self.layers().all(|(_, list)| list.iter().any(|c| c.name() == *name)))
            .collect()
    }

    /// May this program be started with these arguments, setting the environment variables of these names?
    ///
    /// One rule set of each layer must allow both the command and all the names.
    pub fn exec(&self, program: &str, arguments: &[String], env: &[&str]) -> Result<(), Denial> {
        let capability = CapabilityName::Exec;
        for (layer, list) in self.layers() {
            let scopes: Vec<&ExecScope> = exec_scopes(list).collect();
            let command: Vec<&ExecScope> = scopes
                .iter()
                .copied()
                .filter(|scope| {
                    scope.allow.iter().any(|rule| {
                        usable(rule.as_str(), &self.variables) && rule.matches(program, arguments, &self.variables)
                    })
                })
                .collect();
            let missing = |scope: &ExecScope| env.iter().find(|name| !scope.env.iter().any(|e| e == *name)).copied();
            if command.is_empty() {
                let rules = scopes.iter().flat_map(|s| s.allow.iter().map(|r| r.as_str()));
                return Err(denial(capability, layer, scopes.is_empty(), rules, &words(program, arguments)));
            }
            if let Some(name) =
                command.iter().map(|s| missing(s)).collect::<Option<Vec<_>>>().and_then(|m| m.first().copied())
            {
                let listed: Vec<String> = command.iter().flat_map(|s| s.env.iter()).take(4).map(|n| quote(n)).collect();
                let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
                let rule = bounded(format!(
                    "the {layer} does not let the module set the environment variable {}: it lists {listed}",
                    quote(name)
                ));
                return Err(Denial { capability, layer, rule });
            }
        }
        Ok(())
    }

    /// May this absolute path be read? `Literal` in the answer: a literal rule of every layer names it.
    pub fn read(&self, path: &str) -> Result<Exactness, Denial> {
        self.path(CapabilityName::FilesRead, path)
    }

    /// May this absolute path be changed?
    pub fn write(&self, path: &str) -> Result<Exactness, Denial> {
        self.path(CapabilityName::FilesWrite, path)
    }

    fn path(&self, capability: CapabilityName, path: &str) -> Result<Exactness, Denial> {
        if self.own.iter().any(|own| contains(own, path)) {
            let rule = bounded(format!("{} is Foil's own, which no grant reaches", quote(path)));
            return Err(Denial { capability, layer: Layer::Guardrail, rule });
        }
        let mut exactness = Exactness::Literal;
        for (layer, list) in self.layers() {
            let scopes: Vec<&PathScope> = path_scopes(list, capability).collect();
            let rules = || scopes.iter().flat_map(|s| s.allow.iter());
            let matching: Vec<&PathPattern> = rules()
                .filter(|rule| usable(rule.as_str(), &self.variables) && rule.matches(path, &self.variables))
                .collect();
            if matching.is_empty() {
                return Err(denial(capability, layer, scopes.is_empty(), rules().map(PathPattern::as_str), path));
            }
            if !matching.iter().any(|rule| rule.is_literal()) {
                exactness = Exactness::Pattern;
            }
        }
        Ok(exactness)
    }

    /// May this collector's events be read?
    pub fn collector(&self, name: &str) -> Result<(), Denial> {
        let capability = CapabilityName::EventsRead;
        for (layer, list) in self.layers() {
            let scopes: Vec<&Vec<String>> = list
                .iter()
                .filter_map(|c| match c {
                    Capability::EventsRead(scope) => Some(&scope.allow),
                    _ => None,
                })
                .collect();
            if !scopes.iter().any(|allow| allow.iter().any(|rule| names_collector(rule, name))) {
                let rules = scopes.iter().flat_map(|allow| allow.iter().map(String::as_str));
                return Err(denial(capability, layer, scopes.is_empty(), rules, name));
            }
        }
        Ok(())
    }

    /// May the cluster be asked this? One rule of each layer must allow all of it.
    pub fn kube(&self, call: &KubeCall<'_>) -> Result<(), Denial> {
        let capability = call.verb.capability();
        for (layer, list) in self.layers() {
            let scopes = || list.iter().filter(|c| c.name() == capability);
            let mut nearest: Option<(Mismatch, &KubeRule)> = None;
            let mut allowed = false;
            for rule in scopes().flat_map(Capability::kube_rules) {
                match rule.mismatch(call, &self.variables) {
                    None => allowed = true,
                    Some(found) if nearest.as_ref().is_none_or(|(best, _)| found.fitted > best.fitted) => {
                        nearest = Some((found, rule));
                    }
                    Some(_) => {}
                }
            }
            if allowed {
                continue;
            }
            let rule = match nearest {
                Some((Mismatch { why, .. }, rule)) => format!(
                    "the {layer} does not allow {}: {}; the nearest of its rules is `{}`",
                    quote(&call.to_string()),
                    visible(&why, 200),
                    visible(&rule.to_string(), 160)
                ),
                None if scopes().next().is_none() => format!("the {layer} has no `{capability}`"),
                None => format!("the {layer}'s `{capability}` lists nothing"),
            };
            return Err(Denial { capability, layer, rule: bounded(rule) });
        }
        Ok(())
    }

    /// May a capability without a scope of its own (`loopback-serve`) be used?
    pub fn plain(&self, capability: CapabilityName) -> Result<(), Denial> {
        match self.layers().find(|(_, list)| !list.iter().any(|c| c.name() == capability)) {
            Some((layer, _)) => Err(denial(capability, layer, true, std::iter::empty(), "")),
            None => Ok(()),
        }
    }
}

pub(super) fn exec_scopes(list: &[Capability]) -> impl Iterator<Item = &ExecScope> {
    list.iter().filter_map(|c| match c {
        Capability::Exec(scope) => Some(scope),
        _ => None,
    })
}

pub(super) fn path_scopes(list: &[Capability], name: CapabilityName) -> impl Iterator<Item = &PathScope> {
    list.iter().filter(move |c| c.name() == name).filter_map(|c| match c {
        Capability::FilesRead(scope) | Capability::FilesWrite(scope) => Some(scope),
        _ => None,
    })
}

/// Builds the sentence. `rules` are the layer's, `asked` is what the guest wanted.
fn denial<'a>(
    capability: CapabilityName,
    layer: Layer,
    absent: bool,
    rules: impl Iterator<Item = &'a str>,
    asked: &str,
) -> Denial {
    let rules: Vec<&str> = rules.collect();
    let nearest = rules.iter().max_by_key(|rule| likeness(rule, asked));
    let rule = match (absent, nearest) {
        (true, _) => format!("the {layer} has no `{capability}`"),
        (false, None) => format!("the {layer}'s `{capability}` lists nothing"),
        (false, Some(rule)) if rules.len() == 1 => {
            format!("the {layer} allows {} only, not {}", quote(rule), quote(asked))
        }
        (false, Some(rule)) => format!(
            "the {layer} does not allow {}; the nearest of its {} rules is {}",
            quote(asked),
            rules.len(),
            quote(rule)
        ),
    };
    Denial { capability, layer, rule: bounded(rule) }
}

/// How many characters two texts share at their start.
fn likeness(rule: &str, asked: &str) -> usize {
    rule.chars().zip(asked.chars()).take_while(|(a, b)| a == b).count()
}

/// A command as one line, as far as a message needs it.
fn words(program: &str, arguments: &[String]) -> String {
    let mut line = program.to_owned();
    for argument in arguments {
        // What follows is cut anyway: a guest's 128 KiB of arguments need not be copied.
        if line.len() > 4 * foil_text::QUOTE {
            break;
        }
        line.push(' ');
        if argument.is_empty() || argument.contains([' ', '\t', '\n', '\'', '"']) {
            line.push_str(&format!("'{argument}'"));
        } else {
            line.push_str(argument);
        }
    }
    line
}

#[cfg(test)]
mod tests;
