//! Which correlations count the matches of which rules, by the numbers of the rules in their set.

use std::collections::BTreeMap;

/// It has no cycles: a correlation is added after the rules that it refers to.
#[derive(Debug, Default)]
pub struct Graph {
    /// Of a correlation: for each reference, the rules that it stands for.
    references: BTreeMap<usize, Vec<Vec<usize>>>,
    /// Of a rule: the correlations that count its matches, and by which of their references.
    counted_by: BTreeMap<usize, Vec<(usize, usize)>>,
}

impl Graph {
    pub(super) fn add(&mut self, correlation: usize, references: Vec<Vec<usize>>) {
        for (reference, rules) in references.iter().enumerate() {
            for rule in rules {
                self.counted_by.entry(*rule).or_default().push((correlation, reference));
            }
        }
        self.references.insert(correlation, references);
    }

    /// Returns for each reference of a correlation the rules that it stands for.
    pub fn references(&self, correlation: usize) -> &[Vec<usize>] {
        self.references.get(&correlation).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the correlations that count a rule's matches, and by which of their references.
    pub fn counted_by(&self, rule: usize) -> &[(usize, usize)] {
        self.counted_by.get(&rule).map(Vec::as_slice).unwrap_or_default()
    }
}
