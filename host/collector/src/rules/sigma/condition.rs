//! Conditions: `selection and not 1 of filter_*`. rsigma parses and evaluates them; here they are held against the names of the
//! rule's selections when the rule is loaded. rsigma takes `all of x*` for true where nothing is named so.

use rsigma_parser::{ConditionExpr, Quantifier, SelectorPattern};

/// Longest condition, in bytes, and deepest nesting.
const MAX_LENGTH: usize = 4096;
const MAX_DEPTH: usize = 32;

/// Checks a condition's text before it is parsed.
///
/// # Errors
/// It is too long, nested too deep, or counts events (`| count()`).
pub(super) fn check(text: &str) -> Result<(), String> {
    if text.len() > MAX_LENGTH {
        return Err(format!("the condition is longer than {MAX_LENGTH} bytes"));
    }
    if let Some((_, aggregation)) = text.split_once('|') {
        return Err(format!(
            "the condition counts events (`| {}`), which Sigma has given up: write a correlation rule",
            foil_text::cut(aggregation.trim(), 80)
        ));
    }
    let (mut depth, mut nots) = (0_usize, 0_usize);
    for word in text.replace('(', " ( ").replace(')', " ) ").split_whitespace() {
        nots = if word.eq_ignore_ascii_case("not") { nots.saturating_add(1) } else { 0 };
        depth = match word {
            "(" => depth.saturating_add(1),
            ")" => depth.saturating_sub(1),
            _ => depth,
        };
        if depth.saturating_add(nots) > MAX_DEPTH {
            return Err(format!("the condition is nested deeper than {MAX_DEPTH} levels"));
        }
    }
    Ok(())
}

/// Returns the condition with each selector (`1 of x*`) replaced by the selections that it stands for.
///
/// # Errors
/// A name or a pattern that stands for no selection; a number of selections other than one or all.
pub(super) fn resolve(condition: &ConditionExpr, names: &[String]) -> Result<ConditionExpr, String> {
    let all = |parts: &[ConditionExpr]| parts.iter().map(|part| resolve(part, names)).collect::<Result<Vec<_>, _>>();
    Ok(match condition {
        ConditionExpr::Identifier(name) if names.contains(name) => condition.clone(),
        ConditionExpr::Identifier(name) => {
            return Err(format!(
                "the condition names `{}`, which is not a selection of the rule: there are {}",
                foil_text::cut(name, 80),
                names.join(", ")
            ));
        }
        ConditionExpr::And(parts) => ConditionExpr::And(all(parts)?),
        ConditionExpr::Or(parts) => ConditionExpr::Or(all(parts)?),
        ConditionExpr::Not(inner) => ConditionExpr::Not(Box::new(resolve(inner, names)?)),
        ConditionExpr::Selector { quantifier, pattern } => {
            let what = match pattern {
                SelectorPattern::Them => "them",
                SelectorPattern::Pattern(pattern) => pattern.as_str(),
            };
            let fitting = names.iter().filter(|name| pattern.matches_detection_name(name));
            let parts: Vec<_> = fitting.cloned().map(ConditionExpr::Identifier).collect();
            match quantifier {
                _ if parts.is_empty() => {
                    return Err(format!(
                        "no selection is named as `of {}` in the condition says: there are {}",
                        foil_text::cut(what, 80),
                        names.join(", ")
                    ));
                }
                Quantifier::Any => ConditionExpr::Or(parts),
                Quantifier::All => ConditionExpr::And(parts),
                Quantifier::Count(count) => {
                    return Err(format!("`{count} of {what}` in the condition is not Sigma: write `1 of` or `all of`"));
                }
            }
        }
    })
}

