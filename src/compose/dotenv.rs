//! Files of variables: `.env` beside the compose file, `--env-file`, and a service's `env_file`.
//!
//! A line is `NAME=value`, or `NAME: value`, maybe after `export`; `#` begins a comment. In single quotes a value is as it
//! stands; in double quotes and in none it may hold variables, of the lines above or of the environment,
//! and in double quotes also `\n`, `\t`, `\"` and `\\`. A quoted value may go over several lines. A name
//! alone takes the environment's value, if it has one.

use super::interpolate::{Problem, Variables};
use std::collections::BTreeMap;

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// Reads a file's text. `outer` is the environment; of two lines of one name the later counts.
pub fn read(text: &str, outer: &dyn Fn(&str) -> Option<String>) -> Result<BTreeMap<String, String>, BadLine> {
    let mut found = BTreeMap::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let end = rest.find('\n').map_or(rest.len(), |n| n + 1);
        let first = rest[..end].trim();
        let entry = first.strip_prefix("export").filter(|e| e.starts_with([' ', '\t'])).map_or(first, str::trim_start);
        if entry.is_empty() || entry.starts_with('#') {
            (rest, line) = (&rest[end..], line + 1);
            continue;
        }
        let bad = |problem: String| BadLine { line, problem };
        let stop = entry.find(['=', ':', ' ', '\t', '#']).unwrap_or(entry.len());
        let name = &entry[..stop];
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) {
            return Err(bad(format!("{:?} is no variable's name", if name.is_empty() { entry } else { name })));
        }
        let behind = entry[stop..].trim_start();
        if behind.is_empty() || behind.starts_with('#') {
            found.extend(outer(name).map(|value| (name.to_owned(), value)));
            (rest, line) = (&rest[end..], line + 1);
            continue;
        }
        let Some(value) = behind.strip_prefix(['=', ':']) else { return Err(bad(format!("behind {name} there is no =, but {behind:?}"))) };
        // Where the value begins in what is left: it may go on below.
        let at = value.as_ptr() as usize - rest.as_ptr() as usize;
        let own = found.clone();
        let lookup = |name: &str| outer(name).or_else(|| own.get(name).cloned());
        let (value, length) = one(&rest[at..], &lookup).map_err(bad)?;
        found.insert(name.to_owned(), value);
        line += rest[..at + length].matches('\n').count().max(1);
        rest = &rest[at + length..];
    }
    Ok(found)
}

/// The value at the beginning of a text, and how much of it that took, its line's end included.
fn one(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<(String, usize), String> {
    let blank = text.len() - text.trim_start_matches([' ', '\t']).len();
    let start = &text[blank..];
    let line_end = |from: usize| text[from..].find('\n').map_or(text.len(), |n| from + n + 1);
    let expand = |value: &str| Variables::new(lookup).expand(value).map_err(|problem| said(&problem));
    let quote = start.chars().next().filter(|c| matches!(c, '"' | '\''));
    let Some(quote) = quote else {
        let end = line_end(0);
        let raw = text[..end].trim();
        let comment = raw.find(" #").or_else(|| raw.find("\t#")).or(raw.starts_with('#').then_some(0));
        return Ok((expand(raw[..comment.unwrap_or(raw.len())].trim_end())?, end));
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in start.char_indices().skip(1) {
        if escaped {
            // A dollar stays escaped until the variables are filled in.
            value.push_str(match c {
                'n' => "\n",
                't' => "\t",
                'r' => "\r",
                '$' => "$$",
                '"' | '\\' => &start[at..=at],
                _ => &start[at - 1..at + c.len_utf8()],
            });
            escaped = false;
        } else if c == '\\' && quote == '"' {
            escaped = true;
        } else if c == quote {
            let end = line_end(blank + at + 1);
            let behind = text[blank + at + 1..end].trim();
            if !behind.is_empty() && !behind.starts_with('#') {
                return Err(format!("behind the closing quote stands {behind:?}"));
            }
            return Ok((if quote == '"' { expand(&value)? } else { value }, end));
        } else {
            value.push(c);
        }
    }
    Err(format!("the quote {quote} is not closed"))
}

/// A problem with variables, in words.
pub fn said(problem: &Problem) -> String {
    match problem {
        Problem::Syntax => "a $ in it begins no variable".into(),
        Problem::Required { name, message } if message.is_empty() => format!("required variable {name} is missing a value"),
        Problem::Required { name, message } => format!("required variable {name} is missing a value: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outer(name: &str) -> Option<String> {
        (name == "HOST").then(|| "here".to_owned())
    }

    fn value(text: &str) -> String {
        read(text, &outer).unwrap_or_else(|bad| panic!("{text:?}: {bad:?}")).remove("A").unwrap_or_else(|| "(none)".into())
    }

    #[test]
    fn lines_are_read_as_compose_reads_them() {
        for (text, expected) in [
            ("A=1", "1"), ("export A=1", "1"), ("A = 1 ", "1"), ("A=", ""), ("A=one two # why", "one two"), ("A=one#two", "one#two"), ("A='$HOST # x' # y", "$HOST # x"),
            ("A=\"a\\nb \\\"c\\\" \\$HOST\"", "a\nb \"c\" $HOST"), ("A=$HOST/x", "here/x"), ("B=2\nA=${B}${C:-3}", "23"), ("A=1\nA=2", "2"), ("A='one\ntwo'\nB=1", "one\ntwo"),
            ("HOST\nA", "(none)"), ("A: b=c", "b=c"), ("export\tA=1:2", "1:2"), ("exported=1\nA=2", "2"), ("\u{feff}# x\n\nA=1\r\n", "1"), ("A=a=b", "a=b"),
        ] {
            assert_eq!(value(text), expected, "{text:?}");
        }
        assert_eq!(read("HOST", &outer).unwrap()["HOST"], "here");
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for (text, line) in [("A=1\n2B=1", 2), ("=1", 1), ("# x\nA 1", 2), ("A=1\nB='x", 2), ("A=\"x\ny\"\nB=\"z\" w", 3), ("A=${", 1)] {
            assert_eq!(read(text, &outer).unwrap_err().line, line, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([A-Z =\"'#$\\\\\n]|é){0,30}") {
            let _ = read(&text, &outer);
        }

        #[test]
        fn what_is_in_single_quotes_is_taken_as_it_is(text in "[^']{0,30}") {
            prop_assert_eq!(&read(&format!("A='{text}'"), &outer).unwrap()["A"], &text);
        }
    }
}
