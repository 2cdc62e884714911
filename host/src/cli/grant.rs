//! `foil grant`: allow a module what it asks for, or less.

use super::review::{Review, entry};
use super::{Exit, Format, Global, discover, grants_file};
use crate::console::{err, err_text, out};
use crate::module::{Catalog, Filter, Module, Origin};
use anyhow::{Context as _, bail};
use foil_manifest::{Capability, CapabilityName, Digest, Impact, Network, ShieldLevel};
use foil_policy::grants::{When, present, with_grant};
use foil_policy::{Grant, GrantRefusal, Grants, Narrowing, covering_rule, narrow};
use foil_text::{Shown as _, hint, visible};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A module's id, one of its aliases, or a .wasm file
    #[arg(value_name = "MODULE", required_unless_present_any = ["builtin", "atomic"])]
    module: Option<String>,
    /// Grant all built-in modules what they ask for, but never the shield `open`
    #[arg(long, conflicts_with_all = ["module", "only", "narrow", "shield"])]
    builtin: bool,
    /// Grant all imported tests of --modules what they ask for, but never the target's network, and none that may destroy the
    /// target: those are granted by name
    #[arg(long, conflicts_with_all = ["module", "builtin", "only", "narrow", "shield"])]
    atomic: bool,
    /// The digest that `foil review` showed (sha256:…): a module that was changed since is refused
    #[arg(long, value_name = "DIGEST", conflicts_with_all = ["builtin", "atomic"], value_parser = digest)]
    digest: Option<Digest>,
    /// Why it is granted
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who grants it [default: git's user.name, else your login name]
    #[arg(long, value_name = "NAME")]
    reviewer: Option<String>,
    /// Until when: a day (2027-01-31, to its end, UTC), a moment (RFC 3339), or a number of days (90d)
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// Only these capabilities, such as exec,files-read
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = capability)]
    only: Option<Vec<CapabilityName>>,
    /// Less than what is asked for: exec.allow=PATTERN, exec.reads=PATH, files-write.allow=PATTERN …; give it again for
    /// more values; a pattern must be a requested one, or literal and matched by one
    #[arg(long, value_name = "KEY=VALUE")]
    narrow: Vec<Narrowing>,
    /// Shields that may hold its programs [default: all that it works in, but `open`]
    #[arg(long, value_name = "LEVELS", value_delimiter = ',', value_parser = level)]
    shield: Option<Vec<ShieldLevel>>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

fn capability(text: &str) -> Result<CapabilityName, String> {
    let known = || CapabilityName::ALL.map(CapabilityName::interface).join(", ");
    CapabilityName::ALL.into_iter().find(|n| n.interface() == text).ok_or_else(|| format!("it is none of {}", known()))
}

pub(super) fn level(text: &str) -> Result<ShieldLevel, String> {
    let known = || ShieldLevel::ALL.map(|l| l.to_string()).join(", ");
    ShieldLevel::ALL.into_iter().find(|l| l.to_string() == text).ok_or_else(|| format!("it is none of {}", known()))
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::try_from(text.to_owned())
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let catalog = Catalog::open(&global.modules);
    let modules = match &args.module {
        Some(name) => vec![reviewed(catalog.find(name)?, args.digest)?],
        None if args.atomic => imported(&catalog)?,
        None => catalog.modules(&Filter { origin: Some(Origin::Builtin), ..Filter::default() }),
    };
    grant(&modules, &args, global)
}

/// The module, provided that it is the one that was reviewed.
fn reviewed(module: Module, digest: Option<Digest>) -> anyhow::Result<Module> {
    match digest {
        Some(digest) if digest != module.digest => bail!(
            "{} has the digest {}, not {digest}: it was changed since it was reviewed; look again with `{}`",
            module.manifest.id,
            module.digest,
            hint::foil(["review", &module.called()])
        ),
        _ => Ok(module),
    }
}

