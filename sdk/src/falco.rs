//! What checks over Falco's alerts share.

use crate::events::Event;

/// The node that an alert came from: as the cluster says it, where the alert was read from a pod's log; else as Falco does, by its
/// host's name or the node's. Empty: it does not say.
pub fn nodes(event: &Event) -> Vec<&str> {
    match event.field("falco.node") {
        Some(node) => vec![node],
        None => ["hostname", "output_fields.k8s.node.name"].iter().filter_map(|name| event.field(name)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::nodes;
    use crate::fake::event;

    #[test]
    fn the_clusters_word_counts_more_than_falcos() {
        let alert = event("falco").with("hostname", "a").with("output_fields.k8s.node.name", "b");
        assert_eq!(nodes(&alert), ["a", "b"]);
        assert_eq!(nodes(&alert.with("falco.node", "c")), ["c"]);
        assert!(nodes(&event("falco")).is_empty());
    }
}
