//! Commands that the user is told to type: quoted for a shell, so that each works when it is pasted.

use crate::visible;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The state folder that this process was given on its command line.
static STATE: OnceLock<PathBuf> = OnceLock::new();

/// Remembers the state folder that hints have to name: one that was given on the command line, and that a shell would therefore not
/// know of.
pub fn begin(state: Option<&Path>) {
    let known = std::env::var_os("FOIL_STATE");
    if let Some(state) = state.filter(|state| known.as_deref() != Some(state.as_os_str())) {
        _ = STATE.set(state.to_owned());
    }
}

/// Returns `foil` with these arguments. What a terminal would obey or hide is escaped: a file of such a name has to be named by hand.
pub fn foil<'a>(arguments: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = std::iter::once("foil".to_owned()).chain(arguments.into_iter().map(quote)).collect();
    visible(&words.join(" "), usize::MAX)
}

/// The same for a command that looks into the state folder: cleanup, journal, abort.
pub fn of_state<'a>(arguments: impl IntoIterator<Item = &'a str>) -> String {
    let state = STATE.get().map(|state| format!(" --state {}", visible(&quote(&state.to_string_lossy()), usize::MAX)));
    foil(arguments) + &state.unwrap_or_default()
}

/// A word as a shell takes it. In quotes that people read easily, where those do.
pub fn quote(word: &str) -> String {
    let quoted = shell_words::quote(word);
    let plain = |c: char| !matches!(c, '"' | '$' | '`' | '\\' | '!') && !c.is_control();
    if quoted != word && word.chars().all(plain) { format!("\"{word}\"") } else { quoted.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_back_what_was_quoted() {
        for words in [["grant", "linux.x"], ["a b", "c'd"], ["$(id)", "`id`"], ["", "\\"], ["*", "a\"b"], ["~", "!x"]] {
            let taken = shell_words::split(&foil(words)).expect("balanced");
            assert_eq!(taken, ["foil", words[0], words[1]]);
        }
        assert_eq!(foil(["grant", "--reason", "say why"]), "foil grant --reason \"say why\"");
        assert_eq!(foil(["show", "/tmp/x.wasm"]), "foil show /tmp/x.wasm");
    }
}
