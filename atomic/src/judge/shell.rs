//! The commands of a shell script, as far as they stand in its text. A small tokenizer: it knows quotes, comments, here-documents,
//! substitutions and keywords, and what is handed on as a script (`sh -c`, `eval`, `find -exec`). It expands nothing.

mod expansion;

use super::wrap::unwrap;
use std::collections::BTreeSet;

/// How deep scripts stand in scripts; what is deeper is not read.
const DEEPEST: usize = 16;

/// A command.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Command {
    /// Its words without their quotes, the program's first. `$(…)` stands for what is only known when it runs.
    pub(super) words: Vec<String>,
    /// The files that it is redirected from.
    pub(super) reads: Vec<String>,
    /// The files that it is redirected to.
    pub(super) writes: Vec<String>,
    /// The programs in front of it that run it, such as `sudo`.
    pub(super) under: Vec<String>,
    /// It runs beside others: in a pipe or in the background.
    pub(super) beside: bool,
    /// It calls the function in whose body it stands.
    pub(super) recursive: bool,
}

impl Command {
    /// The program's name without its folder.
    pub(super) fn program(&self) -> &str {
        self.words.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word))
    }

    /// It is a shell that is handed its script by its standard input.
    fn reads_script(&self) -> bool {
        is_shell(self.program()) && self.arguments().iter().all(|word| word.starts_with('-'))
    }

    /// What it says becomes a script.
    pub(super) fn writes_script(&self) -> bool {
        self.writes.iter().any(|file| file.ends_with(".sh"))
    }

    /// The files of its redirections.
    pub(super) fn files(&self) -> impl Iterator<Item = &String> {
        self.reads.iter().chain(&self.writes)
    }

    pub(super) fn arguments(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }
}

/// The commands of a script, and the functions that it defines.
#[derive(Debug, Default)]
pub(super) struct Commands {
    pub(super) list: Vec<Command>,
    pub(super) functions: BTreeSet<String>,
}

pub(super) fn commands(script: &str) -> Commands {
    let mut found = Commands::default();
    Reader::new(script, 0, &mut found).run(false);
    found
}

struct Reader<'a, 'f> {
    rest: &'a str,
    depth: usize,
    found: &'f mut Commands,
    current: Command,
    word: Option<String>,
    /// The next word is the file that a redirection reads or writes, by its sign.
    redirect: Option<char>,
    /// Within `[[ … ]]`.
    test: bool,
    parens: usize,
    /// What comes next is a pattern of `case`.
    pattern: bool,
    braces: usize,
    /// The function that is defined next, and those in whose bodies this is, with their brace's depth.
    named: Option<String>,
    bodies: Vec<(String, usize)>,
    /// Here-documents that begin at the next line, whether tabs are taken off and whether they are expanded.
    heredocs: Vec<(String, bool, bool)>,
    line_start: usize,
}

