//! Whether one pattern allows all that another allows. For reviewers, who are shown what grew and what shrank; no call is ever decided
//! by it.
//!
//! It never says yes wrongly. It may say no where an exhaustive look would say yes, such as of two patterns of which only both
//! together cover the third.

use crate::pattern::{CommandPattern, NamePattern, PathPattern};
use crate::{KubeRule, PodScope};

/// The largest product of two patterns' lengths that is compared: more is a hostile file, and "no" is a safe answer.
const MOST: usize = 1 << 22;

/// One piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`
    One,
    /// `*`
    Star,
    /// `**`
    Any,
    /// What a run fills in, and whether it may have a `/` in it.
    Variable(&'static str, bool),
}

fn tokens(pattern: &str) -> Vec<Token> {
    const VARIABLES: [(&str, bool); 4] =
        [("{run}", false), ("{scratch}", true), ("{namespace}", false), ("{image}", true)];
    let mut tokens = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let (token, length) = match VARIABLES.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, slashes)) => (Token::Variable(name, *slashes), name.len()),
            None if rest.starts_with("**") => (Token::Any, 2),
            None => match c {
                '*' => (Token::Star, 1),
                '?' => (Token::One, 1),
                c => (Token::Char(c), c.len_utf8()),
            },
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

/// Whether `outer` matches whatever `inner` matches.
pub fn covers(outer: &str, inner: &str) -> bool {
    let (o, i) = (tokens(outer), tokens(inner));
    if outer == inner || o.len().saturating_mul(i.len()) > MOST {
        return outer == inner;
    }
    // row[b]: what is left of `outer` covers what is left of `inner` from `b` on; from the end to the beginning.
    let mut row: Vec<bool> = (0..=i.len()).map(|b| b == i.len()).collect();
    for token in o.iter().rev() {
        let mut next = vec![false; row.len()];
        for b in (0..row.len()).rev() {
            let here = i.get(b).copied();
            let (skipped, eaten, one) = (at(&row, b), at(&next, b.saturating_add(1)), at(&row, b.saturating_add(1)));
            let slashless = matches!(here, Some(Token::Char(c)) if c != '/')
                || matches!(here, Some(Token::One | Token::Star | Token::Variable(_, false)));
            let fits = match token {
                Token::Any => skipped || (here.is_some() && eaten),
                Token::Star => skipped || (slashless && eaten),
                Token::One => one && (matches!(here, Some(Token::Char(c)) if c != '/') || here == Some(Token::One)),
                Token::Char(_) | Token::Variable(..) => one && here == Some(*token),
            };
            if let Some(cell) = next.get_mut(b) {
                *cell = fits;
            }
        }
        row = next;
    }
    at(&row, 0)
}

fn at(row: &[bool], index: usize) -> bool {
    row.get(index).copied().unwrap_or_default()
}

impl PathPattern {
    /// Whether it allows whatever `inner` allows. See [`crate::cover`].
    pub fn covers(&self, inner: &Self) -> bool {
        covers(self.as_str(), inner.as_str())
    }
}

impl NamePattern {
    /// Whether it allows whatever `inner` allows. See [`crate::cover`].
    pub fn covers(&self, inner: &Self) -> bool {
        covers(self.as_str(), inner.as_str())
    }
}

impl CommandPattern {
    /// Whether it allows whatever `inner` allows. See [`crate::cover`].
    pub fn covers(&self, inner: &Self) -> bool {
        let ((own, more), (others, others_more)) = (self.arguments(), inner.arguments());
        let enough = if more { others.len() >= own.len() } else { !others_more && others.len() == own.len() };
        enough && self.program().covers(inner.program()) && own.iter().zip(others).all(|(a, b)| covers(a, b))
    }
}

impl KubeRule {
    /// Whether it allows whatever `inner` allows. See [`crate::cover`].
    pub fn covers(&self, inner: &Self) -> bool {
        // What is left out means any version and any name, but no namespace and no path.
        let any = |own: &Option<NamePattern>, inner: &Option<NamePattern>| match (own, inner) {
            (None, _) => true,
            (Some(own), Some(inner)) => own.covers(inner),
            (Some(_), None) => false,
        };
        let none = |own: &Option<NamePattern>, inner: &Option<NamePattern>| match (own, inner) {
            (None, None) => true,
            (Some(own), Some(inner)) => own.covers(inner),
            _ => false,
        };
        inner.verbs.iter().all(|verb| self.verbs.contains(verb))
            && self.group.covers(&inner.group)
            && self.resource.covers(&inner.resource)
            && self.subresource.covers(&inner.subresource)
            && any(&self.version, &inner.version)
            && any(&self.name, &inner.name)
            && none(&self.namespace, &inner.namespace)
            && (inner.path.is_none() || none(&self.path, &inner.path))
            && all(&self.commands, &inner.commands, CommandPattern::covers)
            && self.pod.covers(&inner.pod)
    }
}

