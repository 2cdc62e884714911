//! Modifiers that turn a rule's text into several: `base64offset`, `windash`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsigma_ir::IrEncoding;

/// Most dashes of one text: each stands for five.
const MAX_DASHES: usize = 4;

/// Returns the three ways in which the text looks inside longer encoded data, without the characters that its neighbours decide.
/// rsigma keeps the last character, which is right only for one text in three.
pub(super) fn base64_offsets(text: &str, encodings: &[IrEncoding]) -> Vec<String> {
    let units = || text.encode_utf16();
    let has = |encoding| encodings.contains(&encoding);
    let data: Vec<u8> = if has(IrEncoding::Utf16Be) {
        units().flat_map(u16::to_be_bytes).collect()
    } else if has(IrEncoding::Utf16) {
        // With a byte order mark.
        [0xff, 0xfe].into_iter().chain(units().flat_map(u16::to_le_bytes)).collect()
    } else if has(IrEncoding::Wide) {
        units().flat_map(u16::to_le_bytes).collect()
    } else {
        text.as_bytes().to_vec()
    };
    let at = |offset: usize, from: usize| {
        let encoded = STANDARD.encode([vec![b' '; offset].as_slice(), &data].concat());
        let cut = match data.len().wrapping_add(offset) % 3 {
            0 => 0,
            1 => 3,
            _ => 2,
        };
        encoded.get(from..encoded.len().saturating_sub(cut)).unwrap_or_default().to_owned()
    };
    [at(0, 0), at(1, 2), at(2, 3)].into_iter().filter(|text| !text.is_empty()).collect()
}

/// Returns every way to write the text's options: with `-`, `/` or one of the dashes that Windows takes for it.
///
/// # Errors
/// The text has more than four options.
pub(super) fn windash(text: &str) -> Result<Vec<String>, String> {
    let word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let characters: Vec<char> = text.chars().collect();
    let mut out = vec![String::new()];
    let mut dashes = 0;
    let mut before = None;
    for (i, c) in characters.iter().enumerate() {
        if matches!(c, '-' | '/') && !word(before) && word(characters.get(i.saturating_add(1))) {
            dashes += 1;
            if dashes > MAX_DASHES {
                return Err(format!("`windash` takes at most {MAX_DASHES} options a text"));
            }
            let with = |text: &String| ['-', '/', '–', '—', '―'].map(|dash| format!("{text}{dash}"));
            out = out.iter().flat_map(with).collect();
        } else {
            out.iter_mut().for_each(|text| text.push(*c));
        }
        before = Some(c);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_found_wherever_it_stands() {
        for text in ["/bin/bash", "/bin/sh", "/bin/zsh"] {
            let found = base64_offsets(text, &[]);
            for before in ["", "a", "ab", "abc", "abcd"] {
                let encoded = STANDARD.encode(format!("{before}{text} -i"));
                assert!(found.iter().any(|f| encoded.contains(f)), "{before}{text}");
            }
            assert!(!found.iter().any(|f| STANDARD.encode(b"/usr/bin/true --x").contains(f)));
        }
        // The specification's examples, up to what the next character decides.
        for (encoding, encoded) in
            [(IrEncoding::Wide, "YwBtAGQA"), (IrEncoding::Utf16Be, "AGMAbQBk"), (IrEncoding::Utf16, "//5jAG0AZA")]
        {
            assert_eq!(base64_offsets("cmd", &[encoding])[0], encoded);
        }
    }

    #[test]
    fn options_with_any_dash() {
        assert_eq!(windash("a-b / c").unwrap(), ["a-b / c"], "no option");
        assert_eq!(windash(" -a /b").unwrap().len(), 25);
        assert!(windash(" -a").unwrap().contains(&" –a".to_owned()));
        assert!(windash("-a -a -a -a -a").is_err());
    }
}
