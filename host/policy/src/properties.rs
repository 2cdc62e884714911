//! Whatever is asked, granted and guarded: the effective permission is never wider than any of the three.
//!
//! The matcher here is written anew, naively and recursively, so that a mistake in the real one shows.

mod kube;

use super::paths::contains;
use super::permission::exec_scopes;
use super::{EffectiveLimits, Permission};
use foil_manifest::pattern::Variables;
use foil_manifest::{Capability, CapabilityName, ExecScope, Limits, Network, PathScope};
use proptest::prelude::*;

const RUN: &str = "r1";
const SCRATCH: &str = "/t/r1";

fn variables() -> Variables {
    Variables { run: RUN.into(), scratch: SCRATCH.into(), ..Variables::default() }
}

/// Does `text` match `pattern`? By the words of the documentation.
fn naive(pattern: &str, text: &str) -> bool {
    fn go(p: &[char], t: &[char]) -> bool {
        match p {
            [] => t.is_empty(),
            ['*', '*', rest @ ..] => (0..=t.len()).any(|i| go(rest, &t[i..])),
            ['*', rest @ ..] => (0..=t.len()).take_while(|i| !t[..*i].contains(&'/')).any(|i| go(rest, &t[i..])),
            ['?', rest @ ..] => t.first().is_some_and(|c| *c != '/') && go(rest, &t[1..]),
            [c, rest @ ..] => t.first() == Some(c) && go(rest, &t[1..]),
        }
    }
    let pattern = pattern.replace("{run}", RUN).replace("{scratch}", SCRATCH);
    go(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
}

fn naive_command(rule: &str, program: &str, arguments: &[String]) -> bool {
    let mut words: Vec<&str> = rule.split(' ').collect();
    let more = words.last() == Some(&"...");
    if more {
        words.pop();
    }
    let enough = if more { arguments.len() >= words.len() - 1 } else { arguments.len() == words.len() - 1 };
    enough && naive(words[0], program) && words[1..].iter().zip(arguments).all(|(w, a)| naive(w, a))
}

fn part() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "ab", "*", "?", "a*", "**", "{run}", "r1"])
}

fn rule() -> impl Strategy<Value = String> {
    let plain = prop::collection::vec(part(), 1..4).prop_map(|parts| format!("/{}", parts.join("/")));
    let scratch = part().prop_map(|p| format!("{{scratch}}/{p}"));
    prop_oneof![4 => plain, 1 => scratch]
}

fn folder() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "ab", "{run}"]);
    prop_oneof![
        5 => prop::collection::vec(name, 0..4).prop_map(|parts| format!("/{}", parts.join("/"))),
        1 => Just("{scratch}".to_owned()),
        1 => Just("/t".to_owned()),
    ]
}

fn path() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "ab", "r1", "t", "", ".", ".."]);
    prop::collection::vec(name, 1..4).prop_map(|parts| format!("/{}", parts.join("/")))
}

fn scope() -> impl Strategy<Value = Capability> {
    let word = prop::sample::select(vec!["a", "*", "-x", "**", "..."]);
    let command = (rule(), prop::collection::vec(word, 0..3))
        .prop_map(|(program, words)| words.iter().fold(program, |line, word| format!("{line} {word}")));
    let env = prop::collection::vec(prop::sample::select(vec!["A", "B"]), 0..2);
    let exec = (
        prop::collection::vec(command, 0..3),
        prop::collection::vec(folder(), 0..3),
        prop::collection::vec(folder(), 0..3),
        env,
        any::<(bool, bool)>(),
    )
        .prop_map(|(allow, reads, writes, env, (host, privileges))| {
            Capability::Exec(ExecScope {
                allow: allow.into_iter().filter_map(|t| t.parse().ok()).collect(),
                reads,
                writes,
                env: env.into_iter().map(str::to_owned).collect(),
                network: if host { Network::Host } else { Network::Loopback },
                privileges,
                reason: String::new(),
            })
        });
    let paths = (any::<bool>(), prop::collection::vec(rule(), 0..3)).prop_map(|(write, rules)| {
        let allow = rules.into_iter().filter_map(|t| t.parse().ok()).collect();
        let scope = PathScope { allow, reason: String::new() };
        if write { Capability::FilesWrite(scope) } else { Capability::FilesRead(scope) }
    });
    prop_oneof![exec, paths]
}