/// Returns whether the condition may hold, where `selection` says which selections may. What is excluded may always be absent.
pub(super) fn may_hold(condition: &ConditionExpr, selection: &dyn Fn(&str) -> bool) -> bool {
    match condition {
        ConditionExpr::Identifier(name) => selection(name),
        ConditionExpr::And(parts) => parts.iter().all(|part| may_hold(part, selection)),
        ConditionExpr::Or(parts) => parts.iter().any(|part| may_hold(part, selection)),
        ConditionExpr::Not(_) | ConditionExpr::Selector { .. } => true,
    }
}

/// Returns the selections that must hold together, for each way in which the condition may hold; without those that are excluded.
/// Ways beyond `most` are left out.
pub(super) fn ways(condition: &ConditionExpr, most: usize) -> Vec<Vec<&str>> {
    match condition {
        ConditionExpr::Identifier(name) => vec![vec![name.as_str()]],
        ConditionExpr::Not(_) | ConditionExpr::Selector { .. } => vec![Vec::new()],
        ConditionExpr::Or(parts) => parts.iter().flat_map(|part| ways(part, most)).take(most).collect(),
        ConditionExpr::And(parts) => parts.iter().fold(vec![Vec::new()], |known, part| {
            let further = ways(part, most);
            let joined = known.iter().flat_map(|way| further.iter().map(|more| [way.as_slice(), more].concat()));
            joined.take(most).collect()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 6] = ["a", "b", "c", "sel_1", "sel_2", "_x"];

    fn resolved(condition: &str) -> Result<ConditionExpr, String> {
        check(condition)?;
        let parsed = rsigma_parser::parse_condition(condition).map_err(|error| error.to_string())?;
        resolve(&parsed, &NAMES.map(str::to_owned))
    }

    fn holds(condition: &ConditionExpr, true_ones: &[&str]) -> bool {
        match condition {
            ConditionExpr::Identifier(name) => true_ones.contains(&name.as_str()),
            ConditionExpr::And(parts) => parts.iter().all(|part| holds(part, true_ones)),
            ConditionExpr::Or(parts) => parts.iter().any(|part| holds(part, true_ones)),
            ConditionExpr::Not(inner) => !holds(inner, true_ones),
            ConditionExpr::Selector { .. } => panic!("a selector is left"),
        }
    }

    #[test]
    fn precedence_and_quantifiers() {
        for (condition, true_ones, expected) in [
            ("a or b and c", "a", true),
            ("a or b and c", "b", false),
            ("(a or b) and c", "a", false),
            ("(a or b)and(c)", "b c", true),
            ("not a and b", "b", true),
            ("not (a and b)", "a", true),
            ("not not a", "a", true),
            ("1 of sel_*", "sel_2", true),
            ("1 of sel_*", "a", false),
            ("all of sel_*", "sel_2", false),
            ("all of sel_*", "sel_1 sel_2", true),
            ("a and not 1 of sel_*", "a sel_1", false),
            ("any of *_1", "sel_1", true),
            ("1 of them", "_x", false),
            ("all of them", "a b c sel_1 sel_2", true),
        ] {
            let parsed = resolved(condition).unwrap_or_else(|why| panic!("{condition}: {why}"));
            let true_ones: Vec<&str> = true_ones.split(' ').collect();
            assert_eq!(holds(&parsed, &true_ones), expected, "{condition} with {true_ones:?}");
        }
    }

    #[test]
    fn mistakes_are_refused() {
        for (condition, why) in [
            ("", "expected"),
            ("a and", "expected"),
            ("a b", "expected"),
            ("a AND b", "expected"),
            ("(a", "expected"),
            ("x", "names `x`"),
            ("a | count() > 5", "counts events (`| count() > 5`)"),
            ("2 of them", "write `1 of`"),
            ("1 of x*", "no selection is named"),
            ("all of x*", "no selection is named"),
            ("not all of x*", "no selection is named"),
            (&"(".repeat(3000), "nested deeper"),
            (&"not ".repeat(900), "nested deeper"),
            (&"a or ".repeat(1000), "longer than"),
        ] {
            let error = resolved(condition).unwrap_err();
            assert!(error.contains(why), "{condition}: {error}");
        }
    }
}
