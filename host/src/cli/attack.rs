//! ATT&CK on the command line: a technique's page, tactics by their many names.

use super::granted::Granted;
use super::{Exit, Format, Global, discover};
use crate::console::{err, out};
use crate::module::{Catalog, Filter, Module};
use anstyle::Style;
use anyhow::bail;
use foil_manifest::attack::{self, Tactic};
use foil_manifest::{AttackId, Kind};

const BOLD: Style = Style::new().bold();

/// Whether a text has the form of a technique's id, such as `T1059.004`, in any case; the id.
pub(super) fn id(text: &str) -> Option<String> {
    let upper = text.to_ascii_uppercase();
    let (technique, sub) = upper.strip_prefix('T')?.split_once('.').unwrap_or((upper.get(1..)?, "000"));
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(technique, 4) && digits(sub, 3)).then_some(upper)
}

/// Tactics by id, short name or name.
///
/// # Errors
/// A sentence that names all tactics.
pub(super) fn tactics(text: &str) -> Result<Tactics, String> {
    match attack::tactics_called(text) {
        found if !found.is_empty() => Ok(Tactics(found)),
        _ => {
            let known: Vec<String> =
                attack::all_tactics().iter().map(|tactic| format!("{} ({})", tactic.short, tactic.id)).collect();
            Err(format!("it is not a tactic of ATT&CK {}, which has {}", attack::version(), known.join(", ")))
        }
    }
}

/// What a tactic's name stands for: a former one may stand for several.
#[derive(Debug, Clone)]
pub(super) struct Tactics(pub Vec<&'static Tactic>);

impl Tactics {
    /// What is to be said of a name that ATT&CK gave up.
    pub fn renamed(&self) -> Option<String> {
        let [first, ..] = self.0.as_slice() else { return None };
        let now: Vec<String> = self.0.iter().map(|tactic| format!("{} ({})", tactic.name, tactic.id)).collect();
        (self.0.len() > 1)
            .then(|| format!("ATT&CK {} calls {} {}", attack::version(), first.formerly, now.join(" and ")))
    }
}

/// Shows a technique of ATT&CK and the modules that have it. `asked`: [`id()`] of what the user wrote.
pub(super) fn show(asked: &str, catalog: &Catalog, global: &Global) -> anyhow::Result<Exit> {
    let now = attack::moved(asked).unwrap_or(asked);
    let Some(name) = attack::name(now) else { bail!("{}{}", attack::unknown(asked), nearest(asked)) };
    let id: AttackId = now.to_owned().try_into()?;
    let modules = catalog.modules(&Filter { attack: Some(id), ..Filter::default() });
    let grants = discover::grants(global, None);
    if let Err(error) = &grants {
        err!("foil: {error:#}");
    }
    let grants = grants.ok().map(|found| found.value);
    let granted: Vec<(&Module, Granted)> =
        modules.iter().map(|module| (module, Granted::of(module, grants.as_ref()))).collect();
    let page = Page { asked, now, name, modules: &granted };
    match global.format {
        Format::Json => out!("{:#}", page.json()),
        Format::Text => page.print(),
    }
    Ok(Exit::Success)
}

/// The technique of which it would be a part.
fn nearest(id: &str) -> String {
    match id.split_once('.') {
        Some((technique, _)) if attack::name(technique).is_some() => {
            format!("; `foil show {technique}` shows the parts of {technique}")
        }
        _ => String::new(),
    }
}

struct Page<'a> {
    asked: &'a str,
    now: &'a str,
    name: &'a str,
    modules: &'a [(&'a Module, Granted)],
}

impl Page<'_> {
    fn tactics(&self) -> Vec<&'static Tactic> {
        let of = attack::tactics(self.now);
        attack::all_tactics().iter().filter(|tactic| of.contains(&tactic.short)).collect()
    }

    fn json(&self) -> serde_json::Value {
        let tactics: Vec<_> =
            self.tactics().iter().map(|t| serde_json::json!({ "id": t.id, "name": t.name })).collect();
        let module = |(module, granted): &(&Module, Granted)| {
            serde_json::json!({
                "id": module.manifest.id, "kind": module.manifest.kind, "title": module.manifest.title,
                "attack": module.manifest.attack, "granted": granted.to_string(), "source": module.source.raw(),
            })
        };
        serde_json::json!({
            "id": self.now, "name": self.name, "tactics": tactics, "attack-version": attack::version(),
            "formerly": (self.asked != self.now).then_some(self.asked),
            "subtechniques": attack::subtechniques(self.now).collect::<Vec<_>>(),
            "modules": self.modules.iter().map(module).collect::<Vec<_>>(),
        })
    }

    fn print(&self) {
        if self.asked != self.now {
            out!("{} is {} in ATT&CK {}.\n", self.asked, self.now, attack::version());
        }
        out!("{BOLD}{}{BOLD:#}  {}\n", self.now, self.name);
        let field = |name: &str, value: &str| out!("  {name:<11} {value}");
        let tactics: Vec<String> = self.tactics().iter().map(|t| format!("{} ({})", t.name, t.id)).collect();
        field("tactics", &tactics.join(", "));
        field("ATT&CK", &format!("version {}", attack::version()));
        let parent = self.now.split_once('.').map(|(parent, _)| parent);
        if let Some(parent) = parent {
            field("part of", &format!("{parent} {}", attack::name(parent).unwrap_or_default()));
        }
        for sub in attack::subtechniques(self.now) {
            field("has part", &format!("{sub} {}", attack::name(sub).unwrap_or_default()));
        }
        out!("\n{BOLD}Modules{BOLD:#}");
        if self.modules.is_empty() {
            let wider = parent.map(|parent| format!("; `foil show {parent}` shows those of its relatives"));
            out!("  none has it{}", wider.unwrap_or_default());
            return;
        }
        let mut table = super::table(["id", "ATT&CK", "grant", "title"]);
        for (module, granted) in self.modules {
            let manifest = &module.manifest;
            let ids: Vec<_> = manifest.attack.iter().map(AttackId::as_str).collect();
            let title = if manifest.kind == Kind::Check { "(check) " } else { "" }.to_owned() + &manifest.title;
            table.add_row([manifest.id.to_string(), ids.join(" "), granted.to_string(), title]);
        }
        out!("{table}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_names_of_modules() {
        for (text, found) in [
            ("T1070.004", Some("T1070.004")),
            ("t1059", Some("T1059")),
            ("T1070.04", None),
            ("T107", None),
            ("TA0005", None),
            ("linux.x", None),
            ("T", None),
            ("", None),
            ("Té", None),
        ] {
            assert_eq!(id(text).as_deref(), found, "{text}");
        }
    }

    #[test]
    fn an_unknown_tactic_is_answered_with_all_and_a_former_one_with_what_it_is_now() {
        let error = tactics("evasion").expect_err("unknown");
        assert!(error.contains("stealth (TA0005)") && error.contains("impact (TA0040)"), "{error}");
        let former = tactics("Defense Evasion").expect("known").renamed().expect("renamed");
        assert!(former.ends_with("calls Defense Evasion Stealth (TA0005) and Defense Impairment (TA0112)"), "{former}");
        assert_eq!(tactics("TA0005").expect("known").renamed(), None);
    }
}
