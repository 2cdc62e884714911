//! What a guest or a server wrote, at most so much of it.

use crate::visible::push_visible;

/// A guest's text as it is, at most `limit` bytes of it: what later steps, checks and programs read. Whoever shows it escapes it.
pub fn clip(text: &str, limit: usize) -> String {
    let kept = text.get(..text.floor_char_boundary(limit.min(text.len()))).unwrap_or_default();
    if kept.len() < text.len() { format!("{kept}…") } else { kept.to_owned() }
}

/// A guest's text, made fit to be printed: control characters, and those that turn the direction of writing or show
/// nothing, are escaped; at most `limit` bytes of it.
pub fn cut(text: &str, limit: usize) -> String {
    let end = text.floor_char_boundary(limit.min(text.len()));
    let mut out = String::with_capacity(end);
    for c in text.get(..end).unwrap_or_default().chars() {
        push_visible(&mut out, c);
    }
    if end < text.len() {
        out.push('…');
    }
    out
}
