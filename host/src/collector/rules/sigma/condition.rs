//! Conditions: `selection and not 1 of filter_*`.

use super::text::{Place, Text};

/// Longest condition, in bytes, and deepest nesting.
const MAX_LENGTH: usize = 4096;
const MAX_DEPTH: usize = 32;

/// A condition over selections by number.
#[derive(Debug, PartialEq)]
pub(super) enum Condition {
    Selection(usize),
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

impl Condition {
    /// Of a rule's text, over the selections of these names.
    pub(super) fn parse(text: &str, names: &[String]) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("the condition is longer than {MAX_LENGTH} bytes"));
        }
        if let Some((_, aggregation)) = text.split_once('|') {
            return Err(format!(
                "the condition counts events (`| {}`), which needs events over time: that is not supported",
                crate::engine::cut(aggregation.trim(), 80)
            ));
        }
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let mut parser = Parser { words: spaced.split_whitespace().collect(), next: 0, names, depth: 0 };
        let condition = parser.any()?;
        match parser.peek() {
            None => Ok(condition),
            Some(word) => {
                Err(format!("the condition `{text}` goes on with `{word}` where `and`, `or` or its end was expected"))
            }
        }
    }

    /// Does it hold, where `selection` says which selections do?
    pub(super) fn holds(&self, selection: &impl Fn(usize) -> bool) -> bool {
        match self {
            Self::Selection(number) => selection(*number),
            Self::Not(inner) => !inner.holds(selection),
            Self::All(parts) => parts.iter().all(|part| part.holds(selection)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(selection)),
        }
    }
}

impl Condition {
    /// May it hold, where `selection` says which selections may? What is excluded may always be absent.
    pub(super) fn may_hold(&self, selection: &impl Fn(usize) -> bool) -> bool {
        match self {
            Self::Selection(number) => selection(*number),
            Self::Not(_) => true,
            Self::All(parts) => parts.iter().all(|part| part.may_hold(selection)),
            Self::Any(parts) => parts.iter().any(|part| part.may_hold(selection)),
        }
    }

    /// The selections that must hold together, for each way in which it may hold; without those that are excluded. Ways beyond
    /// `most` are left out.
    pub(super) fn ways(&self, most: usize) -> Vec<Vec<usize>> {
        match self {
            Self::Selection(number) => vec![vec![*number]],
            Self::Not(_) => vec![Vec::new()],
            Self::Any(parts) => parts.iter().flat_map(|part| part.ways(most)).take(most).collect(),
            Self::All(parts) => parts.iter().fold(vec![Vec::new()], |ways, part| {
                let further = part.ways(most);
                let joined = ways.iter().flat_map(|way| further.iter().map(|more| [way.as_slice(), more].concat()));
                joined.take(most).collect()
            }),
        }
    }
}

struct Parser<'a> {
    words: Vec<&'a str>,
    next: usize,
    names: &'a [String],
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).copied()
    }

    fn take(&mut self) -> Result<&'a str, String> {
        let word = self.peek().ok_or("the condition ends where a selection was expected")?;
        self.next = self.next.saturating_add(1);
        Ok(word)
    }

    fn eat(&mut self, word: &str) -> bool {
        let is = self.peek().is_some_and(|next| next.eq_ignore_ascii_case(word));
        self.next = self.next.saturating_add(usize::from(is));
        is
    }

    fn any(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.all()?];
        while self.eat("or") {
            parts.push(self.all()?);
        }
        Ok(only(parts, Condition::Any))
    }

    fn all(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.one()?];
        while self.eat("and") {
            parts.push(self.one()?);
        }
        Ok(only(parts, Condition::All))
    }

    fn one(&mut self) -> Result<Condition, String> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            return Err(format!("the condition is nested deeper than {MAX_DEPTH} levels"));
        }
        let condition = if self.eat("not") {
            Condition::Not(Box::new(self.one()?))
        } else if self.eat("(") {
            let inner = self.any()?;
            if !self.eat(")") {
                return Err("a parenthesis of the condition is not closed".to_owned());
            }
            inner
        } else {
            let word = self.take()?;
            if self.eat("of") { self.several(word)? } else { Condition::Selection(self.named(word)?) }
        };
        self.depth = self.depth.saturating_sub(1);
        Ok(condition)
    }

    fn named(&self, name: &str) -> Result<usize, String> {
        let there =
            || format!("the condition names `{name}`, which is no selection: there are {}", self.names.join(", "));
        self.names.iter().position(|n| n == name).ok_or_else(there)
    }

    /// `1 of x*`, `all of them`. `them` are all but those whose name begins with an underscore.
    fn several(&mut self, how: &str) -> Result<Condition, String> {
        let what = self.take()?;
        let wanted = Text::new(what, Place::Whole, true)?;
        let fits = |name: &String| {
            if what.eq_ignore_ascii_case("them") { !name.starts_with('_') } else { wanted.holds(name) }
        };
        let names = self.names.iter().enumerate().filter(|(_, name)| fits(name));
        let parts: Vec<Condition> = names.map(|(number, _)| Condition::Selection(number)).collect();
        if parts.is_empty() {
            return Err(format!("no selection fits `{how} of {what}`: there are {}", self.names.join(", ")));
        }
        match how.to_ascii_lowercase().as_str() {
            "1" | "any" => Ok(Condition::Any(parts)),
            "all" => Ok(Condition::All(parts)),
            _ => Err(format!("`{how} of {what}` cannot be evaluated: say `1 of` or `all of`")),
        }
    }
}

fn only(mut parts: Vec<Condition>, several: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.pop() {
        Some(part) if parts.is_empty() => part,
        Some(part) => {
            parts.push(part);
            several(parts)
        }
        None => several(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of a, b, c, sel_1, sel_2, _x hold, as letters.
    fn holds(condition: &str, true_ones: &str) -> bool {
        let names: Vec<String> = ["a", "b", "c", "sel_1", "sel_2", "_x"].map(str::to_owned).to_vec();
        let is = |number: usize| true_ones.split(' ').any(|n| n == names[number]);
        Condition::parse(condition, &names).unwrap_or_else(|e| panic!("{e}")).holds(&is)
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
            ("a AND NOT b", "a", true),
            ("1 of sel_*", "sel_2", true),
            ("1 of sel_*", "a", false),
            ("all of sel_*", "sel_2", false),
            ("all of sel_*", "sel_1 sel_2", true),
            ("a and not 1 of sel_*", "a sel_1", false),
            ("any of *_1", "sel_1", true),
            ("1 of them", "_x", false),
            ("all of them", "a b c sel_1 sel_2", true),
        ] {
            assert_eq!(holds(condition, true_ones), expected, "{condition} with {true_ones}");
        }
    }

    #[test]
    fn what_is_no_condition_is_said() {
        let names = ["a".to_owned(), "b".to_owned()];
        for (condition, why) in [
            ("", "ends where"),
            ("a and", "ends where"),
            ("a b", "goes on with `b`"),
            ("a) and b", "goes on with `)`"),
            ("(a", "not closed"),
            ("x", "no selection"),
            ("é b", "no selection"),
            ("a | count() > 5", "counts events (`| count() > 5`), which needs events over time"),
            ("2 of them", "say `1 of`"),
            ("1 of x*", "no selection fits"),
            (&"(".repeat(3000), "nested deeper"),
            (&"not ".repeat(900), "nested deeper"),
            (&"a or ".repeat(1000), "longer than"),
        ] {
            let error = Condition::parse(condition, &names).unwrap_err();
            assert!(error.contains(why), "{condition}: {error}");
        }
    }
}
