//! Granting less of a cluster. What is given for a field replaces that field of every rule that has it; a rule that none of it
//! fits is dropped.

use super::{beyond, covers_command, covers_path, filled, list, stand_ins};
use crate::denial::Refusal;
use foil_manifest::{CapabilityName, KubeRule, KubeScope, KubeVerb, NamePattern, PathPattern, PodScope};
use foil_text::quote;

/// What may follow the capability's name in a key.
const FIELDS: [&str; 4] = ["verbs", "namespace", "name", "resource"];
/// The same of `kube-write` alone: what its pods may be.
const POD: [&str; 10] = [
    "images",
    "privileged",
    "host-network",
    "host-pid",
    "host-ipc",
    "host-ports",
    "host-paths",
    "host-paths-writable",
    "capabilities",
    "service-accounts",
];

/// Whether a rule about a cluster can be narrowed by it.
pub(super) fn is_key(key: &str) -> bool {
    match key.split_once('.') {
        Some(("kube-read" | "kube-write" | "kube-exec", field)) if FIELDS.contains(&field) => true,
        Some(("kube-write", field)) => POD.contains(&field),
        Some(("kube-exec", field)) => field == "commands",
        _ => false,
    }
}

/// All keys, for whoever wrote another.
pub(super) fn keys() -> String {
    let fields = FIELDS.map(|field| format!("kube-….{field}")).join(", ");
    format!("{fields}, {}, kube-exec.commands", POD.map(|field| format!("kube-write.{field}")).join(", "))
}

/// The rules, narrowed.
pub(super) fn narrow<'a>(
    mut scope: KubeScope,
    capability: CapabilityName,
    values: &impl Fn(&str) -> Option<Vec<&'a str>>,
) -> Result<KubeScope, Refusal> {
    let of = |field: &str| values(&format!("{capability}.{field}"));
    let rules = &mut scope.allow;
    if let Some(given) = of("verbs") {
        let given = given.into_iter().filter(|text| !text.is_empty());
        let given = given.map(|text| text.parse().map_err(Refusal)).collect::<Result<Vec<KubeVerb>, Refusal>>()?;
        if let Some(verb) = given.iter().find(|verb| !rules.iter().any(|rule| rule.verbs.contains(verb))) {
            return Err(beyond(verb.word()));
        }
        rules.iter_mut().for_each(|rule| rule.verbs.retain(|verb| given.contains(verb)));
    }
    if let Some(given) = of("resource") {
        replace(rules, &given, |rule| Some(rule.resource.clone()), |rule, value| rule.resource = value)?;
    }
    if let Some(mut given) = of("namespace") {
        // An empty one stands for what belongs to no namespace.
        let whole = given.contains(&"");
        given.retain(|text| !text.is_empty());
        let (of_cluster, mut inside): (Vec<_>, Vec<_>) =
            std::mem::take(rules).into_iter().partition(|r| r.namespace.is_none());
        replace(&mut inside, &given, |rule| rule.namespace.clone(), |rule, value| rule.namespace = Some(value))?;
        *rules = of_cluster.into_iter().filter(|_| whole).chain(inside).collect();
    }
    if let Some(given) = of("name") {
        replace(
            rules,
            &given,
            |rule| Some(rule.name.clone().unwrap_or_else(any)),
            |rule, value| {
                rule.name = Some(value);
                // A list shows the other names too.
                rule.verbs.retain(|verb| *verb != KubeVerb::List);
            },
        )?;
    }
    pods(rules, &of)?;
    each(rules, of("commands"), |rule| &mut rule.commands, covers_command)?;
    for rule in rules.iter_mut() {
        if !makes(rule) {
            rule.pod = PodScope::default();
        }
        if !rule.verbs.contains(&KubeVerb::Exec) {
            rule.commands.clear();
        }
    }
    rules.retain(|rule| !rule.verbs.is_empty());
    rules.iter().try_for_each(|rule| rule.check(capability)).map_err(Refusal)?;
    if rules.is_empty() {
        return Err(Refusal(format!("nothing of `{capability}` would be left: leave it out by `--only`")));
    }
    Ok(scope)
}

/// A name of any sort.
fn any() -> NamePattern {
    NamePattern::try_from("**".to_owned()).unwrap_or_default()
}

fn makes(rule: &KubeRule) -> bool {
    rule.verbs.iter().any(|verb| matches!(verb, KubeVerb::Create | KubeVerb::Patch))
}

fn covers_name(requested: &NamePattern, given: &NamePattern) -> bool {
    given.is_literal() && requested.matches(&filled(given.as_str()), &stand_ins())
}

