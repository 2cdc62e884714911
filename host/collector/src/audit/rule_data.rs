//! An audit rule in the kernel's own form, `struct audit_rule_data`.

use super::super::netlink::u32_at;

/// `AUDIT_FILTER_USER`, `_TASK`, `_EXIT`: which list.
pub const LIST_TASK: u32 = 1;
/// The list that is gone through when a system call ends.
pub const LIST_EXIT: u32 = 4;
/// `AUDIT_FILTER_USER`: messages of user space.
const LIST_USER: u32 = 0;
/// `AUDIT_FILTER_EXCLUDE`: records that are left out.
const LIST_EXCLUDE: u32 = 5;
const PREPEND: u32 = 0x10;
/// `AUDIT_NEVER`.
pub const NEVER: u32 = 0;
/// `AUDIT_ALWAYS`.
pub const ALWAYS: u32 = 2;
/// `AUDIT_FILTERKEY`.
const KEY: u32 = 210;

// linux/audit.h: `AUDIT_MSGTYPE`, `AUDIT_INODE`, `AUDIT_WATCH`, `AUDIT_DIR`, `AUDIT_EXE`.
const MSGTYPE: u32 = 12;
const INODE: u32 = 102;
const WATCH: u32 = 105;
const DIR: u32 = 107;
const EXE: u32 = 112;

const FIELDS: usize = 64;
const HEAD: usize = 12;
const MASK: usize = HEAD;
const FIELD: usize = MASK + 4 * FIELDS;
const VALUE: usize = FIELD + 4 * FIELDS;
const OPERATOR: usize = VALUE + 4 * FIELDS;
const LENGTH: usize = OPERATOR + 4 * FIELDS;
/// Without the strings that follow.
const SIZE: usize = LENGTH + 4;
/// Most bytes of a rule: 64 fields, some of them paths.
const MAX: usize = SIZE + 64 * 4096;

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleData(Vec<u8>);

