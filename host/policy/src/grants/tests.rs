use super::*;
use crate::Judged;
use foil_manifest::{Kind, Manifest};
use jiff::Timestamp;
use std::collections::BTreeMap;

fn digest(c: char) -> String {
    format!("sha256:{}", c.to_string().repeat(64))
}

fn entry(pin: &str, more: &str) -> String {
    format!(
        "[[grant]]\nmodule = 'linux.x'\n{pin}\ngranted = '2026-05-01'\nreviewer = 'Ann'\nreason = 'needed'\n{more}\n"
    )
}

fn bytes(c: char) -> String {
    format!("digest = '{}'", digest(c))
}

fn judged(c: char) -> String {
    format!("judged = '{}'", digest(c))
}

/// Looks for a module whose bytes hash to `a…` and whose judged facts hash to `b…`, in June 2026.
fn find(text: &str, builtin: bool) -> Result<Grant, String> {
    let text_of_manifest = "id = 'linux.x'\ntitle = 'x'\nattack = ['T1059']\nimpact = 'read-only'";
    let manifest = Manifest::from_toml(text_of_manifest, Kind::Technique).expect("well-formed");
    let module = Judged {
        manifest: &manifest,
        digest: digest('a').try_into().expect("a digest"),
        judged: digest('b').try_into().expect("a digest"),
        builtin,
        script: false,
        imports: &BTreeMap::new(),
    };
    let now: Timestamp = "2026-06-15T12:00:00Z".parse().expect("a moment");
    parse(text).expect(text).find(&module, now).cloned().map_err(|e| e.to_string())
}

#[test]
fn a_grant_holds_for_the_bytes_it_names() {
    assert!(find(&entry(&bytes('a'), ""), false).is_ok());
    assert_eq!(find("", false).unwrap_err(), "linux.x is not granted");
    let stale = find(&entry(&bytes('c'), ""), false).unwrap_err();
    assert!(stale.contains(&digest('c')) && stale.contains(&digest('a')), "{stale}");
}

#[test]
fn only_a_built_in_module_is_known_by_what_was_judged() {
    assert!(find(&entry(&judged('b'), ""), true).is_ok());
    assert!(find(&entry(&judged('b'), ""), false).is_err());
    assert!(find(&entry(&judged('a'), ""), false).is_err());
    assert!(find(&entry(&judged('a'), ""), true).is_err());
    assert!(find(&entry(&bytes('a'), ""), true).is_ok());
}

#[test]
fn a_grant_ends() {
    assert!(find(&entry(&bytes('a'), "expires = 2026-06-15"), false).is_ok());
    assert!(find(&entry(&bytes('a'), "expires = '2026-06-14'"), false).unwrap_err().contains("expired on 2026-06-14"));
    assert!(find(&entry(&bytes('a'), "expires = 2026-06-15T12:00:00Z"), false).unwrap_err().contains("expired"));
    assert!(find(&entry(&bytes('a'), "expires = 2026-06-15T12:00:01Z"), false).is_ok());
}

#[test]
fn a_revoked_grant_says_by_whom_and_why() {
    let revoked = "revoked = { when = '2026-06-01', who = 'Bob', why = 'no\u{a0}longer' }";
    let refusal = find(&entry(&bytes('a'), revoked), false).unwrap_err();
    assert_eq!(refusal, "the grant of linux.x was revoked on 2026-06-01 by `Bob`: `no\\u{a0}longer`");
    let again = format!("{}{}", entry(&bytes('a'), revoked), entry(&bytes('a'), ""));
    assert!(find(&again, false).is_ok());
    let other = entry(&bytes('c'), revoked);
    assert!(find(&other, false).unwrap_err().contains("revoked"));
}

#[test]
fn mistakes_name_line_and_column() {
    for (text, place, word) in [
        ("x = 1".to_owned(), "1:1: ", "unknown field `x`"),
        ("\n[[grant]\n".to_owned(), "2:", ""),
        (entry("", ""), "1:1: ", "needs either `digest`"),
        (entry(&format!("{}\n{}", bytes('a'), judged('b')), ""), "1:1: ", "needs either"),
        (entry("digest = 'sha256:12'", ""), "3:10: ", "64 hexadecimal"),
        (entry(&bytes('a'), "expires = 'soon'"), "7:11: ", "soon"),
        (entry(&bytes('a'), "expires = 7"), "7:11: ", "expected a date"),
        (entry(&bytes('a'), "expires = 12:00:00"), "7:11: ", "neither"),
        (entry(&bytes('a'), "shield = ['close']"), "7:11: ", "close"),
        (entry(&bytes('a'), "limits = { walls = 3 }"), "7:12: ", "walls"),
        (entry(&bytes('a'), "granted = 2026-01-01"), "7:1: ", "duplicate key"),
        (entry(&bytes('a'), "[[grant.capability]]\nname = 'exec'\nalow = []"), "7:1", "alow"),
        (entry(&bytes('a'), "[[grant.capability]]\nname = 'exec'\nallow = []\nreads = ['/a*']"), "1:1: ", "/a*"),
        (format!("{}{}", entry(&bytes('a'), ""), entry(&bytes('a'), "")), "8:1: ", "granted twice"),
        (entry(&bytes('a'), "").replace("needed", " "), "1:1: ", "`reason`"),
        (entry(&bytes('a'), "").replace("needed", "need\u{3164}ed"), "", "U+3164"),
        (format!("# a\u{202e}b\n{}", entry(&bytes('a'), "")), "1:4: ", "U+202E"),
        ("#".repeat(MAX_FILE + 1), "1:1: ", "bytes"),
    ] {
        let error = parse(&text).expect_err(&text).0;
        assert!(error.starts_with(place) && error.contains(word), "{text}\n{error}");
    }
}

