//! Which containers are the run's: those of the pods that it made. And on which nodes these are.

use super::super::lock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// What sensors say of a container's id: the first twelve digits, or all of it.
const SHORT: usize = 12;

/// Container ids, as the cluster says them, and the nodes of their pods.
#[derive(Debug, Default)]
pub struct Containers {
    ids: Mutex<BTreeSet<String>>,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    /// How many pods the run made; more than can be told where it made what makes pods.
    made: usize,
    /// Pods by UID, each with its node.
    pods: BTreeMap<String, String>,
}

impl Containers {
    /// A container of a pod of the run's: 64 hexadecimal digits.
    pub fn add(&self, id: &str) {
        if id.len() >= SHORT && id.bytes().all(|b| b.is_ascii_hexdigit()) {
            lock(&self.ids).insert(id.to_ascii_lowercase());
        }
    }

    /// The run made a pod. `None`: something that makes pods, nobody knows how many.
    pub fn made(&self, pods: Option<usize>) {
        let mut places = lock(&self.places);
        places.made = places.made.saturating_add(pods.unwrap_or(usize::MAX));
    }

    /// A pod of the run's is on this node.
    pub fn is_on(&self, uid: &str, node: &str) {
        if !uid.is_empty() && !node.is_empty() {
            lock(&self.places).pods.insert(uid.to_owned(), node.to_owned());
        }
    }

    /// The nodes of the run's pods; `None`: it made none, or not every one's is known.
    pub fn nodes(&self) -> Option<BTreeSet<String>> {
        let places = lock(&self.places);
        let all = places.made > 0 && places.pods.len() >= places.made;
        all.then(|| places.pods.values().cloned().collect())
    }

    /// Whether a sensor's event names one of them.
    pub fn has(&self, said: &str) -> bool {
        said.len() >= SHORT && lock(&self.ids).iter().any(|id| id.starts_with(&said.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::Containers;

    #[test]
    fn a_container_is_known_by_its_first_digits() {
        let containers = Containers::default();
        let id = "0b9b1c5f4f7e".to_owned() + &"a".repeat(52);
        containers.add(&id);
        containers.add("host");
        assert!(containers.has("0b9b1c5f4f7e") && containers.has(&id));
        for other in ["", "0b9b", "host", "1b9b1c5f4f7e"] {
            assert!(!containers.has(other), "{other}");
        }
    }

    #[test]
    fn nodes_are_known_once_every_pods_is() {
        let containers = Containers::default();
        containers.is_on("u0", "z");
        assert_eq!(containers.nodes(), None, "somebody else's");
        let containers = Containers::default();
        containers.made(Some(1));
        containers.made(Some(1));
        containers.is_on("u1", "a");
        assert_eq!(containers.nodes(), None);
        containers.is_on("u1", "a");
        containers.is_on("u2", "b");
        assert_eq!(containers.nodes(), Some(["a", "b"].map(str::to_owned).into()));
        containers.made(None);
        assert_eq!(containers.nodes(), None);
    }
}
