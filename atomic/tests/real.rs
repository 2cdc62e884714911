//! Atomic Red Team's own tests, from the folder that `FOIL_ATOMICS` names.
#![cfg(feature = "import")]

use foil_atomic::{Script, document, judge};
use std::path::Path;

/// Every Linux test of the folder, as a script. With `FOIL_ATOMICS_SHOW` what is judged of each is printed.
#[test]
fn every_file_is_read_without_a_mistake() {
    let Some(folder) = std::env::var_os("FOIL_ATOMICS") else {
        eprintln!("skipped: FOIL_ATOMICS names no folder of Atomic Red Team's tests");
        return;
    };
    let show = std::env::var_os("FOIL_ATOMICS_SHOW").is_some();
    let (mut files, mut tests, mut scripts, mut judged) = (0, 0, 0, [0; 4]);
    let mut folders: Vec<_> =
        Path::new(&folder).read_dir().expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    for technique in folders {
        let name = technique.file_name().expect("a name").to_string_lossy().into_owned();
        let Ok(text) = std::fs::read_to_string(technique.join(format!("{name}.yaml"))) else { continue };
        files += 1;
        let document = document::parse(&text).unwrap_or_else(|wrong| panic!("{name}:{wrong}"));
        assert_eq!(document.technique, name);
        for test in &document.tests {
            let test = test.as_ref().unwrap_or_else(|wrong| panic!("{name}:{wrong}"));
            assert_eq!(test.warnings, [], "{name}");
            tests += 1;
            let Ok(script) = test.script(&document, "/opt/atomics") else { continue };
            scripts += 1;
            let json = script.to_json().expect("JSON");
            assert_eq!(Script::from_json(&json), Ok(script.clone()), "{name}");
            let found = judge::judge(&script);
            let parts = [&found.destructive, &found.beyond_overlay, &found.fetches, &found.obtaining_fetches];
            for (count, part) in judged.iter_mut().zip(parts) {
                *count += usize::from(part.is_some());
            }
            if show {
                println!("{}: {found:#?}", script.id());
            }
        }
    }
    println!(
        "{files} files, {tests} tests, {scripts} for Linux: {judged:?} destructive, beyond, fetch, obtaining fetches"
    );
    assert!(files > 0 && scripts > 0);
}
