//! What is looked for.

use foil_sdk::events::Event;
use foil_sdk::{Error, Result, pattern};

/// The parameters: an event must match all that are given.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Query {
    event: Option<String>,
    exe: Option<String>,
    comm: Option<String>,
    path: Option<String>,
    argv: Option<String>,
    key: Option<String>,
    success: Option<bool>,
    pub collector: String,
}

impl Query {
    /// A query that any event of the run would match proves nothing.
    pub fn check(&self) -> Result<()> {
        let texts = [&self.event, &self.exe, &self.comm, &self.path, &self.argv, &self.key];
        if texts.iter().all(|text| text.is_none()) {
            let why = "say what to look for by `event`, `exe`, `comm`, `path`, `argv` or `key`: everything would match";
            return Err(Error::Invalid(why.to_owned()));
        }
        if texts.iter().any(|text| text.as_ref().is_some_and(|text| text.trim().is_empty())) {
            return Err(Error::Invalid(
                "an empty text matches nothing, or everything: leave the parameter out".to_owned(),
            ));
        }
        Ok(())
    }

    /// Whether the event is what was asked for.
    pub fn matches(&self, event: &Event) -> bool {
        let field = |name: &str| event.field(name).unwrap_or_default();
        let fits = |wanted: &Option<String>, test: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(test);
        fits(&self.event, &|kinds| kinds.split(',').any(|kind| kind.trim() == event.kind))
            && fits(&self.exe, &|wanted| pattern::matches(wanted, field("exe")))
            && fits(&self.comm, &|wanted| pattern::matches(wanted, field("comm")))
            && fits(&self.path, &|wanted| paths(event).any(|path| pattern::matches(wanted, &path)))
            && fits(&self.argv, &|wanted| field("argv").contains(wanted))
            && fits(&self.key, &|wanted| keys(field("key")).any(|key| key == wanted))
            && self.success.is_none_or(|wanted| succeeded(field("success")) == Some(wanted))
    }

    /// Whether an incomplete event may be what was asked for: records of it may be missing, and its arguments are cut where they are
    /// long.
    pub fn could_match(&self, event: &Event) -> bool {
        let records = event.field("records").unwrap_or_default();
        let call = records.split(' ').any(|record| record == "SYSCALL");
        let kind = |kinds: &String| !call || kinds.split(',').any(|kind| kind.trim() == event.kind);
        let field =
            |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| event.could_have(name, wanted));
        let keyed = |key: &String| !call || keys(event.field("key").unwrap_or_default()).any(|known| known == key);
        let ended = |wanted| !call || succeeded(event.field("success").unwrap_or_default()) == Some(wanted);
        self.event.as_ref().is_none_or(kind)
            && field(&self.exe, "exe")
            && field(&self.comm, "comm")
            && self.key.as_ref().is_none_or(keyed)
            && self.success.is_none_or(ended)
    }
}

/// The paths that the call named: `path`, the one that matters most, then all of `paths`, quoted as for a shell.
pub(crate) fn paths(event: &Event) -> impl Iterator<Item = String> {
    let main = event.field("path").map(ToOwned::to_owned);
    let all = event.field("paths").map(words).unwrap_or_default();
    main.into_iter().chain(all).filter(|path| !path.is_empty())
}

/// Splits words as a collector joined them: what is not plain stands in single quotes, and `'\''` is one of these itself.
fn words(joined: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    let mut characters = joined.chars();
    while let Some(c) = characters.next() {
        let word = words.last_mut();
        match (c, word) {
            ('\'', _) => quoted = !quoted,
            ('\\', Some(word)) if !quoted => word.extend(characters.next()),
            (' ', _) if !quoted => words.push(String::new()),
            (c, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    words
}

/// A rule may have several keys; audit puts the character 0x01 between them, which a collector writes as `\x01`.
fn keys(field: &str) -> impl Iterator<Item = &str> {
    field.split(r"\x01").flat_map(|part| part.split('\u{1}'))
}

/// Audit says `yes` or `no`; a call that was recorded on its way in says neither.
fn succeeded(field: &str) -> Option<bool> {
    match field {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}
