//! `#{name}` and `PathToAtomicsFolder` in a script.

use std::collections::BTreeMap;

/// The script with its arguments filled in. As in Invoke-AtomicRedTeam what is not an argument's name stands as it is, a value
/// may refer to the atomics folder, and values are put in as they are: quoting is the script's business.
pub fn substitute(script: &str, values: &BTreeMap<String, String>, atomics: &str) -> String {
    let mut filled = String::with_capacity(script.len());
    let mut rest = script;
    while let Some(open) = rest.find("#{") {
        let (before, from) = rest.split_at(open);
        filled.push_str(before);
        let inside = from.strip_prefix("#{").and_then(|inside| inside.split_once('}'));
        match inside.and_then(|(name, after)| Some((values.get(name)?, after))) {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push_str("#{");
                rest = from.get(2..).unwrap_or_default();
            }
        }
    }
    filled.push_str(rest);
    filled.replace("$PathToAtomicsFolder", atomics).replace("PathToAtomicsFolder", atomics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_put_in_as_they_are() {
        let values = BTreeMap::from([("a".to_owned(), "x y".to_owned()), ("b".to_owned(), "#{a}".to_owned())]);
        for (script, filled) in [
            ("echo #{a}", "echo x y"),
            ("#{a}#{a}", "x yx y"),
            ("#{b}", "#{a}"),
            ("#{c} #{", "#{c} #{"),
            ("${a} #{a", "${a} #{a"),
            ("sh PathToAtomicsFolder/T1/src/x.sh", "sh /at/T1/src/x.sh"),
            ("sh $PathToAtomicsFolder/x", "sh /at/x"),
            ("é#{a}ü", "éx yü"),
        ] {
            assert_eq!(substitute(script, &values, "/at"), filled);
        }
    }
}
