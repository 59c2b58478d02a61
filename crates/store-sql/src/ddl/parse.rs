//! From the words of a statement to what it does. What is not understood is [`Step::Unknown`], never left out.

use super::{Change, Column, DefaultValue, Reference, Step};

/// What a statement does, by its words.
pub(crate) fn steps(words: &[&str]) -> Vec<Step> {
    read(words).unwrap_or_else(|| vec![Step::Unknown])
}

fn read(words: &[&str]) -> Option<Vec<Step>> {
    let step = if let Some(rest) = after(words, &["CREATE", "TABLE"]) {
        let rest = after(rest, &["IF", "NOT", "EXISTS"]).unwrap_or(rest);
        let (table, rest) = name(rest)?;
        let (inner, _) = group(rest)?;
        let references = references(inner)?;
        Step::CreateTable { table, references }
    } else if let Some((unique, rest)) = index(words) {
        // Its name, unless the engine is to find one.
        let rest = after(rest, &["ON"]).or_else(|| after(name(rest)?.1, &["ON"]))?;
        let (table, rest) = name(rest)?;
        starts(rest, &["("]).then_some(())?;
        Step::CreateIndex { table, unique }
    } else if let Some(rest) = after(words, &["DROP", "TABLE"]) {
        Step::DropTable(alone(rest)?)
    } else if let Some(rest) = after(words, &["ALTER", "TABLE"]) {
        let (table, rest) = name(rest)?;
        let change = |action: &[&str]| {
            let table = table.clone();
            Some(Step::Alter {
                table,
                change: change(action)?,
            })
        };
        return split(rest).into_iter().map(change).collect();
    } else {
        let rest = after(words, &["INSERT", "INTO"])
            .or_else(|| after(words, &["DELETE", "FROM"]))
            .or_else(|| after(words, &["UPDATE"]))?;
        Step::Write(name(rest)?.0)
    };
    Some(vec![step])
}

