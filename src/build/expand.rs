//! Variables in instructions: `$name`, `${name}` and what may stand behind a name in braces
//! (Dockerfile reference, "Environment replacement"; POSIX shell, "Parameter Expansion").
//!
//! The same pass takes quotes and escapes away, so a word is read once: in single quotes everything
//! stands for itself, in double quotes only a quote, `$` and the escape character can be escaped,
//! outside anything can.

use super::glob;

/// Where names are looked up.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is wrong with a word, in words.
pub type Problem = String;

/// A word with its variables replaced, its quotes and escapes gone.
pub fn word(text: &str, escape: char, variables: Lookup<'_>) -> Result<String, Problem> {
    let mut reader = Reader { chars: text.chars().collect(), at: 0, escape, variables, out: String::new(), marks: Vec::new() };
    reader.until(None)?;
    Ok(reader.out)
}

/// As [`word`], then cut at white space that no quotes hold: one argument may become several.
pub fn words(text: &str, escape: char, variables: Lookup<'_>) -> Result<Vec<String>, Problem> {
    let mut reader = Reader { chars: text.chars().collect(), at: 0, escape, variables, out: String::new(), marks: Vec::new() };
    reader.until(None)?;
    let mut found = vec![String::new()];
    let mut start = 0;
    for mark in reader.marks.iter().copied().chain([reader.out.len()]) {
        found.last_mut().iter_mut().for_each(|w| w.push_str(&reader.out[start..mark]));
        start = mark + reader.out[mark..].chars().next().map_or(0, char::len_utf8);
        found.push(String::new());
    }
    found.retain(|w| !w.is_empty());
    Ok(found)
}

/// The text of a here-document: variables are replaced, quotes stay.
pub fn document(text: &str, escape: char, variables: Lookup<'_>) -> Result<String, Problem> {
    let mut reader = Reader { chars: text.chars().collect(), at: 0, escape, variables, out: String::new(), marks: Vec::new() };
    while let Some(c) = reader.next() {
        match c {
            '$' => {
                let value = reader.dollar()?;
                reader.out.push_str(&value);
            }
            _ if c == escape && matches!(reader.peek(), Some('$')) => {
                reader.at += 1;
                reader.out.push('$');
            }
            _ => reader.out.push(c),
        }
    }
    Ok(reader.out)
}