impl RuleData {
    /// A rule for the end of system calls. `fields`: field, operator, value; `calls`: their numbers.
    pub fn exit(fields: &[(u32, u32, u32)], calls: &[u32], key: &str) -> Option<Self> {
        if fields.len() >= FIELDS || key.len() > 256 {
            return None;
        }
        let mut mask = [0u32; FIELDS];
        for call in calls {
            *mask.get_mut(usize::try_from(call / 32).ok()?)? |= 1u32.checked_shl(call % 32)?;
        }
        let key_length = u32::try_from(key.len()).ok()?;
        let all: Vec<(u32, u32, u32)> =
            fields.iter().copied().chain([(KEY, super::rule_text::EQUAL, key_length)]).collect();
        let column = |pick: fn(&(u32, u32, u32)) -> u32| {
            let mut column: Vec<u32> = all.iter().map(pick).collect();
            column.resize(FIELDS, 0);
            column
        };
        let mut words = vec![LIST_EXIT, ALWAYS, u32::try_from(all.len()).ok()?];
        words.extend(mask);
        words.extend(column(|f| f.0));
        words.extend(column(|f| f.2));
        words.extend(column(|f| f.1));
        words.push(key_length);
        let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_ne_bytes()).collect();
        bytes.extend(key.as_bytes());
        Some(Self(bytes))
    }

    /// Reads one, from the kernel or from the journal; `None` where it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let strings = usize::try_from(u32_at(bytes, LENGTH)?).ok()?;
        let whole = SIZE.checked_add(strings)?;
        if bytes.len() < whole || whole > MAX {
            return None;
        }
        let rule = Self(bytes.get(..whole)?.to_vec());
        (rule.word(8) as usize <= FIELDS).then_some(rule)
    }

    /// As the kernel takes it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn word(&self, at: usize) -> u32 {
        u32_at(&self.0, at).unwrap_or(0)
    }

    /// Its list.
    pub fn list(&self) -> u32 {
        self.word(0) & !PREPEND
    }

    /// [`NEVER`] or [`ALWAYS`].
    pub fn action(&self) -> u32 {
        self.word(4)
    }

    /// It looks at an inode, as watches do (`-w`, `-F inode=`, `path=`, `dir=`, `exe=`): a copy of the file in an overlay is
    /// another one, and the rule does not fire there.
    pub fn looks_at_inodes(&self) -> bool {
        let count = usize::try_from(self.word(8)).unwrap_or(0).min(FIELDS);
        let field = |index: usize| self.word(FIELD.saturating_add(index.saturating_mul(4)));
        (0..count).map(field).any(|field| matches!(field, INODE | WATCH | DIR | EXE))
    }

    /// It may leave out messages of user space of this type (`-a never,user`, `-a always,exclude -F msgtype=…`).
    pub fn hides(&self, message: u16) -> bool {
        let count = usize::try_from(self.word(8)).unwrap_or(0).min(FIELDS);
        let word = |table: usize, index: usize| self.word(table.saturating_add(index.saturating_mul(4)));
        let another = |index: usize| {
            word(FIELD, index) == MSGTYPE
                && word(OPERATOR, index) == super::rule_text::EQUAL
                && word(VALUE, index) != u32::from(message)
        };
        let hides = self.list() == LIST_EXCLUDE || (self.list() == LIST_USER && self.action() == NEVER);
        hides && !(0..count).any(another)
    }

    /// Its key, where it has one.
    pub fn key(&self) -> Option<&str> {
        let mut offset = SIZE;
        for index in 0..usize::try_from(self.word(8)).ok()?.min(FIELDS) {
            let field = self.word(FIELD.checked_add(index.checked_mul(4)?)?);
            let length = usize::try_from(self.word(VALUE.checked_add(index.checked_mul(4)?)?)).ok()?;
            // Fields whose value is the length of a string: security contexts, watch, dir, exe, key.
            if matches!(field, 13..=17 | 19..=23 | WATCH | DIR | EXE | KEY) {
                let end = offset.checked_add(length)?;
                if field == KEY {
                    return std::str::from_utf8(self.0.get(offset..end)?).ok();
                }
                offset = end;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_survives_its_bytes() {
        let rule = RuleData::exit(&[(11, 0x4000_0000, 0xc000_003e)], &[59, 322], "foil-x").unwrap();
        assert_eq!(rule.bytes().len(), 1040 + 6);
        assert_eq!(RuleData::parse(rule.bytes()), Some(rule.clone()));
        assert_eq!((rule.key(), rule.list(), rule.action()), (Some("foil-x"), LIST_EXIT, ALWAYS));
        assert_eq!(rule.word(MASK + 4), 1 << 27);
        assert_eq!(rule.word(MASK + 40), 1 << 2);
    }

    #[test]
    fn watches_look_at_inodes() {
        let looks = |field| RuleData::exit(&[(11, 0x4000_0000, 0xc000_003e), (field, 0x4000_0000, 0)], &[59], "k");
        for (field, expected) in [(INODE, true), (WATCH, true), (DIR, true), (EXE, true), (1, false), (9, false)] {
            assert_eq!(looks(field).unwrap().looks_at_inodes(), expected, "{field}");
        }
    }

    #[test]
    fn rules_that_leave_messages_out_are_known() {
        let rule = |list: u32, action: u32, fields: &[(u32, u32, u32)]| {
            let mut bytes = RuleData::exit(fields, &[], "k").unwrap().bytes().to_vec();
            bytes[..4].copy_from_slice(&list.to_ne_bytes());
            bytes[4..8].copy_from_slice(&action.to_ne_bytes());
            RuleData::parse(&bytes).unwrap().hides(1005)
        };
        let of = |message| [(MSGTYPE, super::super::rule_text::EQUAL, message)];
        assert!(rule(LIST_EXCLUDE, ALWAYS, &of(1005)) && rule(LIST_USER, NEVER, &[]));
        assert!(!rule(LIST_EXCLUDE, ALWAYS, &of(1307)), "it leaves out something else");
        assert!(!rule(LIST_USER, ALWAYS, &[]) && !rule(LIST_EXIT, NEVER, &of(1005)));
    }

    #[test]
    fn garbage_is_no_rule() {
        let rule = RuleData::exit(&[], &[1], "k").unwrap();
        for cut in 0..rule.bytes().len() {
            assert_eq!(RuleData::parse(&rule.bytes()[..cut]), None);
        }
        let mut fields = rule.bytes().to_vec();
        fields[8..12].copy_from_slice(&65u32.to_ne_bytes());
        assert_eq!(RuleData::parse(&fields), None);
        let mut length = rule.bytes().to_vec();
        length[LENGTH..SIZE].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(RuleData::parse(&length), None);
        assert!(RuleData::exit(&[], &[2048], "k").is_none());
    }
}