fn index<'a>(words: &'a [&'a str]) -> Option<(bool, &'a [&'a str])> {
    let unique = after(words, &["CREATE", "UNIQUE", "INDEX"]).map(|rest| (true, rest));
    unique.or_else(|| after(words, &["CREATE", "INDEX"]).map(|rest| (false, rest)))
}

fn change(action: &[&str]) -> Option<Change> {
    if let Some(rest) = after(action, &["ADD", "COLUMN"]) {
        return Some(Change::AddColumn(column(name(rest)?.1)?));
    }
    if let Some(rest) = after(action, &["ADD", "CONSTRAINT"]) {
        return constraint(name(rest)?.1);
    }
    if after(action, &["ADD"]).is_some() {
        // A constraint without a name; a column without the word is not written here.
        return constraint(action.get(1..)?);
    }
    if let Some(rest) = after(action, &["ALTER", "COLUMN"]) {
        return of_column(name(rest)?.1);
    }
    let known = [
        (&["DROP", "COLUMN"][..], Change::DropColumn),
        (&["DROP", "CONSTRAINT"], Change::DropConstraint),
        (&["RENAME"], Change::Rename),
        (&["VALIDATE", "CONSTRAINT"], Change::Validate),
    ];
    let found = known.into_iter().find(|(words, _)| starts(action, words));
    found.map(|(_, change)| change)
}

fn of_column(rest: &[&str]) -> Option<Change> {
    let known = [
        (&["TYPE"][..], Change::Type),
        (&["SET", "DATA", "TYPE"], Change::Type),
        (&["SET", "NOT", "NULL"], Change::SetNotNull),
        (&["DROP", "NOT", "NULL"], Change::DropNotNull),
        (&["SET", "DEFAULT"], Change::Default),
        (&["DROP", "DEFAULT"], Change::Default),
    ];
    let found = known.into_iter().find(|(words, _)| starts(rest, words));
    found.map(|(_, change)| change)
}

fn constraint(words: &[&str]) -> Option<Change> {
    let validated = !has(words, &["NOT", "VALID"]);
    if starts(words, &["CHECK"]) {
        return Some(Change::AddCheck { validated });
    }
    if starts(words, &["UNIQUE", "("]) || starts(words, &["PRIMARY", "KEY", "("]) {
        return Some(Change::AddUnique);
    }
    after(words, &["FOREIGN", "KEY"])?;
    let reference = references(words)?.into_iter().next()?;
    Some(Change::AddForeignKey {
        reference,
        validated,
    })
}

/// A column's type and what follows.
fn column(words: &[&str]) -> Option<Column> {
    let generated =
        has(words, &["GENERATED"]) || has(words, &["SERIAL"]) || has(words, &["BIGSERIAL"]);
    let default = match at(words, &["DEFAULT"]) {
        _ if generated => DefaultValue::Computed,
        Some(place) => default_value(words.get(place + 1..)?),
        None => DefaultValue::None,
    };
    Some(Column {
        not_null: has(words, &["NOT", "NULL"]),
        default,
        unique: has(words, &["UNIQUE"]) || has(words, &["PRIMARY", "KEY"]),
        check: has(words, &["CHECK"]),
        reference: references(words)?.into_iter().next(),
    })
}

/// Ends where the next clause of the column begins.
fn default_value(words: &[&str]) -> DefaultValue {
    const CLAUSES: [&str; 7] = [
        "NOT",
        "CHECK",
        "REFERENCES",
        "UNIQUE",
        "PRIMARY",
        "CONSTRAINT",
        "COLLATE",
    ];
    let is_clause = |word: &&str| {
        CLAUSES
            .iter()
            .any(|clause| word.eq_ignore_ascii_case(clause))
    };
    let end = words.iter().position(is_clause);
    let value = words.get(..end.unwrap_or(words.len())).unwrap_or_default();
    let value = match value {
        ["-" | "+", rest @ ..] => rest,
        value => value,
    };
    // What a literal is cast to changes nothing.
    let (first, cast) = match value {
        [first] => (*first, true),
        [first, ":", ":", _] => (*first, true),
        [first, ..] => (*first, false),
        [] => return DefaultValue::Computed,
    };
    let is_literal = first.starts_with('\'')
        || first.starts_with(|c: char| c.is_ascii_digit())
        || ["NULL", "TRUE", "FALSE"]
            .iter()
            .any(|word| first.eq_ignore_ascii_case(word));
    let is_time = first.eq_ignore_ascii_case("CURRENT_TIMESTAMP")
        || (first.eq_ignore_ascii_case("now") && value.len() == 3);
    match (is_literal && cast, is_time) {
        (true, _) => DefaultValue::Constant,
        (_, true) => DefaultValue::OfTransaction,
        _ if matches!(value, [_, ".", _]) && is_literal => DefaultValue::Constant,
        _ => DefaultValue::Computed,
    }
}

/// All foreign keys among the words.
fn references(words: &[&str]) -> Option<Vec<Reference>> {
    let mut found = Vec::new();
    let mut rest = words;
    while let Some(place) = at(rest, &["REFERENCES"]) {
        let (table, after_name) = name(rest.get(place + 1..)?)?;
        rest = group(after_name).map_or(after_name, |(_, after)| after);
        let mut clause = rest.iter().take_while(|word| **word != ",");
        let mut lets_delete = false;
        while let Some(word) = clause.next() {
            if word.eq_ignore_ascii_case("DELETE") {
                let what = clause.next()?;
                lets_delete = ["CASCADE", "SET"]
                    .iter()
                    .any(|one| what.eq_ignore_ascii_case(one));
            }
        }
        found.push(Reference { table, lets_delete });
    }
    Some(found)
}

/// The name that the words begin with. One that names its schema is not understood.
fn name<'a>(words: &'a [&'a str]) -> Option<(String, &'a [&'a str])> {
    let (first, rest) = words.split_first()?;
    if rest.first() == Some(&".")
        || first.eq_ignore_ascii_case("IF")
        || first.eq_ignore_ascii_case("ONLY")
    {
        return None;
    }
    let name = match first
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
    {
        Some(name) => name.to_owned(),
        None => first.to_ascii_lowercase(),
    };
    let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    is_name.then_some((name, rest))
}

fn alone(words: &[&str]) -> Option<String> {
    let (name, rest) = name(words)?;
    rest.is_empty().then_some(name)
}

/// What is within the parentheses that the words begin with, and what comes after.
fn group<'a>(words: &'a [&'a str]) -> Option<(&'a [&'a str], &'a [&'a str])> {
    starts(words, &["("]).then_some(())?;
    let mut depth = 0_usize;
    for (place, word) in words.iter().enumerate() {
        match *word {
            "(" => depth += 1,
            ")" => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some((words.get(1..place)?, words.get(place + 1..)?));
        }
    }
    None
}

/// The actions of `ALTER TABLE`, between commas that are in no parentheses.
fn split<'a>(words: &'a [&'a str]) -> Vec<&'a [&'a str]> {
    let mut depth = 0_usize;
    let parts = words.split(move |word| {
        match *word {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        *word == "," && depth == 0
    });
    parts.collect()
}

fn starts(words: &[&str], with: &[&str]) -> bool {
    after(words, with).is_some()
}

fn after<'a>(words: &'a [&'a str], with: &[&str]) -> Option<&'a [&'a str]> {
    let (begin, rest) = words.split_at_checked(with.len())?;
    let same = begin
        .iter()
        .zip(with)
        .all(|(one, other)| one.eq_ignore_ascii_case(other));
    same.then_some(rest)
}

fn at(words: &[&str], sought: &[&str]) -> Option<usize> {
    (0..words.len()).find(|place| words.get(*place..).is_some_and(|rest| starts(rest, sought)))
}

fn has(words: &[&str], sought: &[&str]) -> bool {
    at(words, sought).is_some()
}
