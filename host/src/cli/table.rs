//! Tables for people.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};

/// A table without lines. It fits the terminal; where there is none, rows are left whole, for `grep` and `awk`.
pub(super) fn table<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.into_iter().map(str::to_uppercase));
    if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdout()) {
        table.set_width(size.ws_col);
    }
    // The first column says which: an id in two pieces could not be copied into another command.
    if let Some(column) = table.column_mut(0) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}
