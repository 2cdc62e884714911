//! One capability on a page: what is asked for, or what was granted of it.

use super::page::{BOLD, PLAIN, Page, RED};
use foil_manifest::{Capability, CapabilityName, ExecScope, Limits, Network};

/// A capability with its reason, and where it stands.
pub(super) fn request(page: &mut Page, capability: &Capability, place: Option<&str>) {
    let name = capability.name();
    page.item(2, if name.acts() { RED } else { BOLD }, "", &format!("{name}: {}", meaning(name)));
    if let Some(place) = place {
        page.item(4, PLAIN, "stands at ", place);
    }
    if !capability.reason().trim().is_empty() {
        page.item(4, PLAIN, "reason    ", capability.reason().trim());
    }
    scope(page, capability);
}

/// What a capability reaches.
fn scope(page: &mut Page, capability: &Capability) {
    match capability {
        Capability::Exec(scope) => exec(page, scope),
        Capability::FilesRead(scope) => scope.allow.iter().for_each(|p| page.item(4, PLAIN, "read      ", p.as_str())),
        Capability::FilesWrite(scope) => scope.allow.iter().for_each(|p| page.item(4, RED, "write     ", p.as_str())),
        Capability::EventsRead(scope) => scope.allow.iter().for_each(|name| page.item(4, PLAIN, "collector ", name)),
        other => {
            let style = if other.name().acts() { RED } else { PLAIN };
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

/// Named as in the file, and by the type itself, so that no limit can be forgotten here.
pub(super) fn limits(page: &mut Page, limits: &Limits) {
    if let Ok(serde_json::Value::Object(map)) = serde_json::to_value(limits) {
        for (name, value) in map {
            page.item(2, PLAIN, "limit     ", &format!("{name} = {value}"));
        }
    }
}
