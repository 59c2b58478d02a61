//! What can be wrong with the settings, in words.

use std::fmt;

use serde::Serialize;

use super::sources::Origin;

/// One thing that is wrong. The server does not start with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The setting, or the unknown name.
    pub setting: Option<String>,
    /// Where the value, or the faulty line, stands.
    pub from: Option<Origin>,
    /// What is wrong, as the rest of a sentence that begins with the setting.
    pub problem: String,
    /// The value, escaped. Never that of a secret.
    pub value: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Something that works, and that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The setting.
    pub setting: String,
    /// Where its value stands.
    pub from: Origin,
    /// What to know, as the rest of a sentence that begins with the setting.
    pub warning: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.setting, &self.from) {
            (Some(setting), Some(from)) => write!(f, "`{setting}` ({from}) ")?,
            (Some(setting), None) => write!(f, "`{setting}` ")?,
            (None, Some(from)) => write!(f, "{from} ")?,
            (None, None) => {}
        }
        f.write_str(&self.problem)?;
        if let Some(value) = &self.value {
            write!(f, ": `{value}`")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}) {}", self.setting, self.from, self.warning)
    }
}

/// Makes text that somebody else wrote safe to print: no control or direction characters, no back-ticks that would end
/// the quotation, and not longer than a line.
pub(crate) fn escaped(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST {
            shown.push('…');
            break;
        }
        match c {
            '`' => shown.push_str("\\u{60}"),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(c.escape_unicode());
            }
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn escaped_text_stays_on_its_line() {
        assert_eq!(escaped("a\nb\u{1b}[31m`"), "a\\nb\\u{1b}[31m\\u{60}");
        assert_eq!(escaped("\u{202e}x"), "\\u{202e}x");
        assert_eq!(escaped(&"x".repeat(200)).chars().count(), 81);
    }
}
