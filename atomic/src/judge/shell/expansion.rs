//! What stands in words: quotes, `$…` and backticks, and the commands in them.

use super::{DEEPEST, Reader};

impl Reader<'_, '_> {
    /// Skips to the closing parenthesis, but for substitutions.
    pub(super) fn balanced(&mut self) {
        let mut open = 1;
        while let Some(c) = self.next() {
            match c {
                '(' => open += 1,
                ')' => open -= 1,
                '\'' => drop(self.until('\'')),
                '"' => self.quoted(Some('"')),
                '$' => self.dollar(true),
                '`' => self.backticks(),
                _ => {}
            }
            if open == 0 {
                break;
            }
        }
        self.word = None;
    }

    /// Text in which only substitutions and backslashes mean something.
    pub(super) fn quoted(&mut self, end: Option<char>) {
        self.push("");
        while let Some(c) = self.next() {
            match c {
                c if Some(c) == end => break,
                '\\' => match self.next() {
                    Some('\n') | None => {}
                    Some(c @ ('$' | '`' | '"' | '\\')) => self.push(c.encode_utf8(&mut [0; 4])),
                    Some(c) => {
                        self.push("\\");
                        self.push(c.encode_utf8(&mut [0; 4]));
                    }
                },
                '$' => self.dollar(true),
                '`' => self.backticks(),
                c => self.push(c.encode_utf8(&mut [0; 4])),
            }
        }
    }

    pub(super) fn dollar(&mut self, quoted: bool) {
        if self.depth >= DEEPEST {
            self.push("$");
            return;
        }
        self.depth += 1;
        if self.eat("((") {
            let word = self.word.take();
            self.balanced();
            self.eat(")");
            self.word = word;
            self.push("$((…))");
        } else if self.eat("(") {
            self.substitution();
            self.push("$(…)");
        } else if self.eat("{") {
            self.push("${");
            while let Some(c) = self.next() {
                match c {
                    '}' => break,
                    '$' => self.dollar(true),
                    '`' => self.backticks(),
                    c => self.push(c.encode_utf8(&mut [0; 4])),
                }
            }
            self.push("}");
        } else if !quoted && self.eat("'") {
            let text = self.until('\'');
            self.push(text);
        } else {
            self.push("$");
        }
        self.depth -= 1;
    }

    /// The commands up to the closing parenthesis, which need nothing of what is around them.
    pub(super) fn substitution(&mut self) {
        if self.depth >= DEEPEST {
            self.rest = "";
            return;
        }
        let mut inner = Reader::new(self.rest, self.depth + 1, self.found);
        inner.run(true);
        self.rest = inner.rest;
    }

    pub(super) fn backticks(&mut self) {
        let mut inner = String::new();
        while let Some(c) = self.next() {
            match c {
                '`' => break,
                '\\' if self.rest.starts_with(['`', '\\', '$']) => inner.extend(self.next()),
                c => inner.push(c),
            }
        }
        self.script(&inner);
        self.push("$(…)");
    }

    /// A script that stands in this one.
    pub(super) fn script(&mut self, text: &str) {
        if self.depth < DEEPEST {
            Reader::new(text, self.depth + 1, self.found).run(false);
        }
    }
}
