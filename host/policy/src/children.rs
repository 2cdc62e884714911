//! What the children of a run may touch.

use super::paths::{contains, expand};
use super::permission::{Permission, exec_scopes};
use foil_manifest::pattern::Variables;
use foil_manifest::{Capability, ExecScope, Network};

/// What the children of a run may touch: the intersection of the three layers' lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChildScope {
    /// Paths that may be read and executed, besides the base system. Sorted; none lies below another.
    pub reads: Vec<String>,
    /// Paths that may be changed. Sorted; none lies below another. All of them are covered by `reads` too.
    pub writes: Vec<String>,
    /// The network.
    pub network: Network,
    /// Set-id programs work.
    pub privileges: bool,
}

impl Permission {
    /// What children may touch. Nothing where a layer has no `exec`.
    ///
    /// A path is in where every layer has it or a folder above it; the deepest of them is what remains. What may be
    /// changed may be read. The network is the narrowest that any layer says.
    pub fn children(&self) -> ChildScope {
        let layers: Vec<Vec<&ExecScope>> = self.layers().map(|(_, list)| exec_scopes(list).collect()).collect();
        if layers.iter().any(Vec::is_empty) {
            return ChildScope::default();
        }
        let writes = |s: &ExecScope| s.writes.clone();
        let reads = |s: &ExecScope| s.reads.iter().chain(&s.writes).cloned().collect();
        ChildScope {
            reads: intersect(&layers, reads, &self.variables),
            writes: intersect(&layers, writes, &self.variables),
            network: layers
                .iter()
                .filter_map(|scopes| scopes.iter().map(|s| s.network).max())
                .min()
                .unwrap_or_default(),
            privileges: layers.iter().all(|scopes| scopes.iter().any(|s| s.privileges)),
        }
    }
}

fn intersect(
    layers: &[Vec<&ExecScope>],
    list: impl Fn(&ExecScope) -> Vec<String>,
    variables: &Variables,
) -> Vec<String> {
    let expanded = layers.iter().map(|scopes| -> Vec<String> {
        scopes.iter().flat_map(|s| list(s)).filter_map(|path| expand(&path, variables)).collect()
    });
    expanded.reduce(|a, b| both(&a, &b)).map(|paths| minimal(&paths)).unwrap_or_default()
}

/// The deeper of every pair of which one contains the other.
fn both(a: &[String], b: &[String]) -> Vec<String> {
    let deeper = |x: &String, y: &String| match (contains(x, y), contains(y, x)) {
        (true, _) => Some(y.clone()),
        (_, true) => Some(x.clone()),
        _ => None,
    };
    minimal(&a.iter().flat_map(|x| b.iter().filter_map(move |y| deeper(x, y))).collect::<Vec<_>>())
}

/// Sorted, without those that lie below another: also what keeps products of long lists short.
fn minimal(paths: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    let mut sorted: Vec<&String> = paths.iter().collect();
    sorted.sort_by_key(|p| (p.len(), p.as_str()));
    sorted.dedup();
    for path in sorted {
        if !kept.iter().any(|k| contains(k, path)) {
            kept.push(path.clone());
        }
    }
    kept.sort();
    kept
}

/// The paths that the children's `writes` of one layer name, for checks by others in this folder.
pub(super) fn written(list: &[Capability]) -> impl Iterator<Item = &String> {
    exec_scopes(list).flat_map(|s| s.writes.iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(reads: &[&str], writes: &[&str], network: Network, privileges: bool) -> Vec<Capability> {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        vec![Capability::Exec(ExecScope {
            reads: own(reads),
            writes: own(writes),
            network,
            privileges,
            ..ExecScope::default()
        })]
    }

    fn permission(request: Vec<Capability>, grant: Vec<Capability>, guardrail: Option<Vec<Capability>>) -> Permission {
        let variables = Variables { run: "r".into(), scratch: "/tmp/foil-r".into(), ..Variables::default() };
        Permission { request, grant, guardrail, variables, own: Vec::new() }
    }

    #[test]
    fn the_deepest_path_that_all_layers_contain_remains() {
        let scope = permission(
            exec(&["/etc", "/srv", "/tmp/foil-{run}"], &["{scratch}/x", "/varx"], Network::Host, true),
            exec(&["/etc/ssh", "/srv", "/opt", "/tmp"], &["/tmp", "/var"], Network::Host, true),
            Some(exec(&["/"], &["/"], Network::Loopback, false)),
        )
        .children();
        assert_eq!(scope.reads, ["/etc/ssh", "/srv", "/tmp/foil-r"]);
        assert_eq!(scope.writes, ["/tmp/foil-r/x"]);
        assert_eq!((scope.network, scope.privileges), (Network::Loopback, false));
    }

    #[test]
    fn what_may_be_changed_may_be_read() {
        let both = || exec(&[], &["/var/log"], Network::Loopback, false);
        let scope =
            permission(both(), exec(&["/var"], &["/var/log/syslog"], Network::Loopback, false), None).children();
        assert_eq!(scope.reads, ["/var/log"]);
        assert_eq!(scope.writes, ["/var/log/syslog"]);
    }

    #[test]
    fn a_layer_without_exec_leaves_nothing() {
        let all = || exec(&["/"], &["/"], Network::Host, true);
        assert_eq!(permission(all(), all(), Some(vec![])).children(), ChildScope::default());
        assert_eq!(permission(all(), vec![], None).children(), ChildScope::default());
    }

    #[test]
    fn paths_that_could_mean_another_place_are_not_there() {
        let sly = || exec(&["/etc/../root", "etc", "/etc/", "/a//b"], &[""], Network::Loopback, false);
        assert_eq!(permission(sly(), sly(), None).children(), ChildScope::default());
    }
}
