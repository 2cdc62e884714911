//! Regular expressions of rules. Sigma's are PCRE's; those of the `regex` crate, which rsigma uses, are linear in the text's length
//! and lack what would not be. What only looks different is rewritten before rsigma compiles it, and what means something else is
//! refused with a sentence.

use regex::{Regex, RegexBuilder};

/// Most memory that one compiled expression may take, in bytes.
const SIZE: usize = 1 << 20;

/// Returns an expression of a rule in the spelling of the `regex` crate, for Sigma's flags `i`, `m` and `s`.
///
/// # Errors
/// The expression and why it cannot be evaluated: look-around, back references, atomic groups, what is not an expression.
pub(super) fn of_rule(source: &str, insensitive: bool, multiline: bool, dotall: bool) -> Result<String, String> {
    let rewritten = rewrite(source).map_err(|why| cannot(source, &why))?;
    let compiled = compile(&rewritten, insensitive, multiline, dotall);
    compiled.map(|_| rewritten).map_err(|_| {
        // In the author's words, where these have a mistake too.
        let written = compile(source, insensitive, multiline, dotall);
        written.err().unwrap_or_else(|| cannot(source, "it is not an expression"))
    })
}

/// Compiles an expression as the `regex` crate takes it.
///
/// # Errors
/// As of [`of_rule`].
pub(super) fn compile(source: &str, insensitive: bool, multiline: bool, dotall: bool) -> Result<Regex, String> {
    RegexBuilder::new(source)
        .case_insensitive(insensitive)
        .multi_line(multiline)
        .dot_matches_new_line(dotall)
        .size_limit(SIZE)
        .build()
        .map_err(|error| {
            let why = error.to_string();
            cannot(source, why.lines().last().unwrap_or_default().trim_start_matches("error: "))
        })
}

fn cannot(source: &str, why: &str) -> String {
    format!("the expression `{}` cannot be compiled: {why}", foil_text::cut(source, 80))
}

/// The same expression in the crate's spelling.
fn rewrite(source: &str) -> Result<String, String> {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    // Within `[…]`, and still at its beginning, where `]` stands for itself.
    let (mut class, mut first) = (false, false);
    // What can be repeated, or was just repeated.
    let mut repeated = false;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let was_repeated = std::mem::take(&mut repeated);
        let was_first = std::mem::take(&mut first);
        rest = after;
        match c {
            '\\' => rest = escape(after, class, &mut out)?,
            ']' if class && !was_first => {
                class = false;
                out.push(c);
            }
            '^' if class && was_first && out.ends_with('[') => {
                first = true;
                out.push(c);
            }
            // Sets of sets and their operators are the crate's own.
            '[' if class => match after.strip_prefix(':').and_then(|name| name.find(":]")) {
                Some(end) => {
                    let (name, next) = after.split_at_checked(end.saturating_add(3)).unwrap_or((after, ""));
                    out.push(c);
                    out.push_str(name);
                    rest = next;
                }
                None => out.push_str(r"\["),
            },
            '&' | '~' if class => out.extend(['\\', c]),
            '-' if class && after.starts_with('-') => out.push_str(r"\-"),
            _ if class => out.push(c),
            '[' => {
                (class, first) = (true, true);
                out.push(c);
            }
            '{' => match quantifier(after) {
                Some(length) => {
                    let (counts, next) = after.split_at_checked(length).unwrap_or((after, ""));
                    out.push(c);
                    out.push_str(counts);
                    (rest, repeated) = (next, true);
                }
                // PCRE takes a brace that counts nothing for itself.
                None => out.push_str(r"\{"),
            },
            '+' if was_repeated => return Err("possessive quantifiers are not supported".to_owned()),
            '*' | '+' | '?' => {
                repeated = !was_repeated;
                out.push(c);
            }
            '(' if after.starts_with("?>") => return Err("atomic groups are not supported".to_owned()),
            _ => out.push(c),
        }
    }
    Ok(out)
}

/// The length of `2}`, `2,}` or `2,5}`.
fn quantifier(rest: &str) -> Option<usize> {
    let (counts, _) = rest.split_once('}')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let counts_something = match counts.split_once(',') {
        Some((least, most)) => is_number(least) && (most.is_empty() || is_number(most)),
        None => is_number(counts),
    };
    counts_something.then(|| counts.len().saturating_add(1))
}