/// Each rule once for each given value that its field covers.
fn replace(
    rules: &mut Vec<KubeRule>,
    given: &[&str],
    field: impl Fn(&KubeRule) -> Option<NamePattern>,
    set: impl Fn(&mut KubeRule, NamePattern),
) -> Result<(), Refusal> {
    let mut kept: Vec<KubeRule> = Vec::new();
    let mut values = Vec::new();
    for text in given.iter().filter(|text| !text.is_empty()) {
        let value: NamePattern =
            text.parse().map_err(|e: foil_manifest::pattern::PatternError| Refusal(e.to_string()))?;
        let fits = |rule: &KubeRule| field(rule).is_some_and(|had| had == value || covers_name(&had, &value));
        if !rules.iter().any(fits) {
            return Err(beyond(text));
        }
        values.push(value);
    }
    for rule in rules.iter() {
        for value in &values {
            if field(rule).is_some_and(|had| had == *value || covers_name(&had, value)) {
                let mut rule = rule.clone();
                set(&mut rule, value.clone());
                if !kept.contains(&rule) {
                    kept.push(rule);
                }
            }
        }
    }
    *rules = kept;
    Ok(())
}

/// Replaces a list of each rule that has one by what of the given values it covers; a rule that covers none of them is dropped.
fn each<T>(
    rules: &mut Vec<KubeRule>,
    given: Option<Vec<&str>>,
    field: impl Fn(&mut KubeRule) -> &mut Vec<T>,
    covers: impl Fn(&T, &T) -> bool,
) -> Result<(), Refusal>
where
    T: std::str::FromStr + PartialEq + Clone,
    T::Err: std::fmt::Display,
{
    let Some(given) = given else { return Ok(()) };
    let all: Vec<T> = rules.iter_mut().flat_map(|rule| field(rule).clone()).collect();
    let values = list(all, Some(given), &covers)?;
    rules.retain_mut(|rule| {
        let had = field(rule);
        if had.is_empty() {
            return true;
        }
        let kept = values.iter().filter(|value| had.iter().any(|h| h == *value || covers(h, value))).cloned();
        *had = kept.collect();
        values.is_empty() || !had.is_empty()
    });
    Ok(())
}

