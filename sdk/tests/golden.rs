//! The contract's printed text, in full. A change of the contract shows as a change of this one file, with everything that
//! was left out of or moved between the sources resolved; the golden text is what a release of `wit/` is compared with.

use std::path::Path;
use wit_component::WitPrinter;
use wit_parser::Resolve;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/golden/foil-host.wit.txt");

#[test]
fn the_contract_is_what_it_was() {
    let mut resolve = Resolve::new();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let (package, _) = resolve.push_dir(&wit).expect("wit/ parses");
    let mut printer = WitPrinter::default();
    printer.print(&resolve, package, &[]).expect("wit/ can be printed");
    let printed = format!("{}\n", printer.output.to_string().trim_end());

    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(GOLDEN, &printed).expect("the golden text can be written");
        return;
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    let differs = golden.lines().zip(printed.lines()).position(|(old, new)| old != new);
    let line = differs.unwrap_or_else(|| golden.lines().count().min(printed.lines().count())) + 1;
    assert!(
        golden == printed,
        "the contract in wit/ differs from wit/golden/foil-host.wit.txt, first in line {line} (was: {:?}, is: {:?}). If the \
         change is meant, raise the package's version, run `UPDATE_GOLDEN=1 cargo test -p foil-sdk --test golden` \
         and commit the golden text with it.",
        golden.lines().nth(line - 1).unwrap_or_default(),
        printed.lines().nth(line - 1).unwrap_or_default(),
    );
}