/// The imported tests that nobody has to look at one by one; how many others there are is said.
fn imported(catalog: &Catalog) -> anyhow::Result<Vec<Module>> {
    let mut modules = catalog.modules(&Filter { origin: Some(Origin::Atomic), ..Filter::default() });
    let all = modules.len();
    modules.retain(|module| module.manifest.impact != Impact::Destructive);
    if modules.is_empty() {
        bail!("there is no imported test to grant: name their folder with --modules (foil import atomic writes it)");
    }
    match all.saturating_sub(modules.len()) {
        0 => {}
        left => {
            err!("foil: {left} test(s) may destroy the target and were left out: grant them by name")
        }
    }
    Ok(modules)
}

fn grant(modules: &[Module], args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let file = discover::grants_to_write(global, None)?;
    let own = grants_file::own(global, Some(&file), &discover::environment(global, None)?, None)?;
    let now = Timestamp::now();
    let who = grants_file::decided(args.reviewer.clone(), &args.reason, "grants this", "granted")?;
    let expires = args.expires.as_deref().map(|text| until(text, now)).transpose()?;
    let mut new = Vec::new();
    for module in modules {
        let mut capabilities = narrow(&module.manifest.capabilities, args.only.as_deref(), &args.narrow)?;
        for capability in capabilities.iter_mut().filter(|_| args.atomic) {
            if let Capability::Exec(scope) = capability {
                scope.network = Network::Loopback;
            }
        }
        if let Some(rule) = covering_rule(&capabilities, &own) {
            bail!(
                "{} would be let to change Foil's own files by the rule `{}`: grant less (`--narrow`), or keep Foil's state \
                 elsewhere (`--state`)",
                module.manifest.id,
                visible(&rule, 200)
            );
        }
        new.push(Grant {
            module: module.manifest.id.clone(),
            pin: present(&grants_file::judged(module)),
            granted: When::Moment(now.round(jiff::Unit::Second).unwrap_or(now)),
            reviewer: who.clone(),
            reason: args.reason.clone(),
            expires,
            revoked: None,
            shield: shields(module, args.shield.as_deref(), args.builtin)?,
            impact: Some(module.manifest.impact),
            limits: Default::default(),
            capabilities,
        });
    }
    // A built-in that works in `open` only is left out of `--builtin`: that shield is granted by name.
    new.retain(|grant| !grant.shield.is_empty());
    if new.is_empty() {
        bail!("there is nothing to grant: this `foil` has no built-in modules that work without the shield `open`");
    }
    if !args.yes && !confirmed(modules, &new, &file, global)? {
        err!("Nothing was granted.");
        return Ok(Exit::Usage);
    }
    write(&file, &new)?;
    say(&new, &file, global.format)?;
    Ok(Exit::Success)
}

/// What `--expires` says.
fn until(text: &str, now: Timestamp) -> anyhow::Result<When> {
    let days = text.strip_suffix('d').and_then(|n| n.parse::<i32>().ok()).filter(|n| (1..=36_500).contains(n));
    let when = match days {
        Some(days) => {
            let today = now.to_zoned(TimeZone::UTC).date();
            let day = today.checked_add(days.days()).with_context(|| format!("`{text}` is too far away"))?;
            When::Day(day)
        }
        None => text
            .parse()
            .map_err(|e: String| anyhow::anyhow!("--expires: {e}; or write a number of days such as 90d"))?,
    };
    if when.end() <= now {
        bail!("--expires: {when} is over: the grant would never hold");
    }
    Ok(when)
}

/// The levels to grant; empty only for a built-in that has to be granted by name.
fn shields(module: &Module, named: Option<&[ShieldLevel]>, builtin: bool) -> anyhow::Result<Vec<ShieldLevel>> {
    let works = module.manifest.shields();
    if let Some(named) = named {
        if let Some(level) = named.iter().find(|l| !works.contains(l)) {
            let works: Vec<String> = works.iter().map(|l| format!("`{l}`")).collect();
            bail!("{} does not work in the shield `{level}`, only in {}", module.manifest.id, works.join(", "));
        }
        let mut levels = named.to_vec();
        levels.sort_unstable();
        levels.dedup();
        return Ok(levels);
    }
    let safe: Vec<ShieldLevel> = works.iter().copied().filter(|l| *l != ShieldLevel::Open).collect();
    if safe.is_empty() && !builtin {
        bail!(
            "{} works only in the shield `open`, where nothing holds its programs: if you mean it, say so by `--shield open`",
            module.manifest.id
        );
    }
    Ok(safe)
}

