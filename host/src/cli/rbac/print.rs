//! Rights as objects of the cluster, and their texts.

use super::Settings;
use super::needs::{Need, Needs, Note, Scope};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const API: &str = "rbac.authorization.k8s.io";

/// A line of a role.
#[derive(Debug)]
struct Rule {
    group: String,
    resources: Names,
    names: Names,
    verbs: Verbs,
    notes: BTreeSet<String>,
}

/// An object, and what is said beside it.
#[derive(Debug)]
pub(super) struct Document {
    head: Vec<String>,
    kind: &'static str,
    namespace: Option<String>,
    name: String,
    rules: Vec<Rule>,
    /// Of a binding: whom, as subjects are written.
    subjects: Vec<Value>,
}

/// Roles and their bindings.
pub(super) fn documents(name: &str, needs: Needs, settings: &Settings) -> Vec<Document> {
    let (namespace, account) = &settings.account;
    let foil = vec![json!({ "kind": "ServiceAccount", "namespace": namespace, "name": account })];
    let Needs { technique, foil: own, notes, head } = needs;
    let mut all = Vec::new();
    match &settings.impersonate {
        None => roles(name, &(&technique | &own), &foil, &mut all),
        Some(other) => {
            let mut own = own;
            own.extend(impersonation(&other.user, &other.groups));
            roles(name, &own, &foil, &mut all);
            roles(&format!("{name}-as-other"), &technique, &[subject(&other.user)], &mut all);
        }
    }
    if let Some(first) = all.first_mut() {
        first.head.push("The least that Foil needs of the cluster for these modules, its own undo included.".into());
        first.head.extend(head);
    }
    annotate(&mut all, notes);
    all
}

/// The user as a binding names it.
fn subject(user: &str) -> Value {
    match user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) {
        Some((namespace, name)) => json!({ "kind": "ServiceAccount", "namespace": namespace, "name": name }),
        None => json!({ "apiGroup": API, "kind": "User", "name": user }),
    }
}

/// What it takes to act as somebody else.
fn impersonation(user: &str, groups: &[String]) -> BTreeSet<Need> {
    let (scope, resource, name) =
        match user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) {
            Some((namespace, name)) => (Scope::Namespace(namespace.to_owned()), "serviceaccounts", name),
            None => (Scope::Cluster, "users", user),
        };
    let need = |scope, resource: &str, name: &str| Need {
        scope,
        group: String::new(),
        resource: resource.to_owned(),
        name: Some(name.to_owned()),
        verb: "impersonate",
    };
    let groups = groups.iter().map(|group| need(Scope::Cluster, "groups", group));
    std::iter::once(need(scope, resource, name)).chain(groups).collect()
}

fn roles(name: &str, needs: &BTreeSet<Need>, subjects: &[Value], all: &mut Vec<Document>) {
    let scopes: BTreeSet<&Scope> = needs.iter().map(|need| &need.scope).collect();
    for scope in scopes {
        let (role, binding, namespace) = match scope {
            Scope::Cluster => ("ClusterRole", "ClusterRoleBinding", None),
            Scope::Namespace(namespace) => ("Role", "RoleBinding", Some(namespace.clone())),
        };
        let rules = rules(needs.iter().filter(|need| need.scope == *scope));
        let document = |kind, rules, subjects| Document {
            head: Vec::new(),
            kind,
            namespace: namespace.clone(),
            name: name.to_owned(),
            rules,
            subjects,
        };
        all.push(document(role, rules, Vec::new()));
        all.push(document(binding, Vec::new(), subjects.to_vec()));
    }
}

type Names = BTreeSet<String>;
type Verbs = BTreeSet<&'static str>;

/// Single rights put together: verbs of the same objects, then names, then kinds.
fn rules<'a>(needs: impl Iterator<Item = &'a Need>) -> Vec<Rule> {
    let mut verbs: BTreeMap<(&str, &str, Option<&str>), Verbs> = BTreeMap::new();
    for need in needs {
        verbs.entry((&need.group, &need.resource, need.name.as_deref())).or_default().insert(need.verb);
    }
    let mut names: BTreeMap<(&str, &str, bool, Verbs), Names> = BTreeMap::new();
    for ((group, resource, name), verbs) in verbs {
        names.entry((group, resource, name.is_some(), verbs)).or_default().extend(name.map(str::to_owned));
    }
    let mut kinds: BTreeMap<(&str, Names, Verbs), Names> = BTreeMap::new();
    for ((group, resource, _, verbs), names) in names {
        kinds.entry((group, names, verbs)).or_default().insert(resource.to_owned());
    }
    let rule = |((group, names, verbs), resources): ((&str, _, _), _)| Rule {
        group: group.to_owned(),
        resources,
        names,
        verbs,
        notes: BTreeSet::new(),
    };
    kinds.into_iter().map(rule).collect()
}

