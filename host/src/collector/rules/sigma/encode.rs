//! Modifiers that turn a rule's text into others: `base64`, `base64offset`, `windash`.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Most dashes of one text: each stands for five.
const MAX_DASHES: usize = 4;

/// How a text becomes bytes before it is encoded.
pub(super) fn bytes(text: &str, wide: Option<&str>) -> Vec<u8> {
    let units = || text.encode_utf16();
    match wide {
        None => text.as_bytes().to_vec(),
        Some("utf16be") => units().flat_map(u16::to_be_bytes).collect(),
        // With a byte order mark.
        Some("utf16") => [0xff, 0xfe].into_iter().chain(units().flat_map(u16::to_le_bytes)).collect(),
        // `utf16le`, and `wide`, which is another word for it.
        Some(_) => units().flat_map(u16::to_le_bytes).collect(),
    }
}

/// RFC 4648, with padding.
pub(super) fn base64(data: &[u8]) -> String {
    let mut out = String::with_capacity(data.len().div_ceil(3).saturating_mul(4));
    for chunk in data.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (i, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let sign = ALPHABET.get((bits >> shift & 63) as usize).copied().unwrap_or(b'=');
            out.push(if i <= chunk.len() { char::from(sign) } else { '=' });
        }
    }
    out
}

/// The three ways in which the bytes look inside longer encoded data, without the signs that their neighbours decide.
pub(super) fn base64_offsets(data: &[u8]) -> Vec<String> {
    let at = |offset: usize, from: usize| {
        let encoded = base64(&[vec![b' '; offset].as_slice(), data].concat());
        let cut = match data.len().wrapping_add(offset) % 3 {
            0 => 0,
            1 => 3,
            _ => 2,
        };
        encoded.get(from..encoded.len().saturating_sub(cut)).unwrap_or_default().to_owned()
    };
    [at(0, 0), at(1, 2), at(2, 3)].into_iter().filter(|text| !text.is_empty()).collect()
}

/// Every way to write the text's options: with `-`, `/` or one of the dashes that Windows takes for it.
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
    fn base64_as_rfc_4648_has_it() {
        for (plain, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        // The specification's examples.
        assert_eq!(base64(&bytes("cmd", Some("utf16le"))), "YwBtAGQA");
        assert_eq!(base64(&bytes("cmd", Some("utf16be"))), "AGMAbQBk");
        assert_eq!(base64(&bytes("cmd", Some("utf16"))), "//5jAG0AZAA=");
    }

    #[test]
    fn what_is_encoded_is_found_wherever_it_stands() {
        for text in ["/bin/bash", "/bin/sh", "/bin/zsh"] {
            let found = base64_offsets(text.as_bytes());
            for before in ["", "a", "ab", "abc", "abcd"] {
                let encoded = base64(format!("{before}{text} -i").as_bytes());
                assert!(found.iter().any(|f| encoded.contains(f)), "{before}{text}");
            }
            assert!(!found.iter().any(|f| base64(b"/usr/bin/true --x").contains(f)));
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
