//! The operator's sensors, as foil.yaml names them.

use super::{Area, Finding};
use crate::campaign::canary;
use crate::cli::rules::{lacking, paths};
use crate::cli::{Global, discover};
use foil_collector::rules::{self, RuleSet};
use foil_policy::sources::{CanaryMaker, CanarySource, InboxSource, SensorSource, Sources};
use foil_text::Shown as _;
use std::fs::File;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;

pub(super) fn look(global: &Global) -> Vec<Finding> {
    let mut area = Area::new("sensors");
    // A file that cannot be read was said before.
    let Ok(environment) = discover::environment(global, None) else { return area.found };
    let (sources, folder) = (environment.value.sources, environment.value.folder);
    let folder = Path::new(&folder);
    for (name, source) in &sources.files {
        file(&mut area, name, &folder.join(&source.path));
        alive(&mut area, &format!("file.{name}"), &source.sensor(), name == "falco");
    }
    if let Some(source) = &sources.inbox {
        inbox(&mut area, source, folder);
        for (kind, sensor) in &source.senders {
            alive(&mut area, &format!("inbox, {kind}"), sensor, kind == "falco");
        }
    }
    if !sources.rules.is_empty() {
        rules(&mut area, &sources, folder);
    }
    area.found
}

fn file(area: &mut Area, name: &str, path: &Path) {
    let shown = path.shown();
    match File::open(path).and_then(|file| file.metadata()) {
        Ok(meta) if meta.is_file() => area.ok("file", format!("file.{name}: {shown} can be read")),
        Ok(_) => {
            area.missing("file", format!("file.{name}: {shown} is no regular file"), "name a log file in foil.yaml")
        }
        Err(error) if error.kind() == ErrorKind::NotFound => area.warning(
            "file",
            format!("file.{name}: {shown} is not there"),
            "a log may begin later; else start its sensor, or mend `path` in foil.yaml",
        ),
        Err(error) => area.missing(
            "file",
            format!("file.{name}: {shown} cannot be read: {error}"),
            "let the user that Foil runs as read it, or run as root",
        ),
    }
}

/// What shows that a feed's sensor is alive.
fn alive(area: &mut Area, feed: &str, sensor: &SensorSource, falco: bool) {
    match &sensor.canary {
        Some(CanarySource { make: Some(CanaryMaker::None), .. }) => {
            area.ok("canary", format!("{feed}: none, as foil.yaml says; a dead sensor looks like a miss"));
        }
        Some(_) => area.ok("canary", format!("{feed}: made before a miss is believed")),
        None if falco => area.ok("canary", format!("{feed}: Falco's, made before a miss of `falco.alert` is believed")),
        None => area.warning(
            "canary",
            format!("{feed}: unless its links look for Falco's alerts, nothing shows that its sensor is alive"),
            "name an event that it must notice: `canary: { command: [...], match: {...} }` in foil.yaml",
        ),
    }
    let Some(url) = &sensor.healthz else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(canary::ask(url))) {
        Ok(()) => area.ok("health", format!("{feed}: {url} answers")),
        Err(why) => {
            area.warning("health", format!("{feed}: {why}"), "start the sensor, or mend `healthz` in foil.yaml")
        }
    }
}

fn inbox(area: &mut Area, source: &InboxSource, folder: &Path) {
    match TcpListener::bind(source.listen.as_str()) {
        Ok(_) => area.ok("inbox", format!("{} is free", source.listen)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => area.warning(
            "inbox",
            format!("{} is taken", source.listen),
            "by a Foil that runs now, or by something else (`ss -ltnp`): then choose another port in foil.yaml",
        ),
        Err(error) => area.missing(
            "inbox",
            format!("{} cannot be listened on: {error}", source.listen),
            "use an address of this machine and a port from 1024 on",
        ),
    }
    if let Some(token) = &source.token_file {
        let path = folder.join(token);
        match std::fs::read_to_string(&path) {
            Ok(text) if text.lines().next().is_some_and(|line| !line.trim().is_empty()) => {
                area.ok("inbox token", format!("{} can be read", path.shown()));
            }
            Ok(_) => area.missing(
                "inbox token",
                format!("the first line of {} is empty", path.shown()),
                "write a long random text into it, which senders give as well",
            ),
            Err(error) => area.missing(
                "inbox token",
                format!("{} cannot be read: {error}", path.shown()),
                "make it, readable by Foil's user only",
            ),
        }
    }
}

fn rules(area: &mut Area, sources: &Sources, folder: &Path) {
    match RuleSet::read(&paths(sources, folder)) {
        Ok(rules) => {
            area.ok("rules", format!("{} Sigma rule(s) of {}", rules.rules().len(), sources.rules.join(", ")));
            for line in lacking(&rules, &rules::feeds(sources.files.keys())) {
                area.warning("rules", line, "mend the rule, or take it out of the folder");
            }
        }
        Err(error) => area.missing("rules", format!("{error:#}"), "mend `rules` in foil.yaml"),
    }
}
