//! A rule as its author wrote it, checked and put into the words that rsigma evaluates as the Sigma specification says. What rsigma
//! takes for something else, or for nothing, without a word is refused here or written differently.

use super::encode;
use rsigma_parser::{Detection, DetectionItem, Modifier, SigmaString, SigmaValue};

/// What a modifier says of how a value is compared: at most one of these.
const OPERATORS: [Modifier; 16] = [
    Modifier::Contains,
    Modifier::StartsWith,
    Modifier::EndsWith,
    Modifier::Re,
    Modifier::Cidr,
    Modifier::Gt,
    Modifier::Gte,
    Modifier::Lt,
    Modifier::Lte,
    Modifier::Exists,
    Modifier::Minute,
    Modifier::Hour,
    Modifier::Day,
    Modifier::Week,
    Modifier::Month,
    Modifier::Year,
];

const PLACES: [Modifier; 3] = [Modifier::Contains, Modifier::StartsWith, Modifier::EndsWith];

/// Puts a selection into those words.
///
/// # Errors
/// What cannot be evaluated, with the field's name.
pub(super) fn detection(detection: &mut Detection) -> Result<(), String> {
    match detection {
        Detection::AllOf(items) if items.is_empty() => Err("it is empty".to_owned()),
        Detection::AllOf(items) => items.iter_mut().try_for_each(item),
        Detection::AnyOf(all) | Detection::And(all) if all.is_empty() => Err("it is empty".to_owned()),
        Detection::AnyOf(all) | Detection::And(all) => all.iter_mut().try_for_each(self::detection),
        Detection::Keywords(values) if values.is_empty() => Err("it is empty".to_owned()),
        Detection::Keywords(values) => {
            if values.contains(&SigmaValue::Null) {
                return Err("a keyword is `null`, which is not a text".to_owned());
            }
            values.iter_mut().for_each(as_text);
            Ok(())
        }
        Detection::ArrayMatch { field, .. } => Err(format!(
            "field `{}`: array matching is not supported: fields of followed logs are flat",
            foil_text::cut(field, 80)
        )),
        Detection::Conditional { .. } => Err("a condition inside a selection is not supported".to_owned()),
    }
}

fn item(item: &mut DetectionItem) -> Result<(), String> {
    let name = foil_text::cut(item.field.name.as_deref().unwrap_or_default(), 80);
    check(item).map_err(|why| format!("field `{name}`: {why}"))
}

fn check(item: &mut DetectionItem) -> Result<(), String> {
    let has = |modifier: Modifier| item.field.modifiers.contains(&modifier);
    let (all, windash) = (has(Modifier::All), has(Modifier::WindAsh));
    let wide = has(Modifier::Wide) || has(Modifier::Utf16) || has(Modifier::Utf16be);
    let encoded = has(Modifier::Base64) || has(Modifier::Base64Offset);
    if item.values.is_empty() {
        return Err("it has no value".to_owned());
    }
    if has(Modifier::Expand) {
        match item.values.iter().find_map(placeholder) {
            Some(placeholder) => {
                return Err(format!(
                    "the modifier `expand` asks for what `{}` stands for, which Foil is not told: write the values into the rule",
                    foil_text::cut(&placeholder, 80)
                ));
            }
            None => item.field.modifiers.retain(|modifier| *modifier != Modifier::Expand),
        }
    }
    if wide && !encoded {
        return Err("`utf16` and `wide` need `base64` or `base64offset`".to_owned());
    }
    if encoded && windash {
        return Err("the modifiers `base64` and `windash` exclude each other".to_owned());
    }
    let fieldref = item.field.modifiers.contains(&Modifier::FieldRef);
    let operators = item.field.modifiers.iter().filter(|modifier| OPERATORS.contains(modifier)).count();
    if operators > 1 || (fieldref && (encoded || windash)) {
        return Err("its modifiers exclude each other".to_owned());
    }
    if fieldref {
        // rsigma takes the place of a reference behind the reference only.
        item.field.modifiers.sort_by_key(|modifier| PLACES.contains(modifier));
    }
    if item.field.modifiers.contains(&Modifier::Exists) {
        let truth = |value: &SigmaValue| match value {
            SigmaValue::Bool(_) => true,
            SigmaValue::String(text) => matches!(text.original.as_str(), "true" | "false"),
            _ => false,
        };
        return match item.values.as_slice() {
            [value] if truth(value) && item.field.name.is_some() => Ok(()),
            _ => Err("`exists` takes true or false".to_owned()),
        };
    }
    let texts = !item
        .field
        .modifiers
        .iter()
        .any(|modifier| OPERATORS.contains(modifier) && !PLACES.contains(modifier) && *modifier != Modifier::Re);
    if texts {
        let bare = operators == 0 && !fieldref && !encoded && !windash;
        if !bare && item.values.contains(&SigmaValue::Null) {
            return Err("`null` is not a text, number or truth value".to_owned());
        }
        item.values.iter_mut().for_each(as_text);
    }
    // The specification allows `all` for several values only; of one it says nothing.
    if all && item.values.len() == 1 {
        item.field.modifiers.retain(|modifier| *modifier != Modifier::All);
    } else if all && windash {
        return Err("`all` cannot be evaluated over several values with `windash`".to_owned());
    }
    if windash {
        expand_dashes(item)?;
    }
    Ok(())
}

/// rsigma replaces every `-`, within words too, and no `/`.
fn expand_dashes(item: &mut DetectionItem) -> Result<(), String> {
    let mut values = Vec::new();
    for value in &item.values {
        let SigmaValue::String(text) = value else { continue };
        values.extend(encode::windash(&text.original)?.iter().map(|text| SigmaValue::String(SigmaString::new(text))));
    }
    item.values = values;
    item.field.modifiers.retain(|modifier| *modifier != Modifier::WindAsh);
    Ok(())
}

/// Recorded fields are texts: `0` is `'0'`, and `true` is not `1`. rsigma compares numbers as numbers, takes `yes` and `1` for true,
/// and finds no number among keywords.
fn as_text(value: &mut SigmaValue) {
    let text = match value {
        SigmaValue::Integer(number) => number.to_string(),
        SigmaValue::Float(number) => format!("{number:?}"),
        SigmaValue::Bool(truth) => truth.to_string(),
        SigmaValue::String(_) | SigmaValue::Null => return,
    };
    *value = SigmaValue::from_raw_string(&text);
}

/// The first `%name%` of a value.
fn placeholder(value: &SigmaValue) -> Option<String> {
    let SigmaValue::String(text) = value else { return None };
    let (_, inner) = text.original.split_once('%')?;
    let (name, _) = inner.split_once('%').filter(|(name, _)| !name.is_empty())?;
    Some(format!("%{name}%"))
}
