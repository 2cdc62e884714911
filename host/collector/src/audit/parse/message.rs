//! `msg='op=login acct="root" res=success'`: what a program of user space says of itself.

use super::record::{Record, parse_fields};
use std::collections::BTreeMap;

/// Fields that only the kernel may fill in, or that Foil makes: who sends a message must not be able to say who it is, or what
/// recorded it.
#[rustfmt::skip]
const RESERVED: [&str; 35] = [
    "pid", "ppid", "uid", "auid", "gid", "euid", "suid", "fsuid", "egid", "sgid", "fsgid", "ses", "subj", "tty", "key", "msg",
    "type", "success", "exit", "syscall", "arch", "items", "argc", "argv", "paths", "nametype", "records", "serial", "incomplete",
    "rules", "saddr", "family", "address", "port", "proctitle",
];

/// What stands in the message, decoded, where the record itself has no such field.
pub fn describe(record: &Record, most: usize, fields: &mut BTreeMap<String, String>) {
    let Some(msg) = record.get("msg").filter(|msg| msg.quoted) else { return };
    for (name, value) in parse_fields(&msg.raw) {
        if fields.len() < most && !value.is_null() && !RESERVED.contains(&name.as_str()) {
            fields.entry(name.clone()).or_insert_with(|| value.text(&name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::parse_message;
    use super::*;

    fn described(msg: &str) -> BTreeMap<String, String> {
        let record = parse_message(1123, format!("audit(1.000:1): pid=7 uid=0 msg='{msg}'").as_bytes()).unwrap();
        let mut fields = BTreeMap::from([("pid".to_owned(), "7".to_owned())]);
        describe(&record, 512, &mut fields);
        fields
    }

    #[test]
    fn what_is_hexadecimal_is_decoded() {
        let fields = described(
            "cwd=2F746D702F6120622F cmd=636174202F6574632F736861646F77 terminal=pts/0 acct=28756E6B6E6F776E207573657229 \
             hostname=cafe exe=\"/usr/bin/sudo\" res=success",
        );
        for (name, value) in [
            ("cwd", "/tmp/a b/"),
            ("cmd", "cat /etc/shadow"),
            ("acct", "(unknown user)"),
            ("hostname", "cafe"),
            ("exe", "/usr/bin/sudo"),
            ("res", "success"),
        ] {
            assert_eq!(fields[name], value);
        }
        assert_eq!(described("cmd=\"6361\" cwd=(null)").get("cwd"), None);
        assert_eq!(described("cmd=\"6361\"")["cmd"], "6361", "in quotes it is what it says");
        assert_eq!(described("data=69640A")["data"], "id\n");
    }

    #[test]
    fn a_message_does_not_say_whose_it_is() {
        let fields =
            described("op=x pid=1 auid=0 key=\"foil-x\" rules=own incomplete=no records=SYSCALL acct=\"root\"");
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["acct", "op", "pid"]);
        assert_eq!(fields["pid"], "7");
    }

    #[test]
    fn words_before_a_name_are_passed_over() {
        let fields = described("op=adding user to group acct=\"it is\" res=failed");
        assert_eq!((fields["op"].as_str(), fields["acct"].as_str(), fields.len()), ("adding", "it is", 4));
    }
}
