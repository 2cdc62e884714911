//! Programs that run other programs.

use super::shell::{Command, is_assignment, is_shell};

/// Programs that run what follows them: their options that take a value, and how many words of their own they have.
const WRAPPERS: [(&str, &str, usize); 21] = [
    ("sudo", "-u -g -h -p -C -D -R -T -U -r -t", 0),
    ("doas", "-u -C", 0),
    ("env", "-u -C", 0),
    ("nohup", "", 0),
    ("setsid", "", 0),
    ("exec", "-a", 0),
    ("command", "", 0),
    ("builtin", "", 0),
    ("time", "-f -o", 0),
    ("nice", "-n", 0),
    ("ionice", "-c -n", 0),
    ("stdbuf", "-i -o -e", 0),
    ("timeout", "-s -k", 1),
    ("xargs", "-I -n -P -d -E -L -s -a", 0),
    ("chroot", "", 1),
    ("unshare", "", 0),
    ("strace", "-o -e -p -s", 0),
    ("flock", "-w", 1),
    ("busybox", "", 0),
    ("sshpass", "-p -f -e -P", 0),
    ("watch", "-n", 0),
];

/// How many of them are taken off; nobody writes more.
const MOST: usize = 16;

/// Takes off the programs that run this one, and returns the scripts that it is handed as words.
pub(super) fn unwrap(command: &mut Command) -> Vec<String> {
    while let Some((_, values, own)) =
        WRAPPERS.iter().find(|(name, _, _)| *name == command.program() && command.under.len() < MOST)
    {
        let mut words = command.words.iter().enumerate().skip(1);
        let (mut own, mut from) = (*own, None);
        while let Some((at, word)) = words.next() {
            // `command -v` only asks.
            if command.program() == "command" && matches!(word.as_str(), "-v" | "-V") {
                break;
            } else if word.starts_with('-') {
                if values.split(' ').any(|option| option == word) {
                    words.next();
                }
            } else if own > 0 {
                own -= 1;
            } else if !is_assignment(word) {
                from = Some(at);
                break;
            }
        }
        let Some(from) = from else { break };
        let wrapper: Vec<String> = command.words.drain(..from).collect();
        command.under.extend(wrapper.into_iter().next());
    }
    let words = command.arguments();
    let after = |option: &dyn Fn(&str) -> bool| words.iter().skip_while(|word| !option(word)).nth(1).cloned();
    match command.program() {
        shell if is_shell(shell) => {
            after(&|word| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c')).into_iter().collect()
        }
        "su" | "runuser" | "script" => after(&|word| matches!(word, "-c" | "--command")).into_iter().collect(),
        // A line of a script that is written to be run.
        "echo" | "printf" if command.writes_script() => vec![words.join(" ")],
        "eval" => vec![words.join(" ")],
        "trap" => words.first().cloned().into_iter().collect(),
        "find" => words
            .split(|word| matches!(word.as_str(), "-exec" | "-execdir" | "-ok"))
            .skip(1)
            .map(|exec| exec.split(|word| matches!(word.as_str(), ";" | "+")).next().unwrap_or_default())
            .map(quote)
            .collect(),
        _ => Vec::new(),
    }
}

/// Words as a script that has just them.
fn quote(words: &[String]) -> String {
    words.iter().map(|word| format!("'{}' ", word.replace('\'', "'\\''"))).collect()
}
