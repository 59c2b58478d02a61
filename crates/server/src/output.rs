//! Tables for people, JSON for programs.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::Value;

/// Writes one JSON value, indented.
pub(crate) fn json(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    writeln!(out, "{value:#}")
}

/// Writes columns, as wide as they need to be. What users chose is escaped: a name must not be
/// able to colour an operator's terminal.
pub(crate) fn table(
    out: &mut dyn Write,
    headings: &[&str],
    rows: &[Vec<String>],
) -> io::Result<()> {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| printable(cell)).collect())
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let longest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        longest.max(headings.get(column).map_or(0, |heading| heading.len()))
    };
    let line = |cells: Vec<&str>| {
        let cells = cells.iter().enumerate();
        let padded = cells.map(|(column, cell)| format!("{cell:<0$}", width(column)));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    writeln!(out, "{}", line(headings.to_vec()))?;
    for row in &rows {
        writeln!(out, "{}", line(row.iter().map(String::as_str).collect()))?;
    }
    Ok(())
}

/// Writes names and values, one a line.
pub(crate) fn fields(out: &mut dyn Write, fields: &[(&str, String)]) -> io::Result<()> {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields {
        writeln!(out, "{name:width$}  {}", printable(value))?;
    }
    Ok(())
}

/// A time for people, to the second.
pub(crate) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A time that may not be there.
pub(crate) fn optional_time(at: Option<Timestamp>) -> String {
    at.map_or("-".to_owned(), time)
}

fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c.is_control() {
            true => c.escape_default().collect::<Vec<_>>(),
            false => vec![c],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_escapes() {
        let mut out = Vec::new();
        let rows = [
            vec!["a".to_owned(), "\u{1b}[31mred\n".to_owned()],
            vec!["long".to_owned(), "b".to_owned()],
        ];
        table(&mut out, &["x", "y"], &rows).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "x     y\na     \\u{1b}[31mred\\n\nlong  b\n");
    }
}