impl<'a, 'f> Reader<'a, 'f> {
    fn new(rest: &'a str, depth: usize, found: &'f mut Commands) -> Self {
        let line_start = found.list.len();
        Self {
            rest,
            depth,
            found,
            current: Command::default(),
            word: None,
            redirect: None,
            test: false,
            parens: 0,
            pattern: false,
            braces: 0,
            named: None,
            bodies: Vec::new(),
            heredocs: Vec::new(),
            line_start,
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn eat(&mut self, what: &str) -> bool {
        self.rest.strip_prefix(what).map(|rest| self.rest = rest).is_some()
    }

    fn until(&mut self, end: char) -> &'a str {
        let (taken, rest) = self.rest.split_once(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn push(&mut self, text: &str) {
        self.word.get_or_insert_default().push_str(text);
    }

    /// Reads to the end, or to the parenthesis that closes a substitution.
    fn run(&mut self, substitution: bool) {
        while let Some(c) = self.next() {
            match c {
                '\\' => match self.next() {
                    Some('\n') | None => {}
                    Some(c) => self.push(c.encode_utf8(&mut [0; 4])),
                },
                '\'' => {
                    let text = self.until('\'');
                    self.push(text);
                }
                '"' => self.quoted(Some('"')),
                '$' => self.dollar(false),
                '`' => self.backticks(),
                '#' if self.word.is_none() => {
                    self.rest = self.rest.find('\n').and_then(|end| self.rest.get(end..)).unwrap_or_default();
                }
                ' ' | '\t' | '\r' => self.end_word(),
                '\n' => {
                    self.end_command(false);
                    self.here_documents();
                }
                // Within `[[ … ]]` these compare.
                '&' | '|' | '(' | ')' | '<' | '>' if self.test => self.end_word(),
                ';' => {
                    self.end_command(false);
                    self.pattern = self.eat(";") || self.eat("&");
                }
                '|' | '(' if self.pattern => self.end_word(),
                '&' if self.rest.starts_with('>') => self.end_word(),
                '&' | '|' => {
                    let double = self.eat(c.encode_utf8(&mut [0; 4]));
                    let _ = c == '|' && self.eat("&");
                    self.end_command(!double);
                }
                '(' => self.open(),
                ')' => {
                    self.end_word();
                    if std::mem::take(&mut self.pattern) {
                        self.current = Command::default();
                    } else if self.parens == 0 && substitution {
                        break;
                    } else {
                        self.end_command(false);
                        self.parens = self.parens.saturating_sub(1);
                    }
                }
                '<' | '>' => self.redirection(c),
                c => self.push(c.encode_utf8(&mut [0; 4])),
            }
        }
        self.end_command(false);
        if !substitution {
            self.here_documents();
        }
    }

    fn open(&mut self) {
        let trimmed = self.rest.trim_start_matches([' ', '\t']);
        match self.word.take() {
            Some(name) if trimmed.starts_with(')') => {
                self.rest = trimmed.get(1..).unwrap_or_default();
                self.found.functions.insert(name.clone());
                self.named = Some(name);
                self.current = Command::default();
            }
            // An array.
            Some(word) if word.ends_with('=') => {
                self.balanced();
                self.push(&word);
            }
            word => {
                self.word = word;
                if self.word.is_none() && self.current.words.is_empty() && self.eat("(") {
                    self.balanced();
                    self.eat(")");
                } else {
                    self.end_command(false);
                    self.parens += 1;
                }
            }
        }
    }

    fn redirection(&mut self, c: char) {
        // A file descriptor's number is no word.
        if self.word.as_ref().is_some_and(|word| word.bytes().all(|b| b.is_ascii_digit())) {
            self.word = None;
        }
        self.end_word();
        if self.eat("(") {
            self.substitution();
            self.push("$(…)");
        } else if c == '<' && self.eat("<<") {
            // What follows is text.
        } else if c == '<' && self.eat("<") {
            let tabs = self.eat("-");
            self.rest = self.rest.trim_start_matches([' ', '\t']);
            let end = self.rest.find(|c: char| c.is_whitespace() || ";|&<>()".contains(c)).unwrap_or(self.rest.len());
            let (delimiter, rest) = self.rest.split_at_checked(end).unwrap_or_default();
            self.rest = rest;
            let plain = delimiter.replace(['\'', '"', '\\'], "");
            let expanded = plain == delimiter;
            self.heredocs.push((plain, tabs, expanded));
        } else {
            let _ = self.eat(">") || self.eat("|");
            let copy = self.eat("&") && self.rest.starts_with(|c: char| c.is_ascii_digit() || c == '-');
            // `2>&1` names no file.
            self.redirect = Some(if copy { '&' } else { c });
        }
    }

    fn here_documents(&mut self) {
        let fed = self.found.list.get(self.line_start..).unwrap_or_default();
        let script = fed.iter().any(|command| command.reads_script() || command.writes_script());
        for (delimiter, tabs, expanded) in std::mem::take(&mut self.heredocs) {
            let mut body = String::new();
            while !self.rest.is_empty() {
                let line = self.until('\n');
                let line = if tabs { line.trim_start_matches('\t') } else { line };
                if line == delimiter {
                    break;
                }
                body.push_str(line);
                body.push('\n');
            }
            if script {
                self.script(&body);
            } else if expanded && self.depth < DEEPEST {
                Reader::new(&body, self.depth + 1, self.found).quoted(None);
            }
        }
        self.line_start = self.found.list.len();
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take() {
            match self.redirect.take() {
                Some('<') => self.current.reads.push(word),
                Some('>') => self.current.writes.push(word),
                Some(_) => {}
                None => {
                    self.test = (self.test || word == "[[") && word != "]]";
                    let case =
                        word == "in" && self.current.words.iter().rev().nth(1).is_some_and(|word| word == "case");
                    self.current.words.push(word);
                    if case {
                        self.pattern = true;
                        self.current.words.clear();
                    }
                }
            }
        }
    }

    fn end_command(&mut self, beside: bool) {
        self.end_word();
        (self.redirect, self.test) = (None, false);
        let mut command = std::mem::take(&mut self.current);
        command.beside = beside;
        self.keywords(&mut command.words);
        for script in unwrap(&mut command) {
            self.script(&script);
        }
        if let Some(said) = self.found.list.last().filter(|said| said.beside && command.reads_script())
            && matches!(said.program(), "echo" | "printf")
        {
            let script = said.arguments().join(" ");
            self.script(&script);
        }
        command.recursive = self.bodies.iter().any(|(name, _)| command.words.first() == Some(name));
        if !command.words.is_empty() || !command.reads.is_empty() || !command.writes.is_empty() {
            self.found.list.push(command);
        }
    }

    /// Takes off what stands in front of a command, and keeps count of what it opens and closes.
    fn keywords(&mut self, words: &mut Vec<String>) {
        let mut front = 0;
        while let Some(word) = words.get(front) {
            match word.as_str() {
                "if" | "then" | "else" | "elif" | "do" | "while" | "until" | "!" | "fi" | "done" | "coproc" => {}
                "esac" => self.pattern = false,
                "{" => {
                    self.braces += 1;
                    if let Some(name) = self.named.take().filter(|_| self.bodies.len() < DEEPEST) {
                        self.bodies.push((name, self.braces));
                    }
                }
                "}" => {
                    self.bodies.retain(|(_, braces)| *braces < self.braces);
                    self.braces = self.braces.saturating_sub(1);
                }
                "function" => {
                    self.named = words.get(front + 1).cloned();
                    self.found.functions.extend(self.named.clone());
                    front += 1;
                }
                // Names and patterns.
                "for" | "select" | "case" | "[[" => {
                    words.clear();
                    return;
                }
                word if is_assignment(word) => {}
                _ => break,
            }
            front += 1;
        }
        words.drain(..front.min(words.len()));
    }
}

pub(super) fn is_shell(program: &str) -> bool {
    matches!(program, "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh")
}

pub(super) fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name.trim_end_matches('+'));
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