fn pods<'a>(rules: &mut Vec<KubeRule>, of: &impl Fn(&str) -> Option<Vec<&'a str>>) -> Result<(), Refusal> {
    type Flag = fn(&mut PodScope) -> &mut bool;
    let flags: [(&str, Flag); 5] = [
        ("privileged", |pod| &mut pod.privileged),
        ("host-network", |pod| &mut pod.host_network),
        ("host-pid", |pod| &mut pod.host_pid),
        ("host-ipc", |pod| &mut pod.host_ipc),
        ("host-ports", |pod| &mut pod.host_ports),
    ];
    for (name, flag) in flags {
        match of(name).as_deref() {
            None => {}
            Some(["false"]) => rules.iter_mut().for_each(|rule| *flag(&mut rule.pod) = false),
            Some(["true"]) if rules.iter_mut().any(|rule| *flag(&mut rule.pod)) => {}
            Some(other) => {
                return Err(Refusal(format!("`kube-write.{name}` cannot be {} here", quote(&other.join(", ")))));
            }
        }
    }
    each(rules, of("images"), |rule| &mut rule.pod.images, covers_name)?;
    each(rules, of("capabilities"), |rule| &mut rule.pod.capabilities, covers_name)?;
    each(rules, of("service-accounts"), |rule| &mut rule.pod.service_accounts, covers_name)?;
    each(rules, of("host-paths-writable"), |rule| &mut rule.pod.host_paths_writable, covers_path)?;
    if let Some(given) = of("host-paths") {
        // What may be written to may be mounted, so that it is held to the same paths.
        let writable: Vec<Vec<PathPattern>> = rules.iter().map(|rule| rule.pod.host_paths_writable.clone()).collect();
        for (rule, writable) in rules.iter_mut().zip(writable) {
            rule.pod.host_paths.extend(writable);
        }
        each(rules, Some(given), |rule| &mut rule.pod.host_paths, covers_path)?;
        for rule in rules.iter_mut() {
            let (paths, had) = (rule.pod.host_paths.clone(), std::mem::take(&mut rule.pod.host_paths_writable));
            let kept = paths.into_iter().filter(|path| had.iter().any(|h| h == path || covers_path(h, path)));
            rule.pod.host_paths_writable = kept.collect();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Narrowing, narrow};
    use foil_manifest::Capability;

    fn request() -> Vec<Capability> {
        [
            "name = 'kube-read'\nreason = 'x'\nallow = [
                { verbs = ['get', 'list'], resource = 'pods', namespace = '{namespace}' },
                { verbs = ['list'], resource = 'secrets' },
                { verbs = ['get'], resource = 'pods', namespace = '*' },
            ]",
            "name = 'kube-write'\nreason = 'x'\nallow = [
                { verbs = ['create', 'delete'], resource = 'pods', namespace = '{namespace}', name = 'foil-{run}*', pod = { images = ['{image}', 'reg/*'], privileged = true, host-paths = ['/etc'], host-paths-writable = ['/var/log'], capabilities = ['SYS_*'] } },
                { verbs = ['create'], resource = 'configmaps', namespace = '{namespace}' },
            ]",
            "name = 'kube-exec'\nreason = 'x'\nallow = [{ verbs = ['exec', 'logs'], resource = 'pods', namespace = '{namespace}', commands = ['/bin/cat **', '/bin/id'] }]",
        ]
        .iter()
        .map(|t| toml::from_str(t).expect(t))
        .collect()
    }

    /// The rules of the capability that the first flag is about, in words.
    fn granted(flags: &[&str]) -> Result<Vec<String>, String> {
        let flags: Vec<Narrowing> = flags.iter().map(|t| t.parse().expect(t)).collect();
        let name = flags[0].key.split('.').next().unwrap_or_default().to_owned();
        let all = narrow(&request(), None, &flags).map_err(|e| e.0)?;
        let one = all.iter().find(|c| c.name().interface() == name).expect("kept");
        Ok(one.kube_rules().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_value_replaces_the_field_of_every_rule_that_covers_it() {
        for (flags, rules) in [
            (
                &["kube-read.namespace={namespace}"][..],
                &["get, list pods in {namespace}", "get pods in {namespace}"][..],
            ),
            (&["kube-read.namespace="], &["list secrets of the whole cluster"]),
            (&["kube-read.namespace=web", "kube-read.name=front"], &["get pods in web named front"]),
            (&["kube-read.name=a", "kube-read.namespace={namespace}"], &["get pods in {namespace} named a"]),
            (&["kube-read.verbs=list"], &["list pods in {namespace}", "list secrets of the whole cluster"]),
            (&["kube-read.resource=secrets"], &["list secrets of the whole cluster"]),
            (&["kube-write.resource=configmaps"], &["create configmaps in {namespace}"]),
            (&["kube-write.verbs=delete"], &["delete pods in {namespace} named foil-{run}*"]),
            (
                &[
                    "kube-write.name=foil-{run}",
                    "kube-write.privileged=false",
                    "kube-write.host-paths=",
                    "kube-write.capabilities=SYS_PTRACE",
                    "kube-write.images={image}",
                ],
                &[
                    "create, delete pods in {namespace} named foil-{run}; pods: images {image}, capabilities SYS_PTRACE",
                    "create configmaps in {namespace} named foil-{run}",
                ],
            ),
            (
                &[
                    "kube-write.resource=pods",
                    "kube-write.host-paths=/var/log",
                    "kube-write.images=reg/a:1",
                    "kube-write.verbs=create",
                ],
                &[
                    "create pods in {namespace} named foil-{run}*; pods: privileged, images reg/a:1, the node's files /var/log, writes the node's files /var/log, capabilities SYS_*",
                ],
            ),
            (&["kube-exec.commands=/bin/cat /etc"], &["exec, logs pods in {namespace}; run /bin/cat /etc"]),
            (&["kube-exec.verbs=exec", "kube-exec.commands=/bin/id"], &["exec pods in {namespace}; run /bin/id"]),
        ] {
            let is = granted(flags).unwrap_or_else(|e| panic!("{flags:?}: {e}"));
            let mut wanted: Vec<String> = rules.iter().map(|r| (*r).to_owned()).collect();
            wanted.dedup();
            assert_eq!(is, wanted, "{flags:?}");
        }
    }

    #[test]
    fn what_was_not_asked_for_is_refused() {
        for flag in [
            "kube-read.verbs=proxy",
            "kube-read.verbs=dance",
            "kube-read.namespace=web*",
            "kube-read.resource=nodes",
            "kube-write.name=foil-{run}-*",
            "kube-write.images=other/a:1",
            "kube-write.images=reg/*/*",
            "kube-write.host-network=true",
            "kube-write.privileged=maybe",
            "kube-write.host-paths=/",
            "kube-write.host-paths-writable=/etc",
            "kube-write.service-accounts=default",
            "kube-write.verbs=",
            "kube-exec.commands=/bin/cat /a /b",
            "kube-exec.commands=/bin/*",
        ] {
            assert!(granted(&[flag]).is_err(), "{flag}");
        }
        for flag in [
            "kube-read.images=a",
            "kube-write.commands=/bin/id",
            "kube-exec.privileged=false",
            "kube.name=a",
            "kube-read.pod=a",
        ] {
            assert!(flag.parse::<Narrowing>().is_err(), "{flag}");
        }
    }
}
