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
        let mut rest = text;
        let found = self.until(&mut rest, false)?;
        Ok(found)
    }

    /// Goes to the end, or to the `}` that closes what is `within` braces.
    fn until(&mut self, rest: &mut &str, within: bool) -> Result<String, Problem> {
        let mut done = String::new();
        loop {
            let stop = rest.find(|c| c == '$' || (within && c == '}')).unwrap_or(rest.len());
            done += &rest[..stop];
            *rest = &rest[stop..];
            let mut chars = rest.chars();
            match (chars.next(), chars.next()) {
                (None, _) => return if within { Err(Problem::Syntax) } else { Ok(done) },
                (Some('}'), _) => return Ok(done),
                (_, Some('$')) => {
                    done.push('$');
                    *rest = &rest[2..];
                }
                (_, Some('{')) => {
                    *rest = &rest[2..];
                    done += &self.braced(rest)?;
                }
                _ => {
                    *rest = &rest[1..];
                    let name = name(rest)?;
                    done += &self.plain(name);
                }
            }
        }
    }

    fn plain(&mut self, name: &str) -> String {
        (self.lookup)(name).unwrap_or_else(|| {
            self.unset.insert(name.to_owned());
            String::new()
        })
    }

    /// From behind `${` to behind its `}`.
    fn braced(&mut self, rest: &mut &str) -> Result<String, Problem> {
        let name = name(rest)?;
        let operators = [":-", ":?", ":+", "-", "?", "+"];
        let operator = operators.into_iter().find(|o| rest.starts_with(o)).unwrap_or_default();
        *rest = &rest[operator.len()..];
        // What is not needed is not asked for either: its variables may be unset without a word.
        let before = self.unset.clone();
        let other = self.until(rest, true)?;
        *rest = &rest[1..];
        let value = (self.lookup)(name).filter(|v| !v.is_empty() || !operator.starts_with(':'));
        let takes_other = match operator.trim_start_matches(':') {
            "" if !other.is_empty() => return Err(Problem::Syntax),
            "" => {
                self.unset = before;
                return Ok(self.plain(name));
            }
            "+" => value.is_some(),
            "?" if value.is_none() => return Err(Problem::Required { name: name.to_owned(), message: other }),
            _ => value.is_none(),
        };
        if takes_other {
            return Ok(other);
        }
        self.unset = before;
        Ok(if operator.ends_with('+') { String::new() } else { value.unwrap_or_default() })
    }
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
            ("${NONE:-}", ""), ("${NONE:-$$x}", "$x"),
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
