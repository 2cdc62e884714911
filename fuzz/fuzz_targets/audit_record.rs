//! Audit records: lines of a log, and messages with a type before them. What comes out must fit the contract.

#![no_main]

// Only the parser, which depends on nothing: building the whole host, engine and all, under a sanitizer takes half an hour.
#[allow(dead_code, unused_imports, reason = "the host uses more of it")]
#[path = "../../host/collector/src/audit/parse/mod.rs"]
mod parse;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut assembler = parse::Assembler::default();
    let mut events = Vec::new();
    for line in data.split(|b| *b == b'\n') {
        if let Some(record) = parse::parse_line(line) {
            events.extend(assembler.push(record, 0));
        }
        if let Some((kind, rest)) = line.split_first_chunk::<2>()
            && let Some(record) = parse::parse_message(u16::from_le_bytes(*kind), rest)
        {
            events.extend(assembler.push(record, 0));
        }
    }
    events.extend(assembler.flush(0, true));
    for (name, value) in events.iter().flat_map(|e| &e.fields) {
        assert!(name.len() <= 64 && value.len() <= parse::MAX_VALUE, "{name}: {}", value.len());
    }
});
