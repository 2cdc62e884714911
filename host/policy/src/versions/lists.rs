//! Compares single values, lists and maps of two versions, and collects the differences.

use super::{Difference, Effect};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The differences found so far.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub found: Vec<Difference>,
    /// What is compared now is what the module says of itself.
    remarks: bool,
}

/// Each as it is shown.
pub(super) fn texts<T: ToString>(list: &[T]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

impl Lists {
    /// All that follows is what the module says of itself, and not what it asks for.
    pub fn says_of_itself(&mut self) {
        self.remarks = true;
    }

    /// One difference.
    pub fn push(&mut self, key: String, effect: Effect, old: Option<String>, new: Option<String>) {
        self.found.push(Difference { key, effect, old, new, asked: !self.remarks });
    }

    /// A capability as such, with its reason.
    pub fn whole(&mut self, key: &str, effect: Effect, reason: &str) {
        let reason = Some(reason.to_owned());
        let (old, new) = if effect == Effect::Added { (None, reason) } else { (reason, None) };
        self.push(key.to_owned(), effect, old, new);
    }

    /// A text that is no part of what is granted, among those that are.
    pub fn remark(&mut self, key: &str, old: &str, new: &str) {
        let before = std::mem::replace(&mut self.remarks, true);
        self.scalar(key, old, new);
        self.remarks = before;
    }

    /// A value of which neither is more than the other.
    pub fn scalar<T: PartialEq + ToString>(&mut self, key: &str, old: T, new: T) {
        if old != new {
            self.push(key.to_owned(), Effect::Changed, Some(old.to_string()), Some(new.to_string()));
        }
    }

    /// A value of which the greater is more.
    pub fn grade<T: PartialOrd>(&mut self, key: &str, old: T, new: T, shown: impl Fn(&T) -> String) {
        if old != new {
            let effect = if new > old { Effect::Widened } else { Effect::Narrowed };
            self.push(key.to_owned(), effect, Some(shown(&old)), Some(shown(&new)));
        }
    }

    /// The same of a value that is shown as it is written in files.
    pub fn json_grade<T: PartialOrd + Serialize>(&mut self, key: &str, old: T, new: T) {
        self.grade(key, old, new, |value| json(value));
    }

    /// A value that is shown as it is written in files.
    pub fn json<T: PartialEq + Serialize>(&mut self, key: &str, old: &T, new: &T) {
        if old != new {
            self.push(key.to_owned(), Effect::Changed, Some(json(old)), Some(json(new)));
        }
    }

    /// A list of names, of which none covers another.
    pub fn plain(&mut self, key: &str, old: &[String], new: &[String]) {
        self.list(key, old, new, |_, _| false);
    }

    /// A list of patterns. A new one that covers an old one that is gone is that one, widened; one that is covered by such a one is
    /// that one, narrowed.
    pub fn list<T: PartialEq + ToString>(&mut self, key: &str, old: &[T], new: &[T], covers: impl Fn(&T, &T) -> bool) {
        let gone: Vec<&T> = old.iter().filter(|value| !new.contains(value)).collect();
        let came: Vec<&T> = new.iter().filter(|value| !old.contains(value)).collect();
        let mut paired = vec![false; gone.len()];
        let all = |indices: &[usize]| {
            let texts = indices.iter().filter_map(|at| gone.get(*at)).map(|value| value.to_string());
            texts.collect::<Vec<_>>().join(", ")
        };
        for value in came {
            let of = |test: &dyn Fn(&T) -> bool| -> Vec<usize> {
                gone.iter().enumerate().filter(|(_, gone)| test(gone)).map(|(at, _)| at).collect()
            };
            let (outer, inner) = (of(&|gone| covers(gone, value)), of(&|gone| covers(value, gone)));
            let (effect, of) = match (outer.as_slice(), inner.as_slice()) {
                ([], []) => (Effect::Added, Vec::new()),
                // Two ways to write the same.
                ([_, ..], [_, ..]) => (Effect::Changed, outer),
                ([_, ..], []) => (Effect::Narrowed, outer),
                ([], [_, ..]) => (Effect::Widened, inner),
            };
            of.iter().for_each(|at| {
                if let Some(paired) = paired.get_mut(*at) {
                    *paired = true;
                }
            });
            let old = (!of.is_empty()).then(|| all(&of));
            self.push(key.to_owned(), effect, old, Some(value.to_string()));
        }
        for (value, _) in gone.iter().zip(paired).filter(|(_, paired)| !paired) {
            self.push(key.to_owned(), Effect::Removed, Some(value.to_string()), None);
        }
    }

    /// A map of things that are shown as they are written in files.
    pub fn map<T: PartialEq + Serialize>(&mut self, key: &str, old: &BTreeMap<String, T>, new: &BTreeMap<String, T>) {
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let (a, b) = (old.get(name), new.get(name));
            let effect = match (a, b) {
                (None, Some(_)) => Effect::Added,
                (Some(_), None) => Effect::Removed,
                (Some(a), Some(b)) if a != b => Effect::Changed,
                _ => continue,
            };
            self.push(format!("{key}.{name}"), effect, a.map(json), b.map(json));
        }
    }
}

/// As in a file; a text without quotes.
fn json<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value).unwrap_or_default() {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}
