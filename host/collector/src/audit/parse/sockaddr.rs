//! `saddr=`: a socket address as the system call was given it, in hexadecimal.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Adds `family` and, where they are known, `address` and `port` (a path or `@name` for a local socket).
pub fn describe(bytes: &[u8], fields: &mut BTreeMap<String, String>) {
    let Some((family, rest)) = bytes.split_first_chunk::<2>() else { return };
    let mut put = |name: &str, value: String| {
        fields.insert(name.to_owned(), value);
    };
    match u16::from_ne_bytes(*family) {
        1 => {
            put("family", "unix".into());
            let name = match rest.split_first() {
                // Zeros inside are shown as `/proc/net/unix` does; those at the end are mostly what the caller did not fill.
                Some((0, name)) => {
                    let end = name.iter().rposition(|b| *b != 0).map_or(0, |last| last.saturating_add(1));
                    let name = name.get(..end).unwrap_or_default().iter().map(|b| if *b == 0 { b'@' } else { *b });
                    std::iter::once(b'@').chain(name).collect()
                }
                _ => rest.split(|b| *b == 0).next().unwrap_or_default().to_vec(),
            };
            put("address", super::value::text(&name));
        }
        2 => {
            put("family", "inet".into());
            if let Some((port, rest)) = rest.split_first_chunk::<2>()
                && let Some(address) = rest.first_chunk::<4>()
            {
                put("port", u16::from_be_bytes(*port).to_string());
                put("address", Ipv4Addr::from(*address).to_string());
            }
        }
        10 => {
            put("family", "inet6".into());
            if let Some((port, rest)) = rest.split_first_chunk::<2>()
                && let Some(address) = rest.get(4..).and_then(<[u8]>::first_chunk::<16>)
            {
                put("port", u16::from_be_bytes(*port).to_string());
                put("address", Ipv6Addr::from(*address).to_string());
            }
        }
        16 => put("family", "netlink".into()),
        17 => put("family", "packet".into()),
        other => put("family", other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::hex;
    use super::*;

    fn described(text: &str) -> String {
        let mut fields = BTreeMap::new();
        describe(&hex(text.as_bytes()).unwrap_or_default(), &mut fields);
        ["family", "address", "port"].map(|f| fields.get(f).cloned().unwrap_or_default()).join(" ").trim().to_owned()
    }

    #[test]
    fn families_are_told_apart() {
        assert_eq!(described("020000507F0000010000000000000000"), "inet 127.0.0.1 80");
        assert_eq!(
            described("0A0000500000000000000000000000000000000000000001000000 00".replace(' ', "").as_str()),
            "inet6 ::1 80"
        );
        assert_eq!(described("01002F72756E2F7300"), "unix /run/s");
        assert_eq!(described("0100004D"), "unix @M");
        assert_eq!(described("0100004D004E0000"), "unix @M@N");
        assert_eq!(described("02000050"), "inet");
        assert_eq!(described("0A00"), "inet6");
        assert_eq!(described("FF00"), "255");
        assert_eq!(described("02"), "");
    }
}