fn write(file: &Path, new: &[Grant]) -> anyhow::Result<()> {
    grants_file::update(file, |text| new.iter().try_fold(text.to_owned(), |text, grant| with_grant(&text, grant)))
}

fn say(new: &[Grant], file: &Path, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        let list: Vec<_> = new.iter().map(entry).collect();
        return super::print_json(&serde_json::json!({ "file": file.to_string_lossy(), "granted": list }));
    }
    for grant in new {
        let names: Vec<String> = grant.capabilities.iter().map(|c| c.name().to_string()).collect();
        let names = if names.is_empty() { "nothing but to run".to_owned() } else { names.join(", ") };
        let until = grant.expires.map(|when| format!(" until {when}")).unwrap_or_default();
        out!("{}: granted {names}{until} ({})", grant.module, grants_file::short(grant.pin));
    }
    out!("written to {}", file.shown());
    Ok(())
}

/// Shows what is about to be granted and asks. Without a terminal there is nobody to ask.
fn confirmed(modules: &[Module], new: &[Grant], file: &Path, global: &Global) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        let look = modules.first().map(|module| hint::foil(["review", &module.called()])).unwrap_or_default();
        bail!("there is no terminal to ask on: look with `{look}`, then say `--yes`");
    }
    let grants = discover::grants(global, None)?;
    for module in modules.iter().filter(|m| new.iter().any(|g| g.module == m.manifest.id)) {
        let review = Review::of_module(module, &grants.value, Timestamp::now());
        err_text!("{}", review.text());
    }
    err!();
    for grant in new {
        let text = with_grant("", grant)?;
        let text: Vec<String> = text.trim().lines().map(|line| format!("  {}", visible(line, usize::MAX))).collect();
        err!("This is written:\n{}", text.join("\n"));
    }
    ask(&format!("Write it to {}?", file.shown()))
}

fn ask(question: &str) -> anyhow::Result<bool> {
    err_text!("{question} [y/N] ");
    std::io::stderr().flush().context("cannot ask")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// For `fire` and `run`: on a terminal, shows the module and offers to grant it as it asks (never `open`). The grants as
/// they are then, or `None` where nobody can be asked or the answer is no. A revoked grant is never offered again here:
/// whoever took it back meant it.
pub fn offer(
    module: &Module,
    refusal: &GrantRefusal,
    experiment: Option<&Path>,
    global: &Global,
) -> anyhow::Result<Option<Grants>> {
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !terminal || matches!(refusal, GrantRefusal::Revoked { .. }) {
        return Ok(None);
    }
    let found = discover::grants(global, experiment)?;
    let file = match found.path {
        Some(path) => path,
        None => discover::grants_to_write(global, experiment)?,
    };
    let review = Review::of_module(module, &found.value, Timestamp::now());
    err_text!("{}\n{refusal}\n", review.text());
    if !ask(&format!("Grant {} all of this, and write it to {}?", module.manifest.id, file.shown()))? {
        return Ok(None);
    }
    let args = Args {
        module: Some(module.manifest.id.to_string()),
        builtin: false,
        atomic: false,
        digest: None,
        reason: "granted when it was to be fired".to_owned(),
        reviewer: None,
        expires: None,
        only: None,
        narrow: Vec::new(),
        shield: None,
        yes: true,
    };
    let named = Global { grants: Some(file), format: Format::Text, ..global.clone() };
    grant(std::slice::from_ref(module), &args, &named)?;
    Ok(Some(discover::grants(&named, experiment)?.value))
}
