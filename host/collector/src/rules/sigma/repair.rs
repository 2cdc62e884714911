//! What rsigma 0.23 evaluates otherwise than the Sigma specification says, rewritten in its intermediate form before it compiles a
//! rule. docs/collectors.md lists the differences; each has a test in `tests.rs`. Where a later rsigma is right, its part here goes.

use super::encode;
use super::expression;
use rsigma_ir::{IrDetection, IrDetectionItem, IrEncoding, IrMatcher, IrPattern, IrPatternPart, IrStrOp};

/// Returns the selection in a form that is evaluated as specified.
///
/// # Errors
/// What cannot be evaluated, with the field's name: an expression that is not linear, a network that is not one.
pub(super) fn detection(detection: IrDetection) -> Result<IrDetection, String> {
    Ok(match detection {
        IrDetection::AllOf(items) => {
            let (mut plain, mut others) = (Vec::new(), Vec::new());
            for item in items {
                match self::item(item)? {
                    IrDetection::AllOf(items) => plain.extend(items),
                    other => others.push(other),
                }
            }
            match others.pop() {
                None => IrDetection::AllOf(plain),
                Some(last) if plain.is_empty() && others.is_empty() => last,
                Some(last) => {
                    others.push(last);
                    others.extend((!plain.is_empty()).then_some(IrDetection::AllOf(plain)));
                    IrDetection::And(others)
                }
            }
        }
        IrDetection::AnyOf(all) => {
            IrDetection::AnyOf(all.into_iter().map(self::detection).collect::<Result<_, String>>()?)
        }
        IrDetection::And(all) => IrDetection::And(all.into_iter().map(self::detection).collect::<Result<_, String>>()?),
        IrDetection::Keywords(matcher) => IrDetection::Keywords(keyword(matcher)?),
        other => other,
    })
}

fn item(item: IrDetectionItem) -> Result<IrDetection, String> {
    let IrDetectionItem { field, matcher, exists } = item;
    let Some(name) = field else { return keywords(matcher) };
    let of_name = |why| format!("field `{}`: {why}", foil_text::cut(&name, 80));
    let one = |matcher| IrDetection::AllOf(vec![IrDetectionItem { field: Some(name.clone()), matcher, exists }]);
    let matcher = value(matcher).map_err(of_name)?;
    Ok(match matcher {
        // A field that is absent is none of the values.
        IrMatcher::Not(inner) if !asks_for_absence(&inner) => {
            IrDetection::AnyOf(vec![one(IrMatcher::Not(inner)), one(IrMatcher::Null)])
        }
        // rsigma asks a field that is absent for nothing but a lone `null`.
        IrMatcher::AnyOf(all) if all.contains(&IrMatcher::Null) => {
            let others: Vec<_> = all.into_iter().filter(|matcher| *matcher != IrMatcher::Null).collect();
            IrDetection::AnyOf(vec![one(IrMatcher::AnyOf(others)), one(IrMatcher::Null)])
        }
        IrMatcher::FieldRef { field, op, case_insensitive } if op != IrStrOp::Exact => {
            // An empty text stands at the beginning and the end of every other, which says nothing.
            let empty = IrMatcher::Str { op: IrStrOp::Exact, pattern: IrPattern::default(), case_insensitive: true };
            let said =
                IrDetectionItem { field: Some(field.clone()), matcher: IrMatcher::Not(Box::new(empty)), exists: None };
            let reference = one(IrMatcher::FieldRef { field, op, case_insensitive });
            IrDetection::And(vec![reference, IrDetection::AllOf(vec![said])])
        }
        other => one(other),
    })
}

fn asks_for_absence(matcher: &IrMatcher) -> bool {
    match matcher {
        IrMatcher::Null | IrMatcher::Exists(false) => true,
        IrMatcher::AnyOf(all) => all.iter().any(asks_for_absence),
        _ => false,
    }
}

/// An item without a field (`'|all': [a, b]`) is about the whole event: each keyword may stand in another field.
fn keywords(matcher: IrMatcher) -> Result<IrDetection, String> {
    match matcher {
        IrMatcher::AllOf(all) => {
            let each = all.into_iter().map(|matcher| Ok(IrDetection::Keywords(keyword(matcher)?)));
            Ok(IrDetection::And(each.collect::<Result<_, String>>()?))
        }
        matcher => Ok(IrDetection::Keywords(keyword(matcher)?)),
    }
}

/// A keyword stands anywhere in a value, unless the rule says otherwise.
fn keyword(matcher: IrMatcher) -> Result<IrMatcher, String> {
    match matcher {
        IrMatcher::Str { op: IrStrOp::Exact, pattern, case_insensitive } => {
            value(IrMatcher::Str { op: IrStrOp::Contains, pattern, case_insensitive })
        }
        IrMatcher::AnyOf(all) => Ok(IrMatcher::AnyOf(all.into_iter().map(keyword).collect::<Result<_, String>>()?)),
        IrMatcher::Str { .. } | IrMatcher::Encoded { .. } | IrMatcher::Regex { .. } => value(matcher),
        _ => Err("a keyword is a text: name the field".to_owned()),
    }
}

