//! Variables in a compose file: `$NAME`, `${NAME}` and its six forms (Compose specification, "Interpolation").
//!
//! | written | set | set and empty | not set |
//! |---|---|---|---|
//! | `$V`, `${V}` | its value | nothing | nothing, with a warning |
//! | `${V:-d}` | its value | d | d |
//! | `${V-d}` | its value | nothing | d |
//! | `${V:?m}` | its value | error m | error m |
//! | `${V?m}` | its value | nothing | error m |
//! | `${V:+r}` | r | nothing | nothing |
//! | `${V+r}` | r | r | nothing |
//!
//! `$$` is a dollar. What stands after an operator may hold variables itself. Pure: a value comes from
//! the function that is given. See it live: `skiff compose config`.

use std::collections::BTreeSet;

/// Why a text could not be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A `$` that begins nothing.
    Syntax,
    /// A variable that must be there is not.
    Required {
        /// Its name.
        name: String,
        /// What the file says about it; maybe nothing.
        message: String,
    },
}

/// Where values come from, and which were asked for in vain.
pub struct Variables<'a> {
    /// A variable's value.
    pub lookup: &'a dyn Fn(&str) -> Option<String>,
    /// Those that were not set, and for which nothing else was given.
    pub unset: BTreeSet<String>,
}

impl<'a> Variables<'a> {
    /// With values from here.
    pub fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, unset: BTreeSet::new() }
    }

    /// A text with its variables filled in.
    pub fn expand(&mut self, text: &str) -> Result<String, Problem> {
        self.within(text, 0)
    }

    fn within(&mut self, text: &str, depth: usize) -> Result<String, Problem> {
        let (mut done, mut rest) = (String::new(), text);
        // Nobody writes it deeper, and the stack has an end.
        if depth > DEEPEST {
            return Err(Problem::Syntax);
        }
        while let Some(at) = rest.find('$') {
            done += &rest[..at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                done.push('$');
                rest = after;
            } else if let Some(inner) = rest.strip_prefix('{') {
                let end = closing(inner).ok_or(Problem::Syntax)?;
                done += &self.braced(&inner[..end], depth)?;
                rest = &inner[end + 1..];
            } else {
                let name = name(&mut rest)?;
                done += &self.plain(name);
            }
        }
        Ok(done + rest)
    }

    fn plain(&mut self, name: &str) -> String {
        (self.lookup)(name).unwrap_or_else(|| {
            self.unset.insert(name.to_owned());
            String::new()
        })
    }

    /// What stands between `${` and its `}`. What is not needed of it is not looked at: its variables may
    /// be unset without a word, and required without being there.
    fn braced(&mut self, inner: &str, depth: usize) -> Result<String, Problem> {
        let mut rest = inner;
        let name = name(&mut rest)?;
        let operators = [":-", ":?", ":+", "-", "?", "+"];
        let operator = operators.into_iter().find(|o| rest.starts_with(o)).unwrap_or_default();
        let other = &rest[operator.len()..];
        let value = (self.lookup)(name).filter(|v| !v.is_empty() || !operator.starts_with(':'));
        match (operator.trim_start_matches(':'), value) {
            ("", _) if !other.is_empty() => Err(Problem::Syntax),
            ("", _) => Ok(self.plain(name)),
            ("+", None) => Ok(String::new()),
            ("+", Some(_)) => self.within(other, depth + 1),
            (_, Some(value)) => Ok(value),
            ("?", None) => Err(Problem::Required { name: name.to_owned(), message: self.within(other, depth + 1)? }),
            (_, None) => self.within(other, depth + 1),
        }
    }
}

/// How many `${…}` may lie in each other.
const DEEPEST: usize = 64;

/// Where the brace is closed that was opened just before: others between, of variables or of JSON, are
/// closed on the way.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    text.bytes().position(|b| {
        match b {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        open == 0
    })
}

/// Takes a name: a letter or `_`, then letters, digits and `_`.
fn name<'t>(rest: &mut &'t str) -> Result<&'t str, Problem> {
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    if end == 0 || rest.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Problem::Syntax);
    }
    let (name, after) = rest.split_at(end);
    *rest = after;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(name: &str) -> Option<String> {
        match name {
            "SET" => Some("value".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn expanded(text: &str) -> Result<String, Problem> {
        Variables::new(&of).expand(text)
    }

    #[test]
    fn the_table_of_the_specification_holds() {
        let required = |message: &str| Err(Problem::Required { name: "NONE".into(), message: message.into() });
        for (text, expected) in [
            ("$SET-x", "value-x"), ("a${SET}b", "avalueb"), ("$NONE", ""), ("$$SET", "$SET"), ("$${SET}", "${SET}"), ("", ""),
            ("${SET:-d}", "value"), ("${EMPTY:-d}", "d"), ("${NONE:-d}", "d"), ("${SET-d}", "value"), ("${EMPTY-d}", ""), ("${NONE-d}", "d"),
            ("${SET:+r}", "r"), ("${EMPTY:+r}", ""), ("${NONE:+r}", ""), ("${SET+r}", "r"), ("${EMPTY+r}", "r"), ("${NONE+r}", ""),
            ("${SET:?m}", "value"), ("${EMPTY?m}", ""), ("${NONE:-${SET}}", "value"), ("${NONE:-${NONE:-${SET}}!}", "value!"), ("${NONE:-a:b}", "a:b"),
            ("${NONE:-}", ""), ("${NONE:-$$x}", "$x"), ("${NONE:-{\"a\":{}}}!", "{\"a\":{}}!"), ("${SET:-{\"a\":{}}}!", "value!"),
            ("${SET:-${NONE:?m}}", "value"), ("${NONE:+${NONE:?m}}", ""), ("{$SET}", "{value}"),
        ] {
            assert_eq!(expanded(text), Ok(expected.to_owned()), "{text}");
        }
        assert_eq!(expanded("${NONE:?say it}"), required("say it"));
        assert_eq!(expanded("${NONE?}"), required(""));
        assert!(matches!(expanded("${EMPTY:?m}"), Err(Problem::Required { .. })));
    }

    #[test]
    fn what_begins_nothing_is_refused() {
        for text in ["$", "a$", "$1", "${", "${SET", "${}", "${SET!x}", "${SET x}", "$ x", "${NONE:-${SET}"] {
            assert_eq!(expanded(text), Err(Problem::Syntax), "{text}");
        }
        assert_eq!(expanded(&("${A:-".repeat(100_000) + &"}".repeat(100_000))), Err(Problem::Syntax));
    }

    #[test]
    fn only_what_was_needed_and_not_there_is_named() {
        let mut variables = Variables::new(&of);
        variables.expand("$NONE ${OTHER} ${SET:-$UNUSED} ${NONE:+$UNUSED} ${NONE:-$DEEP}").unwrap();
        assert_eq!(variables.unset, ["NONE", "OTHER", "DEEP"].map(String::from).into());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[$]?[{}$:?+a-z-]{0,20}|.{0,20}") {
            let _ = expanded(&text);
        }

        #[test]
        fn doubled_dollars_come_back_as_they_were(text in ".{0,30}") {
            prop_assert_eq!(expanded(&text.replace('$', "$$")), Ok(text));
        }
    }
}
