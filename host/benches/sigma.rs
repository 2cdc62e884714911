//! 300 Sigma rules over 10,000 recorded events, as the collector `rules` evaluates them, beside rsigma's `evaluate_rule`, which tries each
//! rule on each event without an index. `cargo xtask bench sigma -- FOLDER` takes the rules from a folder, such as SigmaHQ's
//! `rules/linux`; else they are those of the examples. Either are repeated.

mod common;

use foil_collector::rules::{Programs, RuleSet};
use foil_collector::{Event, audit};
use foil_record::Attribution;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const RULES: usize = 300;
const EVENTS: usize = 10_000;
/// What is compared with gets a part of the events, and its time is multiplied.
const PART: u32 = 20;
const ROUNDS: usize = 7;

fn main() {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/rules"));
    let read = RuleSet::read(&[folder]).expect("rules");
    let texts: Vec<String> = read.rules().iter().map(|l| std::fs::read_to_string(&l.file).expect("a rule")).collect();
    let repeated: Vec<&String> = texts.iter().cycle().take(RULES).collect();
    let ours = RuleSet::of(repeated.iter().map(|text| (PathBuf::new(), Ok((*text).clone()))));
    assert_eq!(ours.rules().len(), RULES);
    let plain = |text: &&String| {
        let parsed = rsigma_parser::parse_sigma_yaml(text).ok()?.rules.pop()?;
        rsigma_eval::compile_rule(&parsed).ok()
    };
    let theirs: Vec<_> = repeated.iter().filter_map(plain).collect();
    let events: Vec<Event> = (0..EVENTS).map(event).collect();
    let flat: Vec<serde_json::Value> = events.iter().take(EVENTS / PART as usize).map(flat).collect();

    let plan = ours.plan(audit::NAME);
    let (mut fast, mut slow): (Vec<Duration>, Vec<Duration>) = Default::default();
    let mut matches = 0;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut programs = Programs::default();
        matches = 0;
        for event in &events {
            matches += ours.matching(event, &plan, &programs).len();
            programs.note(event);
        }
        fast.push(began.elapsed());
        let began = Instant::now();
        let found: usize = flat
            .iter()
            .map(|event| {
                let event = rsigma_eval::JsonEvent::borrow(event);
                theirs.iter().filter(|rule| rsigma_eval::evaluate_rule(rule, &event).is_some()).count()
            })
            .sum();
        std::hint::black_box(found);
        slow.push(began.elapsed() * PART);
    }
    let took = common::median(&mut fast);
    let rate = EVENTS as f64 / took.as_secs_f64();
    println!("{} different rules, {matches} matches, {rate:.0} events/s", texts.len());
    let name = format!("{RULES} Sigma rules over {EVENTS} events");
    common::line(&name, &mut fast, "rsigma without an index, each rule on each event", &mut slow);
}

/// Programs, opened and made files, deletions, connections: what a busy machine's audit stream is made of.
fn event(number: usize) -> Event {
    let common = [
        ("success", "yes"),
        ("exit", "0"),
        ("arch", "c000003e"),
        ("uid", "0"),
        ("euid", "0"),
        ("auid", "1000"),
        ("ses", "3"),
        ("tty", "pts0"),
        ("cwd", "/home/user/project"),
        ("key", "watch"),
        ("serial", "1000"),
        ("ppid", "812"),
    ];
    let mut fields: BTreeMap<String, String> =
        common.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut put = |name: &str, value: String| fields.insert(name.to_owned(), value);
    put("pid", (1000 + number % 3000).to_string());
    let kind = match number % 10 {
        0..5 => {
            let tool = ["ls", "cat", "python3", "cc1", "git", "sed", "rm", "curl", "bash", "uname"][number / 10 % 10];
            let words =
                [tool.to_owned(), "-f".to_owned(), format!("/home/user/project/target/debug/deps/part-{number}.o")];
            put("exe", format!("/usr/bin/{tool}"));
            put("comm", tool.to_owned());
            put("argv", words.join(" "));
            put("argc", "3".to_owned());
            words.into_iter().enumerate().for_each(|(i, word)| drop(put(&format!("a{i}"), word)));
            put("path", format!("/usr/bin/{tool}"));
            put("paths", format!("/usr/bin/{tool} /lib64/ld-linux-x86-64.so.2"));
            put("nametype", "NORMAL".to_owned());
            put("records", "SYSCALL EXECVE CWD PATH PATH PROCTITLE".to_owned());
            "execve"
        }
        5..8 => {
            put("exe", "/usr/bin/cc1".to_owned());
            put("comm", "cc1".to_owned());
            put("a2", if number.is_multiple_of(2) { "241" } else { "0" }.to_owned());
            put("path", format!("/home/user/project/target/debug/deps/part-{number}.o"));
            put("nametype", "CREATE".to_owned());
            put("records", "SYSCALL CWD PATH PATH PROCTITLE".to_owned());
            "openat"
        }
        8 => {
            put("exe", "/usr/bin/rm".to_owned());
            put("path", format!("/tmp/part-{number}.o"));
            put("nametype", "DELETE".to_owned());
            put("records", "SYSCALL CWD PATH PATH PROCTITLE".to_owned());
            "unlinkat"
        }
        _ => {
            put("exe", "/usr/bin/curl".to_owned());
            put("family", "inet".to_owned());
            put("address", format!("10.0.0.{}", number % 250));
            put("port", "443".to_owned());
            put("records", "SYSCALL SOCKADDR PROCTITLE".to_owned());
            "connect"
        }
    };
    let sequence = number as u64;
    let kind = kind.to_owned();
    Event { sequence, at: sequence, kind, attribution: Attribution::Tree, own_observation: false, fields }
}

/// All that ours is told of an event, as one.
fn flat(event: &Event) -> serde_json::Value {
    let mut flat: serde_json::Map<String, serde_json::Value> =
        event.fields.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    for (name, field) in [("Image", "exe"), ("CommandLine", "argv"), ("TargetFilename", "path")] {
        if let Some(value) = event.fields.get(field) {
            flat.insert(name.to_owned(), value.as_str().into());
        }
    }
    flat.insert("type".to_owned(), if event.kind == "execve" { "EXECVE" } else { "SYSCALL" }.into());
    flat.into()
}
