//! Events against detections, with answers that the specification gives.

use super::*;
use std::borrow::Cow;

fn rule(detection: &str) -> Result<Rule, String> {
    Rule::parse(&format!("title: t\nlogsource: {{ product: linux }}\ndetection: {detection}\n"))
}

/// `name=value` pairs, separated by ` ; `. Asks the rule by itself and by the index over many, which must agree.
fn matches(detection: &str, event: &str) -> bool {
    let pairs = event.split(" ; ").filter_map(|pair| pair.split_once('='));
    let event = SigmaEvent::new(pairs.map(|(name, value)| (name, Cow::from(value))));
    let rule = rule(detection).unwrap_or_else(|e| panic!("{detection}: {e}"));
    let logic = rule.detection().expect("a rule over single events");
    let mut engine = rsigma_eval::Engine::new();
    engine.add_compiled_rule(logic.compiled.clone());
    let matches = logic.matches(&event);
    assert_eq!(!engine.evaluate(&event).is_empty(), matches, "{detection} by the index");
    assert_eq!(logic.misses(&event).missing.is_empty(), matches, "{detection}: what is missing");
    matches
}

/// A selection `s` alone, events that it holds for, and events that it does not. Lines marked `rsigma` are those where rsigma 0.23
/// alone gives another answer.
#[rustfmt::skip]
const TABLE: &[(&str, &[&str], &[&str])] = &[
    // Texts: whole, without regard to case, unless told otherwise.
    ("{ x: Bash }", &["x=bash", "x=BASH"], &["x=bash ", "x=", "y=bash"]),
    ("{ x|cased: Bash }", &["x=Bash"], &["x=bash"]),
    ("{ x: STRASSE Ä }", &["x=strasse ä"], &["x=strasse a"]),
    ("{ x|startswith: /tmp/ }", &["x=/tmp/a", "x=/TMP/"], &["x=/var/tmp/a"]),
    ("{ x|endswith: [/rm, /shred] }", &["x=/bin/rm", "x=/usr/bin/shred"], &["x=/bin/rmdir", "x=rm"]),
    ("{ x|contains: '-i' }", &["x=a -i b"], &["x=a i b"]),
    ("{ x|contains|all: [a, b] }", &["x=b a"], &["x=a", "x=b"]),
    ("{ x|contains|cased: A }", &["x=bAb"], &["x=bab"]),
    ("{ x: '' }", &["x="], &["x=a", "y="]),
    // Wildcards, with everything that a backslash may do before them.
    ("{ x: 'a*c' }", &["x=ac", "x=abbc", "x=a\nc"], &["x=acb", "x=bac"]), // rsigma
    ("{ x: 'a?c' }", &["x=abc", "x=aéc"], &["x=ac", "x=abbc"]),
    ("{ x: '*a?c' }", &["x=aXaYc", "x=aaac"], &["x=aXaYcZ"]),
    ("{ x: '*' }", &["x=", "x=a"], &["y=a"]),
    ("{ x: '*a*' }", &["x=bab", "x=a"], &["x=b"]),
    ("{ x: 'a**?b' }", &["x=aXb", "x=aXYb"], &["x=ab"]),
    (r"{ x: 'a\*c' }", &["x=a*c"], &["x=abc"]),
    (r"{ x: 'a\?c' }", &["x=a?c"], &["x=abc"]),
    (r"{ x: 'a\c' }", &[r"x=a\c"], &["x=ac"]),
    (r"{ x: 'a\\*' }", &[r"x=a\", r"x=a\b"], &["x=a*"]),
    (r"{ x: 'a\\\*' }", &[r"x=a\*"], &[r"x=a\b"]),
    ("{ x|startswith: '/home/*/pub/' }", &["x=/home/me/pub/x"], &["x=/home/pub/x", "x=/a/home/me/pub/"]), // rsigma
    ("{ x|endswith: 'a*b' }", &["x=xxaxxb"], &["x=axbx"]), // rsigma
    ("{ x|contains: 'a*b' }", &["x=1a2b3"], &["x=b a"]),
    ("{ x: '.+(a)' }", &["x=.+(a)"], &["x=xa"]),
    // Numbers, truth values, null: recorded fields are all text.
    ("{ x: 0 }", &["x=0"], &["x=00", "x=false"]), // rsigma
    ("{ x: '0' }", &["x=0"], &["x=1"]),
    ("{ x: [1, two, null] }", &["x=1", "x=two", "y=1"], &["x=3"]), // rsigma
    ("{ x: true }", &["x=true", "x=True"], &["x=1"]), // rsigma
    ("{ x: yes }", &["x=yes"], &["x=true"]),
    ("{ x: null }", &["y=1"], &["x=1", "x="]),
    ("{ x|gt: 10 }", &["x=11", "x=10.5"], &["x=10", "x=9", "x=abc", "y=11"]),
    ("{ x|gte: 10 }", &["x=10"], &["x=9.9"]),
    ("{ x|lt: -1 }", &["x=-2"], &["x=-1"]),
    ("{ x|lte: 0.5 }", &["x=0.5"], &["x=0.6"]),
    ("{ x|contains: 77 }", &["x=0777"], &["x=07"]),
    // Presence and references.
    ("{ x|exists: true }", &["x="], &["y=1"]),
    ("{ x|exists: false }", &["y=1"], &["x="]),
    ("{ x|fieldref: y }", &["x=a ; y=A"], &["x=a ; y=b", "x=a", "y=a"]),
    ("{ x|fieldref|cased: y }", &["x=a ; y=a"], &["x=a ; y=A"]),
    ("{ x|fieldref|startswith: y }", &["x=abc ; y=ab"], &["x=abc ; y=bc"]),
    ("{ x|fieldref|endswith: y }", &["x=/usr/bin/rm ; y=rm"], &["x=/usr/bin/rm ; y=", "x=/usr/bin/rm"]), // rsigma
    ("{ x|fieldref|contains: y }", &["x=abc ; y=b"], &["x=abc ; y="]), // rsigma
    ("{ x|fieldref|cased|startswith: y }", &["x=abc ; y=ab"], &["x=abc ; y=", "x=abc ; y=AB"]), // rsigma
    ("{ x|endswith|fieldref: y }", &["x=abc ; y=bc"], &["x=abc ; y=ab"]), // rsigma
    ("{ x|neq: a }", &["x=b", "y=a"], &["x=a", "x=A"]), // rsigma
    ("{ x|neq: [a, b] }", &["x=c", "y=a"], &["x=a", "x=b"]), // rsigma
    ("{ x|neq: null }", &["x=a", "x="], &["y=a"]),
    ("{ x|contains|neq: a, y: b }", &["x=c ; y=b", "y=b"], &["x=bab ; y=b"]), // rsigma
    // Expressions: anywhere, with regard to case, unless flagged.
    (r"{ x|re: '(^|/)\.[^./]' }", &["x=.a", "x=/b/.a"], &["x=a.b", "x=.."]),
    ("{ x|re: 'A+' }", &["x=bAAb"], &["x=a"]),
    ("{ x|re|i: 'A+' }", &["x=a"], &["x=b"]),
    ("{ x|re|m: '^b$' }", &["x=a\nb"], &["x=ab"]),
    ("{ x|re|s: 'a.b' }", &["x=a\nb"], &["x=ab"]),
    ("{ x|re|m: '^curl' }", &["x=sh\ncurl x"], &["x=sh curl x"]),
    (r"{ x|re: 'a\sb' }", &["x=a\tb", "x=a\u{2028}b"], &["x=a\\tb"]),
    (r"{ x|re: '\/dev\/tcp\/' }", &["x=3<>/dev/tcp/1"], &["x=/dev/udp/"]),
    ("{ x|re: '.*{ :;};' }", &["x=() { :;}; id"], &["x=id"]), // rsigma
    ("{ x|contains: 'a?b' }", &["x=1a\tb2", "x=a\u{2028}b"], &["x=ab"]),
    ("{ x|re: ['(?i)A(?-i:B)', '(?i)zz', '(?i)yy'] }", &["x=aB", "x=ZZ"], &["x=ab"]), // rsigma
    ("{ x|re|i: 'A(?-i:B)' }", &["x=aB"], &["x=ab"]),
    ("{ x|re|all: [a, b] }", &["x=ba"], &["x=a"]),
    // Addresses.
    ("{ x|cidr: 10.0.0.0/8 }", &["x=10.255.0.1", "x=::ffff:10.1.1.1"], &["x=11.0.0.1", "x=10", "x=::a00:1"]), // rsigma
    ("{ x|cidr: [127.0.0.0/8, '::1/128'] }", &["x=127.9.9.9", "x=::1"], &["x=::2"]),
    ("{ x|cidr: 0.0.0.0/0 }", &["x=8.8.8.8"], &["x=::1"]),
    ("{ x|cidr: '2001:db8::/32' }", &["x=2001:db8::1"], &["x=2001:db9::1"]),
    // Encodings.
    ("{ x|base64|contains: cmd }", &["x=a Y21k b"], &["x=cmd"]),
    ("{ x|base64offset|contains: /bin/bash }", &["x=echo YSAvYmluL2Jhc2ggLWk="], &["x=/bin/bash"]),
    ("{ x|base64offset|contains: /bin/bash }", &["x=L2Jpbi9iYXNoIC1p", "x=YS9iaW4vYmFzaCAtaQ", "x=YWEvYmluL2Jhc2ggLWk"], &["x=L2Jpbi9zaA"]), // rsigma
    ("{ x|wide|base64offset|contains: Get-It }", &["x=RwBlAHQALQBJAHQA"], &["x=R2V0LUl0"]),
    ("{ x|windash|contains: ' -p ' }", &["x=a -p b", "x=a /p b", "x=a –p b", "x=a —p b", "x=a ―p b"], &["x=a p b", "x=a ‐p b"]),
    ("{ x|windash|contains: ' a-b /p' }", &["x=1 a-b -p2", "x= a-b /p"], &["x= a/b -p", "x= a–b /p"]), // rsigma
    ("{ x|windash|startswith: '-a*c' }", &["x=/abc"], &["x=-a*"]), // rsigma
    ("{ x|contains|all: [a] }", &["x=bab"], &["x=b"]), // rsigma
    // Maps are all of their fields, lists one of their items.
    ("{ x: a, y: b }", &["x=a ; y=b"], &["x=a", "y=b"]),
    ("[{ x: a }, { y: b }]", &["x=a", "y=b"], &["x=b ; y=a"]),
    // Keywords: anywhere in any field.
    ("[foo, 6]", &["m=a FOO b", "n=16"], &["foo=1"]), // rsigma
    ("['a*c', { x: y }]", &["m=1abc2", "x=y"], &["m=ca"]),
    ("[a.b, c+d, '(e', '[f', 'g*h']", &["m=1a.b2", "m=c+d", "m=(E", "m=[f", "m=gxh"], &["m=acb e f", "m=c"]),
    ("{ x|contains: [Aa, Bb, Cc, Dd, 7, '**'] }", &["x=1aA", "x=77", "x="], &["y=aa"]),
    ("{ x|contains|cased: [Aa, Bb, Cc, Dd] }", &["x=1Dd"], &["x=1dd"]),
    ("{ x|contains|all: [a, b, c, d] }", &["x=dcba"], &["x=abc"]),
    ("foo", &["m=foo"], &["m=fo"]),
    ("{ '|all': [foo, bar] }", &["m=bar foo", "m=foo ; n=bar"], &["m=foo"]), // rsigma
    ("{ '|re': ['^f.o$'] }", &["m=fxo"], &["m=afxo"]),
];

#[test]
fn selections() {
    for (selection, hits, misses) in TABLE {
        let detection = format!("{{ s: {selection}, condition: s }}");
        for hit in *hits {
            assert!(matches(&detection, hit), "{selection} holds for {hit:?}");
        }
        for miss in *misses {
            assert!(!matches(&detection, miss), "{selection} does not hold for {miss:?}");
        }
    }
}

#[test]
fn one_of_several_values_suffices() {
    let event = SigmaEvent::new([("name", Cow::from("x")), ("name", Cow::from("/tmp/x")), ("zzz", Cow::from("y"))]);
    for (selection, expected) in [("{ name: x }", true), ("{ name: /tmp/x }", true), ("{ name: y }", false)] {
        let rule = rule(&format!("{{ s: {selection}, condition: s }}")).unwrap();
        assert_eq!(rule.detection().unwrap().matches(&event), expected);
    }
}

#[test]
fn several_conditions_are_alternatives() {
    let detection = "{ a: { x: 1 }, b: { y: 1 }, condition: [a, not b] }";
    assert!(matches(detection, "x=1 ; y=1") && matches(detection, "x=2") && !matches(detection, "x=2 ; y=1"));
}

#[test]
fn what_cannot_be_evaluated_is_said_where() {
    for (detection, why) in [
        (
            "{ s: { x|expand: '%a%' }, condition: s }",
            "selection `s`: field `x`: the modifier `expand` asks for what `%a%`",
        ),
        ("{ s: { x|contains|expand: [b, 'c%d-e%f'] }, condition: s }", "what `%d-e%`"),
        ("{ s: { x: a }, condition: s | count(y) by z > 3 }", "counts events (`| count(y) by z > 3`)"),
        ("{ s: { x|contains|endswith: a }, condition: s }", "field `x`: its modifiers exclude each other"),
        ("{ s: { x|cidr|contains: a }, condition: s }", "exclude each other"),
        ("{ s: { x|nosuch: a }, condition: s }", "nosuch"),
        ("{ s: { x|not: a }, condition: s }", "not"),
        ("{ s: { x|i: a }, condition: s }", "without |re"),
        ("{ s: { x|exists: maybe }, condition: s }", "takes true or false"),
        ("{ s: { '|neq': a }, condition: s }", "name the field"),
        ("{ s: { x|wide|contains: a }, condition: s }", "need `base64`"),
        ("{ s: { x|re: '(?=a)b' }, condition: s }", "look-around"),
        ("{ s: { x|re: '(a{1000}){1000}' }, condition: s }", "size limit"),
        ("{ s: { x|cidr: 10.0.0.0/33 }, condition: s }", "not a network"),
        ("{ s: { x|gt: many }, condition: s }", "many"),
        ("{ s: { x|contains: null }, condition: s }", "not a text"),
        ("{ s: { x: { y: z } }, condition: s }", "is a map"),
        ("{ s: { x: [[a]] }, condition: s }", "is a list"),
        ("{ s: { x: [] }, condition: s }", "has no value"),
        ("{ s: {}, condition: s }", "it is empty"),
        ("{ s: { x: a }, timeframe: 5m, condition: s }", "timeframe"),
        ("{ s: { x: a }, condition: t }", "which is not a selection of the rule: there are s"),
        ("{ s: { x: a }, condition: all of t* }", "no selection is named as `of t*`"),
        ("{ s: { x: a }, condition: not 1 of t* }", "no selection is named as `of t*`"),
        ("{ s: { x: a } }", "no condition"),
        ("{ s: { x: a, x: b }, condition: s }", "duplicate"),
    ] {
        let error = rule(detection).unwrap_err();
        assert!(error.contains(why), "{detection}: {error}");
    }
    for (text, why) in [
        ("title: t\ndetection: { s: { x: a }, condition: s }", "no logsource"),
        ("title: t\nlogsource: {}\ndetection: { s: { x: a }, condition: s }", "no logsource"),
        ("logsource: { product: linux }\ndetection: { s: { x: a }, condition: s }", "no title"),
        ("title: t\nlogsource: { product: linux }", "no detection"),
        ("title: t\nlevel: severe\nlogsource: { product: linux }\ndetection: {}", "2:"),
        ("title: t\n---\ntitle: u", "document"),
        (
            "title: t\nlogsource: { product: linux }\ndetection:\n  s:\n    x: a\ncondition: s\n",
            "its detection has no condition; there is one at the top level, line 6: indent it below `detection`",
        ),
        (
            "title: t\nlogsource: { product: linux }\ndetection:\n  s:\n    x: a\n    condition: s\n",
            "there is one inside the selection `s`, line 6: move it out",
        ),
        ("title: t\nlogsource: { product: linux }\ndetection: { s: { x: a } }", "has no condition: add one"),
    ] {
        let error = Rule::parse(text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn a_file_gives_what_each_of_its_documents_gives() {
    let base = "title: One failed login\nname: failed_login\nlogsource: { product: linux, service: sshd }\n\
        detection: { s: { event: fail }, condition: s }\n";
    let correlation = "title: Many failed logins\ncorrelation:\n  type: event_count\n  rules: [failed_login]\n  \
        timespan: 1m\n  condition: { gte: 3 }\n";
    let filter = "title: Backup\nfilter:\n  rules: [failed_login]\n  s: { user: backup }\n  condition: not s\n";
    let parsed = |text: &str| {
        let all = Document::parse_file(text).into_iter().map(|document| match document {
            Ok(Document::Rule(draft)) => format!("rule {}", draft.head.title),
            Ok(Document::Correlation(rule)) => format!("correlation {}", rule.head.title),
            Ok(Document::Filter(filter)) => format!("filter {}", filter.title),
            Err(why) => why,
        });
        all.collect::<Vec<_>>()
    };
    let all = parsed(&format!("{base}---\n{correlation}---\n{filter}"));
    assert_eq!(all, ["rule One failed login", "correlation Many failed logins", "filter Backup"]);
    assert_eq!(parsed(&format!("# first\n---\n{base}---\n# none\n---\n{base}")), ["rule One failed login"; 2]);
    assert_eq!(parsed(base), ["rule One failed login"]);
    // What is wrong with one keeps its place in the file.
    let broken = parsed(&format!("{base}---\ntitle: [\n"));
    assert!(broken[1].starts_with("document 2: 6:") || broken[1].starts_with("document 2: 7:"), "{broken:?}");
    let global = format!("action: global\ntitle: t\n---\n{base}");
    assert!(parsed(&global).len() == 1 && parsed(&global)[0].contains("`action` shares parts"));
    assert_eq!(parsed("# nothing\n"), ["there is no rule in it"]);
}

#[test]
fn correlations_and_filters_that_cannot_be_evaluated_are_refused() {
    let correlation = |text: &str| format!("title: t\ncorrelation: {{ {text} }}");
    for (text, why) in [
        (correlation("type: event_count, rules: [a], condition: { gte: 1 }"), "timeframe"),
        (correlation("type: event_count, rules: [a], timespan: 5 minutes, condition: { gte: 1 }"), "5 minutes"),
        (correlation("type: nosuch, rules: [a], timespan: 1m"), "nosuch"),
        (correlation("type: event_count, rules: [a], timespan: 1m"), "condition"),
        (correlation("type: event_count, timespan: 1m, condition: { gte: 1 }"), "not a list of ids"),
        (correlation("type: event_count, rules: [a], timespan: 0s, condition: { gte: 1 }"), "is 0"),
        (correlation("type: event_count, rules: [a], timespan: 1m, condition: { gte: 9999 }"), "beyond 2048"),
        (correlation("type: value_count, rules: [a], timespan: 1m, condition: { gte: 2 }"), "has no `field`"),
        (correlation("type: temporal, rules: [a], timespan: 1m, condition: a and b"), "names `b`, which is not among"),
        (
            correlation("type: event_count, rules: [a], timespan: 1m, window: tumbling, condition: { gte: 1 }"),
            "sliding",
        ),
        ("title: t\nfilter: { rules: [x], s: { a: b } }".to_owned(), "no condition"),
        ("title: t\nfilter: { rules: [x], s: { a: b }, condition: not t }".to_owned(), "names `t`"),
    ] {
        let error = Document::parse(&text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
    let beside = correlation("type: value_count, field: user, rules: [a], timespan: 1m, condition: { gte: 2 }");
    assert!(Document::parse(&beside).is_ok(), "a field beside the condition");
}

#[test]
fn a_rule_says_who_it_is() {
    let text = "title: t\nid: 1-2\nlevel: high\ntags: [attack.t1059]\nauthor: someone\n\
        logsource: { product: Linux, service: AuditD }\ndetection: { s: { x: a }, condition: s }";
    let rule = Rule::parse(text).unwrap();
    assert_eq!(
        (rule.head.id.as_deref(), rule.head.level, rule.head.tags.as_slice()),
        (Some("1-2"), Level::High, &["attack.t1059".to_owned()][..])
    );
    assert_eq!(rule.detection().unwrap().logsource.to_string(), "product linux, service auditd");
    assert!(Level::Informational < Level::Low && Level::High < Level::Critical);
    assert_eq!(Rule::parse(&text.replace("level: high\n", "")).unwrap().head.level, Level::Informational);
}
