//! Atomic Red Team's YAML, and what is read off the scripts in it.

#![no_main]

use foil_atomic::document;
use foil_atomic::judge::judge;
use foil_atomic::{Script, substitute};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A module's file that was accepted is in its one form.
    if let Ok(script) = Script::from_json(text) {
        assert_eq!(script.to_json().expect("JSON"), text.trim_end_matches('\n'));
    }
    let document = match document::parse(text) {
        Ok(document) => document,
        Err(mistake) => {
            assert!(mistake.line > 0 && mistake.column > 0 && !mistake.what.is_empty(), "{mistake}");
            return;
        }
    };
    for script in document.tests.iter().flatten().filter_map(|test| test.script(&document, "/atomics").ok()) {
        let json = script.to_json().expect("JSON");
        assert_eq!(Script::from_json(&json).as_ref(), Ok(&script));
        let judgement = judge(&script);
        assert!(judgement.programs.iter().all(|program| !program.is_empty()));
        // What names nothing is put in nowhere.
        let plain = script.command.replace("PathToAtomicsFolder", "");
        assert_eq!(substitute(&plain, &BTreeMap::new(), "/atomics"), plain);
    }
});