/// Puts each remark beside a right that it is about; what is about none of them, since a wider one stands for it, to the top.
fn annotate(all: &mut [Document], notes: BTreeSet<Note>) {
    for note in notes {
        let fits = |document: &Document, rule: &Rule, exactly: bool| {
            let kind = |resource: &String| match exactly {
                true => *resource == note.resource,
                false => resource.split('/').next() == Some(&note.resource),
            };
            document.scope() == note.scope && rule.group == note.group && rule.resources.iter().any(kind)
        };
        let place = [true, false].into_iter().find_map(|exactly| {
            all.iter().enumerate().find_map(|(at, document)| {
                let rule = document.rules.iter().position(|rule| fits(document, rule, exactly))?;
                Some((at, rule))
            })
        });
        match place {
            Some((at, rule)) => {
                let rule = all.get_mut(at).and_then(|document| document.rules.get_mut(rule));
                rule.into_iter().for_each(|rule| _ = rule.notes.insert(note.text.clone()));
            }
            None => all.iter_mut().take(1).for_each(|first| first.head.push(note.text.clone())),
        }
    }
}

impl Document {
    /// The object.
    pub fn json(&self) -> Value {
        let metadata = match &self.namespace {
            None => json!({ "name": self.name }),
            Some(namespace) => json!({ "name": self.name, "namespace": namespace }),
        };
        let version = format!("{API}/v1");
        if self.subjects.is_empty() {
            let rules: Vec<Value> = self.rules.iter().map(Rule::json).collect();
            return json!({ "apiVersion": version, "kind": self.kind, "metadata": metadata, "rules": rules });
        }
        let role = json!({ "apiGroup": API, "kind": self.role(), "name": self.name });
        json!({
            "apiVersion": version, "kind": self.kind, "metadata": metadata, "roleRef": role, "subjects": self.subjects,
        })
    }

    fn scope(&self) -> Scope {
        self.namespace.clone().map_or(Scope::Cluster, Scope::Namespace)
    }

    /// The kind of the role that a binding binds.
    fn role(&self) -> &str {
        self.kind.trim_end_matches("Binding")
    }

    /// The object as YAML, with comments, after a separator.
    pub fn yaml(&self) -> String {
        let mut text = String::from("---\n");
        for line in &self.head {
            text.push_str(&comment(line, ""));
        }
        text.push_str(&format!(
            "apiVersion: {API}/v1\nkind: {}\nmetadata:\n  name: {}\n",
            self.kind,
            scalar(&self.name)
        ));
        if let Some(namespace) = &self.namespace {
            text.push_str(&format!("  namespace: {}\n", scalar(namespace)));
        }
        if self.subjects.is_empty() {
            text.push_str("rules:\n");
            self.rules.iter().for_each(|rule| text.push_str(&rule.yaml()));
            return text;
        }
        text.push_str(&format!(
            "roleRef:\n  apiGroup: {API}\n  kind: {}\n  name: {}\nsubjects:\n",
            self.role(),
            scalar(&self.name)
        ));
        for subject in self.subjects.iter().filter_map(Value::as_object) {
            let mut lead = "  - ";
            for (key, value) in subject {
                text.push_str(&format!("{lead}{key}: {}\n", scalar(value.as_str().unwrap_or_default())));
                lead = "    ";
            }
        }
        text
    }
}

impl Rule {
    fn json(&self) -> Value {
        let (groups, resources, names, verbs) = ([&self.group], &self.resources, &self.names, &self.verbs);
        if names.is_empty() {
            return json!({ "apiGroups": groups, "resources": resources, "verbs": verbs });
        }
        json!({ "apiGroups": groups, "resources": resources, "resourceNames": names, "verbs": verbs })
    }

    fn yaml(&self) -> String {
        let list =
            |items: &mut dyn Iterator<Item = &str>| format!("[{}]", items.map(scalar).collect::<Vec<_>>().join(", "));
        let mut text: String = self.notes.iter().map(|note| comment(note, "  ")).collect();
        text.push_str(&format!("  - apiGroups: [{}]\n", scalar(&self.group)));
        text.push_str(&format!("    resources: {}\n", list(&mut self.resources.iter().map(String::as_str))));
        if !self.names.is_empty() {
            text.push_str(&format!("    resourceNames: {}\n", list(&mut self.names.iter().map(String::as_str))));
        }
        text.push_str(&format!("    verbs: {}\n", list(&mut self.verbs.iter().copied())));
        text
    }
}

fn comment(text: &str, indent: &str) -> String {
    foil_report::wrap(text, 110).iter().map(|line| format!("{indent}# {line}\n")).collect()
}

/// A text as YAML: plain where nobody could read it as anything else.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '/');
    let word = text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(plain);
    let kind = matches!(text, "ServiceAccount" | "User") || text == API;
    let other = matches!(text, "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    if (word || kind) && !other { text.to_owned() } else { Value::from(text).to_string() }
}