fn layer() -> impl Strategy<Value = Vec<Capability>> {
    prop::collection::vec(scope(), 0..4)
}

fn permission() -> impl Strategy<Value = Permission> {
    (layer(), layer(), prop::option::of(layer())).prop_map(|(request, grant, guardrail)| Permission {
        request,
        grant,
        guardrail,
        variables: variables(),
        own: Vec::new(),
    })
}

fn layers(p: &Permission) -> Vec<&Vec<Capability>> {
    [&p.request, &p.grant].into_iter().chain(&p.guardrail).collect()
}

fn allows_path(layer: &[Capability], name: CapabilityName, path: &str) -> bool {
    layer.iter().filter(|c| c.name() == name).any(|c| match c {
        Capability::FilesRead(s) | Capability::FilesWrite(s) => s.allow.iter().any(|r| naive(r.as_str(), path)),
        _ => false,
    })
}

fn allows_command(layer: &[Capability], program: &str, arguments: &[String], env: &[&str]) -> bool {
    layer.iter().any(|c| match c {
        Capability::Exec(s) => {
            s.allow.iter().any(|r| naive_command(r.as_str(), program, arguments))
                && env.iter().all(|n| s.env.iter().any(|e| e == n))
        }
        _ => false,
    })
}

/// Takes the `n`th rule (counted over all lists of all scopes) out of a layer.
fn without(layer: &[Capability], n: usize) -> Vec<Capability> {
    fn cut<T>(list: &mut Vec<T>, n: &mut usize) {
        if *n < list.len() {
            list.remove(*n);
            *n = usize::MAX;
        } else if *n != usize::MAX {
            *n -= list.len();
        }
    }
    let mut n = n;
    let mut layer = layer.to_vec();
    for c in &mut layer {
        match c {
            Capability::Exec(s) => {
                cut(&mut s.allow, &mut n);
                cut(&mut s.reads, &mut n);
                cut(&mut s.writes, &mut n);
                cut(&mut s.env, &mut n);
            }
            Capability::FilesRead(s) | Capability::FilesWrite(s) => cut(&mut s.allow, &mut n),
            _ => {}
        }
    }
    cut(&mut layer, &mut n);
    layer
}

