//! A call, and whether a rule allows it.

use super::{KubeRule, KubeVerb, pod};
use crate::pattern::{NamePattern, Variables};
use serde_json::Value;

/// What a module asks of a cluster.
#[derive(Debug, Clone, Copy)]
pub struct KubeCall<'a> {
    /// What is to be done.
    pub verb: KubeVerb,
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The plural.
    pub resource: &'a str,
    /// The subresource; empty where it is the object itself.
    pub subresource: &'a str,
    /// The namespace; `None` for what belongs to none, and for lists over all of them.
    pub namespace: Option<&'a str>,
    /// The object's name; `None` of a list.
    pub name: Option<&'a str>,
    /// The path behind a proxy.
    pub path: Option<&'a str>,
    /// A program and its arguments.
    pub command: Option<(&'a str, &'a [String])>,
    /// The object as it would be, of `create` and `patch`.
    pub object: Option<&'a Value>,
}

impl<'a> KubeCall<'a> {
    /// About one object of a kind.
    pub fn new(verb: KubeVerb, (group, version, resource): (&'a str, &'a str, &'a str)) -> Self {
        Self {
            verb,
            group,
            version,
            resource,
            subresource: "",
            namespace: None,
            name: None,
            path: None,
            command: None,
            object: None,
        }
    }

    /// Whether objects of this kind make pods, so that what they are to be is judged.
    pub fn bears_pods(group: &str, resource: &str) -> bool {
        pod::place(group, resource).is_some()
    }

    /// The same in a namespace, about an object of this name.
    #[must_use]
    pub fn of(mut self, namespace: Option<&'a str>, name: Option<&'a str>) -> Self {
        (self.namespace, self.name) = (namespace, name);
        self
    }
}

impl std::fmt::Display for KubeCall<'_> {
    /// Such as `create pods security-testing/foil-x`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.subresource.is_empty() {
            write!(f, "/{}", self.subresource)?;
        }
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        match (self.namespace, self.name) {
            (Some(namespace), Some(name)) => write!(f, " {namespace}/{name}")?,
            (Some(namespace), None) => write!(f, " in {namespace}")?,
            (None, Some(name)) => write!(f, " {name}")?,
            (None, None) => f.write_str(" of the whole cluster")?,
        }
        if let Some(path) = self.path {
            write!(f, " at {path}")?;
        }
        if let Some((program, arguments)) = self.command {
            write!(f, ": {program} {}", shell_words::join(arguments))?;
        }
        Ok(())
    }
}

/// Why a rule does not allow a call: how many of its fields fit before one did not, and that one in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The nearest rule is the one with the most.
    pub fitted: usize,
    /// Such as "the namespace `default` is not `security-testing`".
    pub why: String,
}

impl KubeRule {
    /// Why this rule does not allow the call; `None` where it does. A field whose variable has no value fits nothing.
    pub fn mismatch(&self, call: &KubeCall<'_>, variables: &Variables) -> Option<Mismatch> {
        let fits =
            |pattern: &NamePattern, name: &str| usable(pattern.as_str(), variables) && pattern.matches(name, variables);
        let not = |field: &str, is: &str, pattern: &NamePattern| Some(format!("the {field} `{is}` is not `{pattern}`"));
        let differs = |field: &'static str, is: &str, pattern: &NamePattern| {
            if fits(pattern, is) { None } else { not(field, is, pattern) }
        };
        // Compared in this order, so that what is said is the first thing that a reader would see.
        let checks: [&dyn Fn() -> Option<String>; 9] = [
            &|| differs("resource", call.resource, &self.resource),
            &|| differs("group", call.group, &self.group),
            &|| {
                let verbs = || self.verbs.iter().map(|verb| verb.word()).collect::<Vec<_>>().join(", ");
                (!self.verbs.contains(&call.verb)).then(|| format!("the verb `{}` is none of {}", call.verb, verbs()))
            },
            &|| differs("subresource", call.subresource, &self.subresource),
            &|| self.version.as_ref().and_then(|version| differs("version", call.version, version)),
            &|| match (&self.namespace, call.namespace) {
                (None, None) => None,
                (Some(pattern), Some(namespace)) => differs("namespace", namespace, pattern),
                (Some(pattern), None) => Some(format!("it is about the whole cluster, not the namespace `{pattern}`")),
                (None, Some(namespace)) => Some(format!("the namespace `{namespace}`: the rule is about none")),
            },
            &|| match (&self.name, call.name) {
                (None, _) => None,
                (Some(pattern), Some(name)) => differs("name", name, pattern),
                (Some(pattern), None) => Some(format!("it is about all names, not `{pattern}`")),
            },
            &|| match (&self.path, call.path) {
                (_, None) => None,
                (Some(pattern), Some(path)) => differs("path", path, pattern),
                (None, Some(path)) => Some(format!("the path `{path}`: the rule has none")),
            },
            &|| {
                let (program, arguments) = call.command?;
                let fits = |rule: &crate::CommandPattern| {
                    usable(rule.as_str(), variables) && rule.matches(program, arguments, variables)
                };
                let line = || format!("{program} {}", shell_words::join(arguments));
                (!self.commands.iter().any(fits)).then(|| format!("the command `{}` is none of its `commands`", line()))
            },
        ];
        let found = checks.iter().enumerate().find_map(|(fitted, check)| check().map(|why| Mismatch { fitted, why }));
        let of_pod = || {
            let spec = pod::spec(call.group, call.resource, call.object?)?;
            let why = spec.and_then(|spec| pod::judge(spec, &self.pod, variables)).err()?;
            Some(Mismatch { fitted: checks.len(), why: format!("the pod: {why}") })
        };
        found.or_else(of_pod)
    }
}

/// Whether the variables that a pattern uses have values that mean what the text says: an empty one, or one with a star in it, would
/// make of a name a pattern of any.
pub(super) fn usable(text: &str, variables: &Variables) -> bool {
    let proper = |value: &str| !value.is_empty() && !value.contains(['*', '?', '{', '}']);
    let all = [
        ("{run}", &variables.run),
        ("{scratch}", &variables.scratch),
        ("{namespace}", &variables.namespace),
        ("{image}", &variables.image),
    ];
    all.iter().all(|(name, value)| !text.contains(name) || proper(value))
}
