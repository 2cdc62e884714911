//! Why not all logs are known to their end for the moment, and which links that blinds.

use super::super::{Blindness, Interest};

/// Pods that a sentence names.
const NAMED: usize = 3;

/// What is the matter for the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// With all pods.
    All(Blindness),
    /// With one.
    Pod {
        /// Its node; empty where it has none.
        node: String,
        /// Its name, and what is the matter.
        why: String,
    },
}

/// Why an absence proves nothing for the moment to a link that looks for this.
pub fn about(all: &[Trouble], interest: &Interest) -> Option<Blindness> {
    let mut pods: Vec<&str> = Vec::new();
    for trouble in all {
        match trouble {
            Trouble::All(blind) => return Some(blind.clone()),
            Trouble::Pod { node, why } if node.is_empty() || interest.is_on(node) => pods.push(why),
            Trouble::Pod { .. } => {}
        }
    }
    let more = pods.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let named: Vec<&str> = pods.iter().take(NAMED).copied().collect();
    (!pods.is_empty()).then(|| Blindness::Lost(format!("Falco's pod {}{more}", named.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_node_blinds_links_about_it_only() {
        let pod = |node: &str| Trouble::Pod { node: node.into(), why: format!("falco-{node}: its log cannot be read") };
        let all = [pod("a"), pod("b")];
        let on = |node: &str| Interest { nodes: Some(BTreeSet::from([node.to_owned()])), ..Interest::default() };
        let named = |node: &str| Interest { named: Some(node.to_owned()), ..Interest::default() };
        let both = about(&all, &Interest::default()).unwrap().to_string();
        assert!(both.contains("falco-a") && both.contains("falco-b"), "{both}");
        let one = about(&all, &on("a")).unwrap().to_string();
        assert!(one.contains("falco-a") && !one.contains("falco-b"), "{one}");
        assert!(about(&all, &on("c")).is_none() && about(&all, &named("c*")).is_none());
        assert!(about(&all, &named("b")).is_some() && about(&[pod("")], &on("c")).is_some());
        let dead = Blindness::Dead("no pods".into());
        assert_eq!(about(&[pod("a"), Trouble::All(dead.clone())], &on("c")), Some(dead));
    }
}
