//! Which containers are the run's: those of the pods that it made.

use super::super::lock;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// What sensors say of a container's id: the first twelve digits, or all of it.
const SHORT: usize = 12;

/// Container ids, as the cluster says them.
#[derive(Debug, Default)]
pub struct Containers(Mutex<BTreeSet<String>>);

impl Containers {
    /// A container of a pod of the run's: 64 hexadecimal digits.
    pub fn add(&self, id: &str) {
        if id.len() >= SHORT && id.bytes().all(|b| b.is_ascii_hexdigit()) {
            lock(&self.0).insert(id.to_ascii_lowercase());
        }
    }

    /// Whether a sensor's event names one of them.
    pub fn has(&self, said: &str) -> bool {
        said.len() >= SHORT && lock(&self.0).iter().any(|id| id.starts_with(&said.to_ascii_lowercase()))
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
}