fn value(matcher: IrMatcher) -> Result<IrMatcher, String> {
    let all = |all: Vec<IrMatcher>| all.into_iter().map(value).collect::<Result<Vec<_>, _>>();
    Ok(match matcher {
        IrMatcher::Str { op, pattern, case_insensitive } => text(op, pattern, case_insensitive)?,
        IrMatcher::Encoded { encodings, value, case_insensitive, .. }
            if encodings.contains(&IrEncoding::Base64Offset) =>
        {
            let text = |text| IrMatcher::Str {
                op: IrStrOp::Contains,
                pattern: IrPattern { parts: vec![IrPatternPart::Literal(text)] },
                case_insensitive,
            };
            match encode::base64_offsets(&value, &encodings) {
                offsets if offsets.is_empty() => {
                    return Err("`base64offset` of so short a text says nothing".to_owned());
                }
                offsets => IrMatcher::AnyOf(offsets.into_iter().map(text).collect()),
            }
        }
        IrMatcher::Regex { pattern, case_insensitive, multiline, dotall, cased } => {
            let pattern = expression::of_rule(&pattern, case_insensitive, multiline, dotall)?;
            // rsigma compares an expression that begins with `(?i)` with the value in small letters, which a part that switches
            // the flag off again would never match.
            match pattern.contains("(?") && pattern.contains('-') && (case_insensitive || pattern.starts_with("(?")) {
                true => IrMatcher::Regex {
                    pattern: format!("(?:{}{pattern})", if case_insensitive { "(?i)" } else { "" }),
                    case_insensitive: false,
                    multiline,
                    dotall,
                    cased,
                },
                false => IrMatcher::Regex { pattern, case_insensitive, multiline, dotall, cased },
            }
        }
        IrMatcher::Cidr { network } => networks(&network)?,
        IrMatcher::Not(inner) => IrMatcher::Not(Box::new(value(*inner)?)),
        IrMatcher::AnyOf(matchers) => IrMatcher::AnyOf(all(matchers)?),
        IrMatcher::AllOf(matchers) => IrMatcher::AllOf(all(matchers)?),
        other => other,
    })
}

/// A text with wildcards. rsigma's do not match a line break, and it anchors `startswith` at the end and `endswith` at the beginning
/// where there is a wildcard.
fn text(op: IrStrOp, pattern: IrPattern, case_insensitive: bool) -> Result<IrMatcher, String> {
    let (mut at_start, mut at_end) =
        (matches!(op, IrStrOp::Exact | IrStrOp::StartsWith), matches!(op, IrStrOp::Exact | IrStrOp::EndsWith));
    let mut parts = pattern.parts;
    // A star at an end is a place: most patterns need no expression then.
    while parts.first() == Some(&IrPatternPart::WildcardMulti) {
        parts.remove(0);
        at_start = false;
    }
    while parts.last() == Some(&IrPatternPart::WildcardMulti) {
        parts.pop();
        at_end = false;
    }
    let op = match (at_start, at_end) {
        (true, true) => IrStrOp::Exact,
        (true, false) => IrStrOp::StartsWith,
        (false, true) => IrStrOp::EndsWith,
        (false, false) => IrStrOp::Contains,
    };
    let pattern = IrPattern { parts };
    if pattern.is_plain() {
        return Ok(IrMatcher::Str { op, pattern, case_insensitive });
    }
    let mut source = String::from(if at_start { r"\A" } else { "" });
    for part in &pattern.parts {
        match part {
            IrPatternPart::Literal(text) => source.push_str(&regex::escape(text)),
            IrPatternPart::WildcardMulti => source.push_str(".*"),
            IrPatternPart::WildcardSingle => source.push('.'),
        }
    }
    source.push_str(if at_end { r"\z" } else { "" });
    expression::compile(&source, case_insensitive, false, true)?;
    Ok(IrMatcher::Regex { pattern: source, case_insensitive, multiline: false, dotall: true, cased: !case_insensitive })
}

/// A network. An IPv4 address inside of IPv6 (`::ffff:192.0.2.1`) is that address, which rsigma does not know.
fn networks(network: &str) -> Result<IrMatcher, String> {
    let wrong = || format!("`{}` is not a network: write ADDRESS/PREFIX", foil_text::cut(network, 80));
    let (address, prefix) = network.split_once('/').ok_or_else(wrong)?;
    let address: std::net::IpAddr = address.parse().map_err(|_| wrong())?;
    let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
    let plain = IrMatcher::Cidr { network: network.to_owned() };
    match address {
        std::net::IpAddr::V4(address) if prefix <= 32 => {
            let mapped = format!("{}/{}", address.to_ipv6_mapped(), prefix.saturating_add(96));
            Ok(IrMatcher::AnyOf(vec![plain, IrMatcher::Cidr { network: mapped }]))
        }
        std::net::IpAddr::V6(_) if prefix <= 128 => Ok(plain),
        _ => Err(wrong()),
    }
}