impl PodScope {
    /// Whether it allows whatever `inner` allows. See [`crate::cover`].
    pub fn covers(&self, inner: &Self) -> bool {
        // What may be written to may be mounted.
        let mounted: Vec<PathPattern> = self.host_paths.iter().chain(&self.host_paths_writable).cloned().collect();
        self.privileged >= inner.privileged
            && self.host_network >= inner.host_network
            && self.host_pid >= inner.host_pid
            && self.host_ipc >= inner.host_ipc
            && self.host_ports >= inner.host_ports
            && all(&self.images, &inner.images, NamePattern::covers)
            && all(&mounted, &inner.host_paths, PathPattern::covers)
            && all(&self.host_paths_writable, &inner.host_paths_writable, PathPattern::covers)
            && all(&self.capabilities, &inner.capabilities, NamePattern::covers)
            && all(&self.service_accounts, &inner.service_accounts, NamePattern::covers)
    }
}

/// Each of `inner` is covered by one of `outer`.
fn all<T>(outer: &[T], inner: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    inner.iter().all(|inner| outer.iter().any(|outer| covers(outer, inner)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::glob;
    use crate::{Capability, CapabilityName};

    #[test]
    fn what_is_wider_covers_what_is_narrower() {
        for (outer, inner) in [
            ("/etc/*", "/etc/passwd"),
            ("/etc/**", "/etc/*"),
            ("/etc/**", "/etc/cron.d/*"),
            ("/tmp/foil-*", "/tmp/foil-{run}"),
            ("/tmp/**", "/tmp/foil-{run}*/x?"),
            ("{scratch}/**", "{scratch}/a"),
            ("**", "{scratch}"),
            ("/a*c", "/a?c"),
        ] {
            assert!(covers(outer, inner) && !covers(inner, outer), "{outer} {inner}");
        }
        for (one, other) in [("/etc/*", "/etc/a/b"), ("/x/*", "{scratch}"), ("?", "*"), ("{run}", "x"), ("?", "{run}")]
        {
            assert!(!covers(one, other), "{one} {other}");
        }
        assert!(!covers(&"*a".repeat(4000), &"a".repeat(4000)));
    }

    #[test]
    fn commands_and_rules_are_compared_part_by_part() {
        let command = |text: &str| text.parse::<CommandPattern>().expect(text);
        let wider = |a: &str, b: &str| command(a).covers(&command(b)) && !command(b).covers(&command(a));
        assert!(wider("/usr/bin/id ...", "/usr/bin/id -u"));
        assert!(wider("/usr/bin/id ...", "/usr/bin/id -u ..."));
        assert!(wider("/usr/bin/* -u", "/usr/bin/id -u"));
        assert!(wider("/bin/echo *", "/bin/echo foil-{run}"));
        assert!(!command("/usr/bin/id -u ...").covers(&command("/usr/bin/id")));
        let rule = |text: &str| -> KubeRule {
            let text = format!("name = 'kube-write'\nallow = [{{ verbs = ['create'], resource = 'pods', {text} }}]");
            let capability: Capability = toml::from_str(&text).expect(&text);
            assert_eq!(capability.name(), CapabilityName::KubeWrite);
            capability.kube_rules()[0].clone()
        };
        let plain = "namespace = '{namespace}'";
        for (wide, narrow) in [
            ("namespace = '*'".to_owned(), plain.to_owned()),
            (plain.to_owned(), format!("{plain}, name = 'foil-{{run}}'")),
            (format!("{plain}, pod = {{ privileged = true }}"), plain.to_owned()),
            (
                format!("{plain}, pod = {{ host-paths-writable = ['/etc'] }}"),
                format!("{plain}, pod = {{ host-paths = ['/etc'] }}"),
            ),
        ] {
            assert!(rule(&wide).covers(&rule(&narrow)) && !rule(&narrow).covers(&rule(&wide)), "{wide} {narrow}");
        }
        // A rule about the whole cluster is about objects without a namespace.
        assert!(!rule("name = 'x'").covers(&rule(plain)) && !rule(plain).covers(&rule("name = 'x'")));
    }

    proptest::proptest! {
        #[test]
        fn it_never_says_yes_wrongly(outer in "[ab/*?]{0,7}", inner in "[ab/*?]{0,7}", text in "[ab/]{0,8}") {
            if covers(&outer, &inner) && glob(&inner, &text) {
                proptest::prop_assert!(glob(&outer, &text), "{outer} {inner} {text}");
            }
        }

        #[test]
        fn a_literal_is_covered_by_what_matches_it(outer in "[ab/*?]{0,7}", text in "[ab/]{0,8}") {
            proptest::prop_assert_eq!(covers(&outer, &text), glob(&outer, &text));
        }
    }
}
