//! Events against detections, with answers that the specification gives.

use super::*;
use std::borrow::Cow;

fn rule(detection: &str) -> Result<Rule, String> {
    Rule::parse(&format!("title: t\nlogsource: {{ product: linux }}\ndetection: {detection}\n"))
}

/// `name=value` pairs, separated by ` ; `.
fn matches(detection: &str, event: &str) -> bool {
    let pairs = event.split(" ; ").filter_map(|pair| pair.split_once('='));
    let event = SigmaEvent::new(pairs.map(|(name, value)| (name, Cow::from(value))));
    rule(detection).unwrap_or_else(|e| panic!("{detection}: {e}")).matches(&event)
}

/// A selection `s` alone, events that it holds for, and events that it does not.
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
    ("{ x: 'a*c' }", &["x=ac", "x=abbc", "x=a\nc"], &["x=acb", "x=bac"]),
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
    ("{ x|startswith: '/home/*/pub/' }", &["x=/home/me/pub/x"], &["x=/home/pub/x", "x=/a/home/me/pub/"]),
    ("{ x|endswith: 'a*b' }", &["x=xxaxxb"], &["x=axbx"]),
    ("{ x|contains: 'a*b' }", &["x=1a2b3"], &["x=b a"]),
    ("{ x: '.+(a)' }", &["x=.+(a)"], &["x=xa"]),
    // Numbers, truth values, null: recorded fields are all text.
    ("{ x: 0 }", &["x=0"], &["x=00", "x=false"]),
    ("{ x: '0' }", &["x=0"], &["x=1"]),
    ("{ x: [1, two, null] }", &["x=1", "x=two", "y=1"], &["x=3"]),
    ("{ x: true }", &["x=true", "x=True"], &["x=1"]),
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
    ("{ x|fieldref|endswith: y }", &["x=/usr/bin/rm ; y=rm"], &["x=/usr/bin/rm ; y=", "x=/usr/bin/rm"]),
    ("{ x|fieldref|contains: y }", &["x=abc ; y=b"], &["x=abc ; y="]),
    ("{ x|fieldref|cased|startswith: y }", &["x=abc ; y=ab"], &["x=abc ; y=", "x=abc ; y=AB"]),
    ("{ x|endswith|fieldref: y }", &["x=abc ; y=bc"], &["x=abc ; y=ab"]),
    ("{ x|neq: a }", &["x=b"], &["x=a", "x=A"]),
    // Expressions: anywhere, with regard to case, unless flagged.
    (r"{ x|re: '(^|/)\.[^./]' }", &["x=.a", "x=/b/.a"], &["x=a.b", "x=.."]),
    ("{ x|re: 'A+' }", &["x=bAAb"], &["x=a"]),
    ("{ x|re|i: 'A+' }", &["x=a"], &["x=b"]),
    ("{ x|re|m: '^b$' }", &["x=a\nb"], &["x=ab"]),
    ("{ x|re|s: 'a.b' }", &["x=a\nb"], &["x=ab"]),
    ("{ x|re|m: '^curl' }", &["x=sh\ncurl x"], &["x=sh curl x"]),
    (r"{ x|re: 'a\sb' }", &["x=a\tb", "x=a\u{2028}b"], &["x=a\\tb"]),
    (r"{ x|re: '\/dev\/tcp\/' }", &["x=3<>/dev/tcp/1"], &["x=/dev/udp/"]),
    ("{ x|re: '.*{ :;};' }", &["x=() { :;}; id"], &["x=id"]),
    ("{ x|contains: 'a?b' }", &["x=1a\tb2", "x=a\u{2028}b"], &["x=ab"]),
    ("{ x|re|all: [a, b] }", &["x=ba"], &["x=a"]),
    // Addresses.
    ("{ x|cidr: 10.0.0.0/8 }", &["x=10.255.0.1", "x=::ffff:10.1.1.1"], &["x=11.0.0.1", "x=10", "x=::a00:1"]),
    ("{ x|cidr: [127.0.0.0/8, '::1/128'] }", &["x=127.9.9.9", "x=::1"], &["x=::2"]),
    ("{ x|cidr: 0.0.0.0/0 }", &["x=8.8.8.8"], &["x=::1"]),
    ("{ x|cidr: '2001:db8::/32' }", &["x=2001:db8::1"], &["x=2001:db9::1"]),
    // Encodings.
    ("{ x|base64|contains: cmd }", &["x=a Y21k b"], &["x=cmd"]),
    ("{ x|base64offset|contains: /bin/bash }", &["x=echo YSAvYmluL2Jhc2ggLWk="], &["x=/bin/bash"]),
    ("{ x|wide|base64offset|contains: Get-It }", &["x=RwBlAHQALQBJAHQA"], &["x=R2V0LUl0"]),
    ("{ x|windash|contains: ' -p ' }", &["x=a -p b", "x=a /p b", "x=a –p b", "x=a —p b", "x=a ―p b"], &["x=a p b", "x=a ‐p b"]),
    // Maps are all of their fields, lists one of their items.
    ("{ x: a, y: b }", &["x=a ; y=b"], &["x=a", "y=b"]),
    ("[{ x: a }, { y: b }]", &["x=a", "y=b"], &["x=b ; y=a"]),
    // Keywords: anywhere in any field.
    ("[foo, 6]", &["m=a FOO b", "n=16"], &["foo=1"]),
    ("['a*c', { x: y }]", &["m=1abc2", "x=y"], &["m=ca"]),
    ("[a.b, c+d, '(e', '[f', 'g*h']", &["m=1a.b2", "m=c+d", "m=(E", "m=[f", "m=gxh"], &["m=acb e f", "m=c"]),
    ("{ x|contains: [Aa, Bb, Cc, Dd, 7, '**'] }", &["x=1aA", "x=77", "x="], &["y=aa"]),
    ("{ x|contains|cased: [Aa, Bb, Cc, Dd] }", &["x=1Dd"], &["x=1dd"]),
    ("{ x|contains|all: [a, b, c, d] }", &["x=dcba"], &["x=abc"]),
    ("foo", &["m=foo"], &["m=fo"]),
    ("{ '|all': [foo, bar] }", &["m=bar foo", "m=foo ; n=bar"], &["m=foo"]),
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
        assert_eq!(rule(&format!("{{ s: {selection}, condition: s }}")).unwrap().matches(&event), expected);
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
            "selection `s`: field `x|expand`: the modifier `expand` asks for what `%a%`",
        ),
        ("{ s: { x|contains|expand: [b, 'c%d-e%f'] }, condition: s }", "what `%d-e%`"),
        ("{ s: { x: a }, condition: s | count(y) by z > 3 }", "counts events (`| count(y) by z > 3`)"),
        ("{ s: { x|contains|endswith: a }, condition: s }", "exclude each other"),
        ("{ s: { x|wide|contains: a }, condition: s }", "need `base64`"),
        ("{ s: { x|re: '(?=a)b' }, condition: s }", "look-around"),
        ("{ s: { x|re: '(a{1000}){1000}' }, condition: s }", "size limit"),
        ("{ s: { x|cidr: 10.0.0.0/33 }, condition: s }", "no network"),
        ("{ s: { x|gt: many }, condition: s }", "`many` is no number"),
        ("{ s: { x|contains: null }, condition: s }", "no text"),
        ("{ s: { x: { y: z } }, condition: s }", "no text"),
        ("{ s: { x: [] }, condition: s }", "has no value"),
        ("{ s: {}, condition: s }", "it is empty"),
        ("{ s: { x: a }, timeframe: 5m, condition: s }", "timeframe"),
        ("{ s: { x: a }, condition: t }", "which is no selection: there are s"),
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
        ("title: t\ncorrelation: { type: event_count }", "correlation"),
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
        (
            "title: t\nfilter: { rules: [x], condition: not s }",
            "`t` is a filter for other rules, which is not supported",
        ),
    ] {
        let error = Rule::parse(text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn a_file_gives_what_each_of_its_documents_gives() {
    let base = "title: One failed login\nname: failed_login\nlogsource: { product: linux, service: sshd }\n\
        detection: { s: { event: fail }, condition: s }\n";
    let correlation = "title: Many failed logins\ncorrelation:\n  type: event_count\n  rules: [failed_login]\n";
    let parsed = |text: &str| {
        let all = Rule::parse_file(text).into_iter();
        all.map(|rule| rule.map_or_else(|why| why, |rule| format!("rule {}", rule.title))).collect::<Vec<_>>()
    };
    let both = parsed(&format!("{base}---\n{correlation}"));
    assert_eq!(both[0], "rule One failed login");
    assert!(
        both[1].starts_with("document 2: `Many failed logins` is a correlation, which is not supported"),
        "{both:?}"
    );
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
fn a_rule_says_who_it_is() {
    let text = "title: t\nid: 1-2\nlevel: high\ntags: [attack.t1059]\nauthor: someone\n\
        logsource: { product: Linux, service: AuditD }\ndetection: { s: { x: a }, condition: s }";
    let rule = Rule::parse(text).unwrap();
    assert_eq!(
        (rule.id.as_deref(), rule.level, rule.tags.as_slice()),
        (Some("1-2"), Level::High, &["attack.t1059".to_owned()][..])
    );
    assert_eq!(rule.logsource.to_string(), "product linux, service auditd");
    assert!(Level::Informational < Level::Low && Level::High < Level::Critical);
    assert_eq!(super::rule::Rule::parse(&text.replace("level: high\n", "")).unwrap().level, Level::Informational);
}