#[test]
fn an_imported_test_is_pinned_by_itself_and_by_its_interpreter() {
    let text = |script, interpreter| {
        let pins = format!("{}\n{}", bytes(script), judged(interpreter));
        entry(&pins, "").replace("linux.x", "atomic.T1059.004-1")
    };
    let manifest = "id = 'linux.x'\ntitle = 'x'\nattack = ['T1059']\nimpact = 'read-only'";
    let mut manifest = Manifest::from_toml(manifest, Kind::Technique).expect("well-formed");
    manifest.id = "atomic.T1059.004-1".parse().expect("an id");
    let module = |script| Judged {
        manifest: &manifest,
        digest: digest('a').try_into().expect("a digest"),
        judged: digest('b').try_into().expect("a digest"),
        builtin: false,
        script,
        imports: Box::leak(Box::default()),
    };
    let now: Timestamp = "2026-06-15T12:00:00Z".parse().expect("a moment");
    for (script, interpreter, is_script, holds) in
        [('a', 'b', true, true), ('c', 'b', true, false), ('a', 'c', true, false), ('a', 'b', false, false)]
    {
        let found = parse(&text(script, interpreter)).expect("well-formed");
        assert_eq!(found.find(&module(is_script), now).is_ok(), holds, "{script} {interpreter} {is_script}");
    }
    // By its bytes alone no script is granted.
    let bytes = entry(&bytes('a'), "").replace("linux.x", "atomic.T1059.004-1");
    assert!(parse(&bytes).expect("well-formed").find(&module(true), now).is_err());
}

fn grant(module: &str, c: char) -> Grant {
    let text = entry(
        &bytes(c),
        "shield = ['confined', 'overlay']\nimpact = 'reversible'\nlimits.wall-ms = 5\n[[grant.capability]]\nname = 'exec'\nallow = ['/bin/id', '/bin/ls ...']\n[[grant.capability]]\nname = 'loopback-serve'",
    );
    parse(&text.replace("linux.x", module)).expect("well-formed").list.remove(0)
}

#[test]
fn what_is_written_is_read_again_and_the_rest_stays() {
    let mut text = String::new();
    for (module, c) in [("linux.a", '1'), ("linux.b", '2'), ("linux.c", '3')] {
        text = with_grant(&text, &grant(module, c)).expect("writable");
    }
    text =
        text.replace("[[grant]]\nmodule = \"linux.b\"", "# b was discussed with Ann\n[[grant]]\nmodule = \"linux.b\"");
    let before = parse(&text).expect("well-formed");
    let pins = |g: &Grants| g.list.iter().map(|g| (g.module.to_string(), g.pin)).collect::<Vec<_>>();
    assert_eq!(before.list, [grant("linux.a", '1'), grant("linux.b", '2'), grant("linux.c", '3')]);

    let replaced = with_grant(&text, &grant("linux.b", '4')).expect("writable");
    assert!(replaced.contains("# b was discussed with Ann\n[[grant]]\nmodule = \"linux.b\""), "{replaced}");
    assert_eq!(replaced.replace(&digest('4'), &digest('2')), text);
    assert_eq!(
        parse(&replaced).map(|g| g.list),
        Ok(vec![grant("linux.a", '1'), grant("linux.b", '4'), grant("linux.c", '3')])
    );

    let id = "linux.b".parse().expect("an id");
    let mark = Revocation { when: "2026-06-01".parse().expect("a day"), who: "Bob \"B\"".into(), why: "x\ny".into() };
    let (revoked, count) = revoke(&replaced, &id, &mark).expect("writable");
    assert_eq!(count, 1);
    let after = parse(&revoked).expect("well-formed");
    assert_eq!(after.list.get(1).and_then(|g| g.revoked.clone()), Some(mark.clone()));
    assert_eq!(pins(&after), pins(&parse(&replaced).expect("well-formed")));
    assert_eq!(revoke(&revoked, &id, &mark).map(|(_, n)| n), Ok(0));

    let again = with_grant(&revoked, &grant("linux.b", '4')).expect("writable");
    let list = parse(&again).expect("well-formed").list;
    assert_eq!(list.iter().filter(|g| g.module == id).count(), 2);
    insta::assert_snapshot!("a_written_file", with_grant("", &grant("linux.a", '1')).expect("writable"));
}

#[test]
fn comments_at_the_top_stay_there() {
    let first = with_grant("# ours\n", &grant("linux.a", '1')).expect("writable");
    assert!(first.starts_with("# ours\n\n[[grant]]\n"), "{first}");
    let again = with_grant(&first, &grant("linux.a", '2')).expect("writable");
    assert!(again.starts_with("# ours\n\n[[grant]]\n"), "{again}");
}

#[test]
fn a_broken_file_is_not_written_to() {
    assert!(with_grant("[[grant]]\n", &grant("linux.a", '1')).is_err());
    assert!(with_grant("grant = []\n", &grant("linux.a", '1')).is_err());
}