fn clean(path: &str) -> bool {
    path == "/" || path[1..].split('/').all(|p| !["", ".", ".."].contains(&p))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_path_is_allowed_exactly_where_every_layer_alone_allows_it(p in permission(), path in path()) {
        for (name, answer) in [(CapabilityName::FilesRead, p.read(&path)), (CapabilityName::FilesWrite, p.write(&path))] {
            let all = clean(&path) && layers(&p).iter().all(|l| allows_path(l, name, &path));
            prop_assert_eq!(answer.is_ok(), all, "{:?}", answer);
        }
    }

    #[test]
    fn a_command_is_allowed_exactly_where_every_layer_alone_allows_it(
        p in permission(),
        program in path(),
        arguments in prop::collection::vec(prop::sample::select(vec!["a", "-x", "a/b", "", "..."]), 0..4),
        env in prop::collection::vec(prop::sample::select(vec!["A", "B", "C"]), 0..2),
    ) {
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let all = clean(&program) && layers(&p).iter().all(|l| allows_command(l, &program, &arguments, &env));
        let answer = p.exec(&program, &arguments, &env);
        prop_assert_eq!(answer.is_ok(), all, "{:?}", answer);
    }

    #[test]
    fn taking_a_rule_away_never_allows_more(
        p in permission(), which in 0usize..3, n in 0usize..12, path in path(), folder in path(),
    ) {
        let mut less = p.clone();
        match which {
            0 => less.request = without(&p.request, n),
            1 => less.grant = without(&p.grant, n),
            _ => less.guardrail = p.guardrail.as_ref().map(|g| without(g, n)),
        }
        prop_assert!(less.read(&path).is_err() || p.read(&path).is_ok());
        prop_assert!(less.write(&path).is_err() || p.write(&path).is_ok());
        prop_assert!(less.exec(&path, &[], &["A"]).is_err() || p.exec(&path, &[], &["A"]).is_ok());
        prop_assert!(less.linked().is_subset(&p.linked()));
        let (small, large) = (less.children(), p.children());
        let within = |list: &[String], path: &str| list.iter().any(|o| contains(o, path));
        prop_assert!(small.reads.iter().all(|x| within(&large.reads, x)), "{:?} {:?}", small, large);
        prop_assert!(small.writes.iter().all(|x| within(&large.writes, x)), "{:?} {:?}", small, large);
        prop_assert!(small.network <= large.network && small.privileges <= large.privileges);
        // And a folder of the smaller is one of the larger, whichever it is.
        prop_assert!(!within(&small.reads, &folder) || within(&large.reads, &folder));
    }

    #[test]
    fn children_stay_within_every_layer(p in permission(), probe in path()) {
        let scope = p.children();
        let filled = |path: &String| path.replace("{run}", RUN).replace("{scratch}", SCRATCH);
        let covered = |list: &[String], path: &str| {
            list.iter().map(filled).any(|o| o == "/" || path == o || path.starts_with(&format!("{o}/")))
        };
        let reads = |l: &[Capability], path: &str| {
            exec_scopes(l).any(|s| covered(&s.reads, path) || covered(&s.writes, path))
        };
        let writes = |l: &[Capability], path: &str| exec_scopes(l).any(|s| covered(&s.writes, path));
        prop_assert!(scope.reads.iter().all(|x| layers(&p).iter().all(|l| reads(l, x))), "{:?}", scope);
        prop_assert!(scope.writes.iter().all(|x| layers(&p).iter().all(|l| writes(l, x))), "{:?}", scope);
        prop_assert!(scope.writes.iter().all(|x| scope.reads.iter().any(|o| contains(o, x))), "{:?}", scope);
        // Nothing is lost either: a path that every layer covers is covered by the whole.
        if clean(&probe) {
            prop_assert_eq!(scope.reads.iter().any(|o| contains(o, &probe)), layers(&p).iter().all(|l| reads(l, &probe)));
        }
        let host = |l: &[Capability]| l.iter().any(|c| matches!(c, Capability::Exec(s) if s.network == Network::Host));
        prop_assert!(scope.network == Network::Loopback || layers(&p).iter().all(|l| host(l)));
        let privileged = |l: &[Capability]| l.iter().any(|c| matches!(c, Capability::Exec(s) if s.privileges));
        prop_assert!(!scope.privileges || layers(&p).iter().all(|l| privileged(l)));
    }

    #[test]
    fn only_what_every_layer_has_is_linked(p in permission()) {
        for name in CapabilityName::ALL {
            let all = layers(&p).iter().all(|l| l.iter().any(|c| c.name() == name));
            prop_assert_eq!(p.linked().contains(&name), all);
        }
    }

    #[test]
    fn no_limit_exceeds_a_layer(m in limits(), g in limits(), e in limits()) {
        let numbers = |l: EffectiveLimits| [
            l.wall.as_millis() as u64, l.cpu.as_millis() as u64, l.memory, l.host_calls, l.output, l.log_lines,
            l.children, l.table_entries, l.child_memory, l.child_file, l.overlay,
        ];
        let none = Limits::default();
        let (got, default) = (numbers(EffectiveLimits::of(&m, &g, &e)), numbers(EffectiveLimits::of(&none, &none, &none)));
        for (i, (name, field)) in super::limits::named().into_iter().enumerate() {
            prop_assert!([&m, &g, &e].iter().all(|l| field(l).is_none_or(|v| got[i] <= v)), "{}", name);
            prop_assert!(got[i] <= field(&super::HARD_MAXIMA).unwrap_or(0), "{}", name);
            prop_assert!(field(&e).is_some() || got[i] <= default[i], "{}", name);
        }
    }

    #[test]
    fn parsers_never_panic(text in "\\PC{0,80}", yaml in "[a-z:&*\\[\\]{}<>|'\"\n -]{0,60}") {
        _ = super::grants::parse(&text);
        _ = super::grants::parse(&yaml);
        _ = super::environment::parse(&text);
        _ = super::environment::parse(&yaml);
    }
}

fn limits() -> impl Strategy<Value = Limits> {
    let number = || prop::option::of(prop_oneof![0u64..200_000, any::<u64>()]);
    let guest = (number(), number(), number(), number(), number(), number());
    let children = (number(), number(), number(), number(), number());
    (guest, children).prop_map(
        |(
            (wall_ms, cpu_ms, memory, host_calls, log_lines, table_entries),
            (output, children, child_memory, child_file, overlay),
        )| Limits {
            wall_ms,
            cpu_ms,
            memory,
            host_calls,
            output,
            log_lines,
            children,
            table_entries,
            child_memory,
            child_file,
            overlay,
        },
    )
}
