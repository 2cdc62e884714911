//! How an event is told: one line of a bounded length.

use crate::query::paths;
use foil_sdk::Sighting;
use foil_sdk::events::Event;

/// The longest line, in bytes.
const LINE: usize = 300;

pub(crate) fn sighting(event: &Event) -> Sighting {
    Sighting::of(event, line(event))
}

/// Such as `execve /usr/bin/uname -a by pid 123 (uid 0)` or `openat /etc/shadow by cat, pid 124 (uid 0)`.
fn line(event: &Event) -> String {
    let field = |name: &str| event.field(name).filter(|value| !value.is_empty());
    let starts = event.kind.starts_with("execve");
    let path = paths(event).next();
    let mut line = event.kind.clone();
    let object = if starts { field("exe").or(path.as_deref()) } else { path.as_deref() };
    if let Some(object) = object {
        line.extend([" ", object]);
    }
    if starts {
        // The program's own word for itself says less than its path, which is there already.
        if let Some((_, arguments)) = field("argv").and_then(|argv| argv.split_once(' ')) {
            line.extend([" ", arguments]);
        }
    }
    line.push_str(" by ");
    if let Some(comm) = field("comm").filter(|_| !starts) {
        line.extend([comm, ", "]);
    }
    line.extend(["pid ", field("pid").unwrap_or("?"), " (uid ", field("uid").unwrap_or("?"), ")"]);
    if field("success") == Some("no") {
        line.push_str(match field("exit") {
            Some("-1" | "-13") => ", refused with ",
            // EINPROGRESS: a connection that does not wait.
            Some("-115") => ", not finished when it returned: ",
            _ => ", failed with ",
        });
        line.push_str(field("exit").unwrap_or("an error"));
    }
    cut(&mut line, LINE);
    line
}

/// Cuts a text to at most `most` bytes, at a character's border.
fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most.saturating_sub('…'.len_utf8())));
        text.push('…');
    }
}
