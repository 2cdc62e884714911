//! What changed from one version of a module to another.

use super::page::{BOLD, GREEN, PLAIN, Page, RED};
use super::subject::Subject;
use super::text::dangerous;
use crate::cli::{Format, print_json};
use crate::console::out_text;
use anyhow::bail;
use foil_manifest::Manifest;
use foil_policy::{Difference, Effect, versions};
use foil_record::Exit;
use serde_json::{Value, json};

/// Whether the code of two versions is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    /// The same bytes.
    Same,
    /// Other bytes.
    Changed,
    /// At least one of them was not built.
    NotCompared,
}

impl Code {
    fn of(old: &Subject, new: &Subject) -> Self {
        match (old.digest(), new.digest()) {
            (Some(old), Some(new)) if old == new => Self::Same,
            (Some(_), Some(_)) => Self::Changed,
            _ => Self::NotCompared,
        }
    }

    /// For programs.
    fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Changed => "changed",
            Self::NotCompared => "not-compared",
        }
    }
}

/// Shows it. The exit code is [`Exit::Broken`] where the new version asks for more.
pub(super) fn run(old: &Subject, new: &Subject, format: Format) -> anyhow::Result<Exit> {
    check_same(old.manifest(), new.manifest())?;
    let differences = versions(old.manifest(), new.manifest(), old.imports().zip(new.imports()));
    let code = Code::of(old, new);
    match format {
        Format::Json => print_json(&document(old, new, code, &differences))?,
        Format::Text => out_text!("{}", page(old, new, code, &differences)),
    }
    Ok(if differences.iter().any(Difference::is_more) { Exit::Broken } else { Exit::Success })
}

/// Two modules that have nothing to do with each other are not two versions of one. One that was renamed keeps its old id as an alias.
fn check_same(old: &Manifest, new: &Manifest) -> anyhow::Result<()> {
    let renamed = |from: &Manifest, to: &Manifest| to.aliases.iter().any(|alias| alias == from.id.as_str());
    if old.id != new.id && !renamed(old, new) && !renamed(new, old) {
        bail!(
            "{} and {} are two modules: name two versions of one, the old one first (a module that was renamed keeps its \
             old id in `aliases`)",
            old.id,
            new.id
        );
    }
    Ok(())
}

/// What the reader must know, in a sentence.
fn verdict(old: &Subject, new: &Subject, code: Code, differences: &[Difference]) -> String {
    let what = if new.is_script() { "script" } else { "code" };
    let more = differences.iter().any(Difference::is_more);
    let less = differences.iter().any(Difference::is_less);
    let asks = match (more, less) {
        (true, true) => "It asks for more in some respects, and for less in others",
        (true, false) => "It asks for more",
        (false, true) => "It asks for less, and for nothing more",
        (false, false) => "It asks for the same",
    };
    match (code, differences.is_empty()) {
        (Code::Same, _) => "The two are the same, byte for byte.".to_owned(),
        (Code::Changed, true) => format!("It asks for the same; only its {what} changed."),
        (Code::Changed, false) if !more && !less => {
            format!("It asks for the same; its {what} changed, and what it says of itself.")
        }
        (Code::Changed, false) => format!("{asks}; its {what} changed too."),
        (Code::NotCompared, empty) => {
            let source = if new.digest().is_none() { new } else { old };
            let says = if empty { ", and says the same of itself" } else { "" };
            format!("{asks}{says}. Whether its code changed is unknown: nothing was built of {}.", source.place())
        }
    }
}

fn page(old: &Subject, new: &Subject, code: Code, differences: &[Difference]) -> String {
    let mut page = Page::default();
    let manifest = new.manifest();
    page.heading(&format!("{}: {}", manifest.id, manifest.title));
    for (label, subject) in [("old       ", old), ("new       ", new)] {
        page.item(2, PLAIN, label, &subject.place());
        match subject.digest() {
            // Without the alignment it fits into 80 columns to the digit.
            Some(digest) => page.item(2, PLAIN, "digest ", &digest.to_string()),
            None => page.item(2, PLAIN, "digest    ", "none: the source's manifest, of which no code was built"),
        }
    }
    let verdict = verdict(old, new, code, differences);
    let more = differences.iter().any(Difference::is_more);
    page.heading("Compared");
    page.item(2, if more { RED } else { BOLD }, "", &verdict);
    if code == Code::Changed {
        page.item(2, PLAIN, "", "Code is not compared here: read it, or trust its author. A grant of the old digest does not hold for the new one.");
    }
    type Belongs = fn(&Difference) -> bool;
    let groups: [(&str, Belongs); 3] = [
        ("Asks for more", Difference::is_more),
        ("Asks for less", Difference::is_less),
        ("Changed besides", |difference| !difference.is_more() && !difference.is_less()),
    ];
    for (heading, belongs) in groups {
        let mut group = differences.iter().filter(|difference| belongs(difference)).peekable();
        if group.peek().is_some() {
            page.heading(heading);
        }
        group.for_each(|difference| line(&mut page, difference));
    }
    page.finish()
}

fn line(page: &mut Page, difference: &Difference) {
    let Difference { key, effect, old, new, .. } = difference;
    let value = new.as_deref().unwrap_or_default();
    let style = match effect {
        _ if difference.is_more() && red(key, value) => RED,
        _ if difference.is_more() => GREEN,
        _ => PLAIN,
    };
    let label = format!("{:<9} ", effect.word());
    let value = match (old, new) {
        (Some(old), Some(new)) if *effect == Effect::Narrowed || *effect == Effect::Widened => {
            format!("{old} -> {new}")
        }
        (Some(old), Some(new)) => format!("\"{old}\" -> \"{new}\""),
        (old, new) => old.as_ref().or(new.as_ref()).cloned().unwrap_or_default(),
    };
    page.item(2, style, &label, &format!("{key}: {}", value.split_whitespace().collect::<Vec<_>>().join(" ")));
}

/// Whether more of it is what a reviewer must stop at.
fn red(key: &str, value: &str) -> bool {
    let function = if key == "imports" { value } else { key };
    dangerous(function, value) || matches!(key, "root" | "impact")
}

fn document(old: &Subject, new: &Subject, code: Code, differences: &[Difference]) -> Value {
    let of = |subject: &Subject| {
        json!({
            "id": subject.manifest().id, "digest": subject.digest(), "source": subject.raw_place(),
            "built": subject.digest().is_some(),
        })
    };
    let asks = match (differences.iter().any(Difference::is_more), differences.iter().any(Difference::is_less)) {
        (true, true) => "more-and-less",
        (true, false) => "more",
        (false, true) => "less",
        (false, false) => "same",
    };
    json!({
        "old": of(old), "new": of(new), "code": code.word(), "asks": asks,
        "says": verdict(old, new, code, differences), "differences": differences,
    })
}