/// What stands behind a backslash; returns the rest.
fn escape<'a>(after: &'a str, class: bool, out: &mut String) -> Result<&'a str, String> {
    let Some(c) = after.chars().next() else {
        out.push('\\');
        return Ok(after);
    };
    let rest = after.get(c.len_utf8()..).unwrap_or_default();
    match c {
        // `\x{1F}`, `\p{Greek}`, whose braces are no quantifier.
        'x' | 'u' | 'U' | 'p' | 'P' if rest.starts_with('{') => {
            let end = rest.find('}').map_or(rest.len(), |end| end.saturating_add(1));
            let (name, next) = rest.split_at_checked(end).unwrap_or((rest, ""));
            out.push('\\');
            out.push(c);
            out.push_str(name);
            return Ok(next);
        }
        'h' if class => out.push_str(r" \t"),
        'h' => out.push_str(r"[ \t]"),
        'R' if !class => out.push_str(r"(?:\r\n|[\n\r\x0b\x0c])"),
        'e' => out.push_str(r"\x1b"),
        'Z' if !class => out.push_str(r"(?:\n?\z)"),
        // The crate takes these for the borders of words.
        '<' | '>' => out.push(c),
        c if c.is_ascii() => out.extend(['\\', c]),
        c => out.push(c),
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(source: &str, flags: &str) -> Result<Regex, String> {
        let has = |flag| flags.contains(flag);
        let (i, m, s) = (has('i'), has('m'), has('s'));
        of_rule(source, i, m, s).and_then(|rewritten| compile(&rewritten, i, m, s))
    }

    #[test]
    fn what_only_looks_different_is_taken() {
        for (source, hits, misses) in [
            (r"\/dev\/tcp\/", &["exec 3<>/dev/tcp/1"][..], &["/dev/udp/"][..]),
            (r".*{ :;};", &["() { :;}; id"], &["() {:;}"]),
            (r"a{2}", &["aa"], &["a{2}"]),
            (r"a{2,}b{1,3}", &["aab"], &["ab"]),
            (r"a{,2}", &["a{,2}"], &["aa"]),
            (r"a{x}", &["a{x}"], &["a"]),
            (r"^{", &["{a"], &["a{"]),
            (r"\$\{IFS\}", &["${IFS}"], &["IFS"]),
            (r"${IFS}", &[], &["x"]),
            (r"\x{41}\p{Lu}", &["AB"], &["Ab"]),
            (r"[[]x", &["[x"], &["x"]),
            (r"[]a]+", &["]a"], &["b"]),
            (r"[^]a]", &["b"], &["]a"]),
            (r"[a&&b]", &["&", "a"], &["c"]),
            (r"[[:digit:]]", &["7"], &["a:"]),
            (r"[{}]", &["{", "}"], &["x"]),
            (r"a\hb[\h]c", &["a\tb c"], &["a\nb c"]),
            (r"\<b\>", &["<b>"], &["b"]),
            (r#"\"\'\-\_\ \é"#, &["\"'-_ é"], &["x"]),
            (r"end\Z", &["end", "end\n"], &["end.\n."]),
            (r"a\Rb", &["a\r\nb", "a\nb"], &["ab"]),
            (r"\e\[31m", &["\u{1b}[31m"], &["[31m"]),
            (r"(?i)curl", &["CURL"], &["wget"]),
            (r"a+?b*?c??", &["ab"], &["b"]),
        ] {
            let expression = matcher(source, "").unwrap_or_else(|why| panic!("{why}"));
            for hit in hits {
                assert!(expression.is_match(hit), "{source} holds for {hit:?}");
            }
            for miss in misses {
                assert!(!expression.is_match(miss), "{source} does not hold for {miss:?}");
            }
        }
    }

    #[test]
    fn what_means_something_else_is_refused() {
        for (source, why) in [
            (r"https?://[0-9]{1,10}(?!\.)", "look-around"),
            (r"(?<=a)b", "look-around"),
            (r"(a)\1", "backreferences"),
            (r"a++", "possessive"),
            (r"[a-z]{2}+", "possessive"),
            (r"(?>a)", "atomic"),
            (r"(a{1000}){1000}", "size limit"),
            (r"(a", "unclosed"),
            (r"a\", "incomplete"),
        ] {
            let error = matcher(source, "").unwrap_err();
            assert!(error.contains(why) && error.contains("the expression `"), "{source}: {error}");
        }
    }

    #[test]
    fn flags() {
        assert!(
            matcher("^curl", "m").unwrap().is_match("sh\ncurl x")
                && !matcher("^curl", "").unwrap().is_match("sh\ncurl x")
        );
        assert!(matcher("A.b", "is").unwrap().is_match("a\nb") && !matcher("Curl", "").unwrap().is_match("curl"));
    }
}