struct Reader<'a> {
    chars: Vec<char>,
    at: usize,
    escape: char,
    variables: Lookup<'a>,
    out: String,
    /// White space in `out` that separates words.
    marks: Vec<usize>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    /// Reads up to `end`, or to the end of all.
    fn until(&mut self, end: Option<char>) -> Result<(), Problem> {
        while let Some(c) = self.next() {
            match c {
                _ if Some(c) == end => return Ok(()),
                '\'' => self.single()?,
                '"' => self.double()?,
                '$' => {
                    let value = self.dollar()?;
                    self.put(&value);
                }
                _ if c == self.escape => {
                    // At the very end it stands for itself.
                    let next = self.next().unwrap_or(c);
                    self.out.push(next);
                }
                _ => self.put(&c.to_string()),
            }
        }
        if end.is_some() { Err("unexpected end of statement while looking for matching }".into()) } else { Ok(()) }
    }

    /// Adds what no quotes protect.
    fn put(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() {
                self.marks.push(self.out.len());
            }
            self.out.push(c);
        }
    }

    fn single(&mut self) -> Result<(), Problem> {
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(c) => self.out.push(c),
                None => return Err("unexpected end of statement while looking for matching single-quote".into()),
            }
        }
    }

    fn double(&mut self) -> Result<(), Problem> {
        loop {
            match self.next() {
                Some('"') => return Ok(()),
                Some('$') => {
                    let value = self.dollar()?;
                    self.out.push_str(&value);
                }
                Some(c) if c == self.escape => match self.next() {
                    Some(next) if next == '"' || next == '$' || next == self.escape => self.out.push(next),
                    Some(next) => self.out.extend([c, next]),
                    None => return Err("unexpected end of statement while looking for matching double-quote".into()),
                },
                Some(c) => self.out.push(c),
                None => return Err("unexpected end of statement while looking for matching double-quote".into()),
            }
        }
    }

    /// What stands behind a `$`.
    fn dollar(&mut self) -> Result<String, Problem> {
        if self.peek() != Some('{') {
            let name = self.name();
            return Ok(if name.is_empty() { "$".into() } else { (self.variables)(&name).unwrap_or_default() });
        }
        self.at += 1;
        let name = self.name();
        if name.is_empty() {
            return Err(match self.peek() {
                Some('}') => "syntax error: empty variable name: \"${}\" holds none".into(),
                Some(c) => format!("syntax error: a variable's name cannot begin with {c:?}"),
                None => "syntax error: missing '}'".into(),
            });
        }
        let value = (self.variables)(&name);
        match self.next() {
            Some('}') => Ok(value.unwrap_or_default()),
            Some(':') => match self.next() {
                Some(c @ ('-' | '+' | '?')) => {
                    let set = value.filter(|v| !v.is_empty());
                    self.choose(c, &name, set)
                }
                other => Err(format!("unsupported modifier ({}) in substitution", other.map_or(":".into(), |c| format!(":{c}")))),
            },
            Some(c @ ('-' | '+' | '?')) => self.choose(c, &name, value),
            Some(c @ ('#' | '%')) => {
                let longest = self.peek() == Some(c);
                self.at += usize::from(longest);
                let pattern = self.inner()?;
                let value = value.unwrap_or_default();
                Ok(if c == '#' { glob::without_prefix(&value, &pattern, longest) } else { glob::without_suffix(&value, &pattern, longest) })
            }
            Some('/') => self.replace(value.unwrap_or_default()),
            Some(c) => Err(format!("unsupported modifier ({c}) in substitution")),
            None => Err("syntax error: missing '}'".into()),
        }
    }

    fn choose(&mut self, kind: char, name: &str, value: Option<String>) -> Result<String, Problem> {
        let other = self.inner()?;
        match (kind, value) {
            ('-', value) => Ok(value.unwrap_or(other)),
            ('+', Some(_)) => Ok(other),
            ('+', None) => Ok(String::new()),
            (_, Some(value)) => Ok(value),
            (_, None) if other.is_empty() => Err(format!("{name}: is not allowed to be unset")),
            (_, None) => Err(format!("{name}: {other}")),
        }
    }

    fn replace(&mut self, value: String) -> Result<String, Problem> {
        let all = self.peek() == Some('/');
        self.at += usize::from(all);
        let both = self.raw()?;
        let (pattern, with) = both.split_once('/').unwrap_or((&both, ""));
        let (pattern, with) = (word(pattern, self.escape, self.variables)?, word(with, self.escape, self.variables)?);
        Ok(glob::replaced(&value, &pattern, &with, all))
    }

    /// The word up to the closing brace, itself expanded.
    fn inner(&mut self) -> Result<String, Problem> {
        let raw = self.raw()?;
        word(&raw, self.escape, self.variables)
    }

    /// The text up to the brace that closes this one.
    fn raw(&mut self) -> Result<String, Problem> {
        let (mut depth, mut text, mut quote) = (0, String::new(), None);
        while let Some(c) = self.next() {
            match c {
                _ if c == self.escape => {
                    text.push(c);
                    text.extend(self.next());
                    continue;
                }
                '\'' | '"' if quote.is_none() => quote = Some(c),
                _ if quote == Some(c) => quote = None,
                '{' if quote.is_none() && text.ends_with('$') => depth += 1,
                '}' if quote.is_none() && depth == 0 => return Ok(text),
                '}' if quote.is_none() => depth -= 1,
                _ => {}
            }
            text.push(c);
        }
        Err("syntax error: missing '}'".into())
    }

    /// A name: letters, digits and `_`; or one of the shell's special ones.
    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
            // A digit first is a name of its own.
            if name.is_empty() && c.is_ascii_digit() {
                self.at += 1;
                return c.to_string();
            }
            name.push(c);
            self.at += 1;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::{document, word, words};
    use proptest::prelude::*;

    fn look(name: &str) -> Option<String> {
        match name {
            "a" => Some("one two".into()),
            "empty" => Some(String::new()),
            "path" => Some("/usr/lib/python3.11".into()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_replaced_as_the_reference_says() {
        for (text, expected) in [
            ("$a", "one two"),
            ("${a}x", "one twox"),
            ("$ax", ""),
            ("\\$a", "$a"),
            ("'$a'", "$a"),
            ("\"$a\\\"\"", "one two\""),
            ("\"\\n\"", "\\n"),
            ("\\n", "n"),
            ("${no:-d}", "d"),
            ("${empty:-d}", "d"),
            ("${empty-d}", ""),
            ("${no-d}", "d"),
            ("${a:+d}", "d"),
            ("${empty:+d}", ""),
            ("${empty+d}", "d"),
            ("${no:-${a}}", "one two"),
            ("${path#*/}", "usr/lib/python3.11"),
            ("${path##*/}", "python3.11"),
            ("${path%.*}", "/usr/lib/python3"),
            ("${path%%p*}", "/usr/lib/"),
            ("${path/lib/LIB}", "/usr/LIB/python3.11"),
            ("${path//o/0}", "/usr/lib/pyth0n3.11"),
            ("$", "$"),
            ("$%", "$%"),
            ("a\\", "a\\"),
        ] {
            assert_eq!(word(text, '\\', &look).as_deref(), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("${no:?is needed}", "no: is needed"),
            ("${no?}", "no: is not allowed to be unset"),
            ("${a", "syntax error: missing '}'"),
            ("${a:x}", "unsupported modifier (:x) in substitution"),
            ("'a", "unexpected end of statement while looking for matching single-quote"),
        ] {
            assert_eq!(word(text, '\\', &look), Err(expected.into()), "{text}");
        }
    }

    #[test]
    fn one_word_becomes_several_where_no_quotes_hold_it() {
        assert_eq!(words("x$a", '\\', &look).as_deref(), Ok(&["xone".to_owned(), "two".to_owned()][..]));
        assert_eq!(words("\"$a\" b", '\\', &look).as_deref(), Ok(&["one two".to_owned(), "b".to_owned()][..]));
    }

    #[test]
    fn a_document_keeps_its_quotes() {
        assert_eq!(document("'$a' \"\\$a\" \\n", '\\', &look).as_deref(), Ok("'one two' \"$a\" \\n"));
    }

    proptest! {
        #[test]
        fn expansion_never_panics(text in "\\PC*", tricky in "[$\\{}:#%/'\"\\\\a-c?+-]*") {
            let _ = word(&text, '\\', &look);
            let _ = words(&tricky, '\\', &look);
            let _ = word(&tricky, '`', &look);
            let _ = document(&tricky, '\\', &look);
        }
    }
}
