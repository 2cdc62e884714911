//! Changes to a grants file, as text to text: other entries, their order and all comments stay as they are.

use super::{Entry, Grant, MAX_FILE, Revocation, parse};
use crate::Refusal;
use foil_manifest::ModuleId;
use serde::Serialize;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table};

/// What stands at the top of a new file.
const HEADER: &str = "\
# What Foil's modules may do here. Keep this file in your repository and review its changes.
# Written by foil grant and foil revoke; you may edit it. See docs/policy.md.
";

#[derive(Serialize)]
struct One<'a> {
    grant: [&'a Entry; 1],
}

/// The text of the file `text` with `grant` in it: in the place of the module's grant where there is one (revoked
/// ones stay), else at the end.
pub fn with_grant(text: &str, grant: &Grant) -> Result<String, Refusal> {
    let mut document = open(text)?;
    let entry = Entry::from(grant);
    let new = table(&entry)?;
    let list = list(&mut document)?;
    let live: Vec<usize> = positions(list, &grant.module);
    match live.split_first() {
        Some((first, rest)) => {
            for index in rest.iter().rev() {
                list.remove(*index);
            }
            if let Some(old) = list.get_mut(*first) {
                old.clear();
                for (key, item) in new {
                    old.insert(&key, item);
                }
            }
        }
        None => list.push(new),
    }
    close(document)
}

/// The text with every live grant of `module` marked as revoked, and how many there were.
pub fn revoke(text: &str, module: &ModuleId, revocation: &Revocation) -> Result<(String, usize), Refusal> {
    let mut document = open(text)?;
    let list = list(&mut document)?;
    let live = positions(list, module);
    for index in &live {
        let mut mark = toml_edit::InlineTable::new();
        mark.insert("when", revocation.when.to_string().into());
        mark.insert("who", revocation.who.as_str().into());
        mark.insert("why", revocation.why.as_str().into());
        if let Some(entry) = list.get_mut(*index) {
            entry.insert("revoked", toml_edit::value(mark));
        }
    }
    Ok((close(document)?, live.len()))
}

fn open(text: &str) -> Result<DocumentMut, Refusal> {
    // Never change a file that could not be used as it is: the mistake in it would be ours from then on.
    parse(text)?;
    let text = if text.trim().is_empty() { HEADER } else { text };
    text.parse::<DocumentMut>().map_err(|e| Refusal(e.to_string()))
}

fn list(document: &mut DocumentMut) -> Result<&mut ArrayOfTables, Refusal> {
    let header = document.as_table().is_empty();
    if header {
        // The comments of a file that has nothing else belong to its top, not after what is added.
        let comments = document.trailing().as_str().unwrap_or_default().to_owned();
        document.set_trailing("");
        document.decor_mut().set_prefix(comments);
    }
    document
        .entry("grant")
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()))
        .as_array_of_tables_mut()
        .ok_or_else(|| Refusal("the grants must be written as `[[grant]]` tables for Foil to change them".into()))
}

/// Where the live grants of a module are.
fn positions(list: &ArrayOfTables, module: &ModuleId) -> Vec<usize> {
    let ours = |table: &Table| {
        table.get("module").and_then(Item::as_str) == Some(module.as_str()) && !table.contains_key("revoked")
    };
    list.iter().enumerate().filter(|(_, table)| ours(table)).map(|(index, _)| index).collect()
}

/// The entry as a table that takes its place from where it is put.
fn table(entry: &Entry) -> Result<Table, Refusal> {
    let internal = |what: &str| Refusal(format!("the grant cannot be written: {what}"));
    let text = toml::to_string_pretty(&One { grant: [entry] }).map_err(|e| internal(&e.to_string()))?;
    let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| internal(e.message()))?;
    let Some(Item::ArrayOfTables(list)) = document.remove("grant") else { return Err(internal("it is no table")) };
    let mut table = list.into_iter().next().ok_or_else(|| internal("it is empty"))?;
    forget_position(&mut table);
    table.decor_mut().set_prefix("\n");
    Ok(table)
}

/// A table parsed from another text remembers its place there, and would be printed amid another grant.
fn forget_position(table: &mut Table) {
    table.set_position(None);
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(inner) => forget_position(inner),
            Item::ArrayOfTables(inner) => inner.iter_mut().for_each(forget_position),
            _ => {}
        }
    }
}

fn close(document: DocumentMut) -> Result<String, Refusal> {
    let text = document.to_string();
    if text.len() > MAX_FILE {
        return Err(Refusal(format!("the grants file would have {} bytes, more than {MAX_FILE}", text.len())));
    }
    // What is written is what will be read.
    parse(&text)?;
    Ok(text)
}
