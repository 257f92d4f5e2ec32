//! `.dockerignore`: what of a folder is not part of the context (Docker's build context documentation,
//! ".dockerignore files").
//!
//! One pattern a line, relative to the context's root; `**` is any number of folders, `!` takes back
//! what an earlier line left out, the last line that matches decides. A pattern that matches a folder
//! matches all below it. That differs from `.gitignore`: there `*.o` is at any depth, here only on top.

use super::glob;

/// The lines of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    /// `!`: what matches is part of the context again.
    back: bool,
    signs: Vec<Sign>,
}

/// One thing that a pattern asks of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sign {
    /// One character, as `glob` has it: itself, `?`, `[a-z]`, `\\x`.
    One(String),
    /// `*`: any run without a `/`.
    Run,
    /// `**` before something: nothing, or any run that ends with a `/`.
    Folders,
    /// `**` at the end: all the rest.
    Rest,
}

impl Ignore {
    /// Reads the file. A line that begins with `#` says nothing. `Err` says in words what is wrong with one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut patterns = Vec::new();
        for line in text.trim_start_matches('\u{feff}').lines() {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (back, path) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest.trim()));
            if back && path.is_empty() {
                return Err("illegal exclusion pattern: \"!\"".into());
            }
            let path = cleaned(path);
            if !glob::is_sound(&path) {
                return Err(format!("syntax error in pattern: {path:?}"));
            }
            // The root itself cannot be left out.
            if !path.is_empty() {
                patterns.push(Pattern { back, signs: signs(&path) });
            }
        }
        Ok(Self { patterns })
    }

    /// True where nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a path below the context's root is left out.
    pub fn excludes(&self, path: &str) -> bool {
        let path: Vec<char> = path.trim_matches('/').chars().collect();
        // Itself, or one of the folders that it lies in.
        let ends: Vec<usize> = (0..path.len()).filter(|i| path[*i] == '/').chain((!path.is_empty()).then_some(path.len())).collect();
        let mut out = false;
        for pattern in &self.patterns {
            if pattern.back == out && ends.iter().any(|end| pattern.reach(&path[..*end]).fits) {
                out = !pattern.back;
            }
        }
        out
    }

    /// Whether something below an excluded folder may have been taken back, so that it must be looked into.
    pub fn may_take_back_below(&self, folder: &str) -> bool {
        let folder: Vec<char> = folder.trim_matches('/').chars().chain(['/']).collect();
        self.patterns.iter().any(|pattern| pattern.back && pattern.reach(&folder).goes_on)
    }
}

/// What became of a pattern on a path.
struct Reach {
    /// It matches all of it.
    fits: bool,
    /// It could match something longer.
    goes_on: bool,
}

impl Pattern {
    /// Follows all ways at once, sign by sign: the time is the product of both lengths, however many
    /// stars there are.
    fn reach(&self, path: &[char]) -> Reach {
        let mut at = vec![false; path.len() + 1];
        at[0] = true;
        let mut goes_on = false;
        for sign in &self.signs {
            goes_on |= at[path.len()];
            let mut next = vec![false; path.len() + 1];
            // True while a run that began earlier may still grow.
            let mut running = false;
            for i in 0..=path.len() {
                let before = i.checked_sub(1).map(|i| path[i]);
                running &= !(*sign == Sign::Run && before == Some('/'));
                match sign {
                    Sign::One(one) => next[i] = i > 0 && at[i - 1] && before.is_some_and(|c| fits_one(one, c)),
                    Sign::Run | Sign::Rest => {
                        running |= at[i];
                        next[i] = running;
                    }
                    Sign::Folders => {
                        next[i] = at[i] || (running && before == Some('/'));
                        running |= at[i];
                    }
                }
            }
            goes_on |= running;
            at = next;
        }
        Reach { fits: at[path.len()], goes_on }
    }
}

fn fits_one(sign: &str, c: char) -> bool {
    if sign == "/" || c == '/' { sign == "/" && c == '/' } else { glob::matches(sign, c.encode_utf8(&mut [0; 4])) }
}

/// A pattern as Go's filepath.Clean leaves it, without a `/` at its beginning: `..` takes a part away,
/// but stays where there is none before it, and then nothing matches.
fn cleaned(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if absolute => {}
            other => parts.push(other),
        }
    }
    parts.join("/")
}

/// A pattern's signs. `**` need not stand alone between two `/`: `**.md` is any folders and then `.md`.
fn signs(pattern: &str) -> Vec<Sign> {
    let all: Vec<char> = pattern.chars().collect();
    let (mut signs, mut at) = (Vec::new(), 0);
    while let Some(c) = all.get(at) {
        let length = match c {
            '*' if all.get(at + 1) == Some(&'*') => {
                at += 2;
                at += usize::from(all.get(at) == Some(&'/'));
                signs.push(if at == all.len() { Sign::Rest } else { Sign::Folders });
                continue;
            }
            '*' => {
                at += 1;
                signs.push(Sign::Run);
                continue;
            }
            '\\' if at + 1 < all.len() => 2,
            '[' => glob::Class::read(&all[at..]).map_or(1, |class| class.length),
            _ => 1,
        };
        signs.push(Sign::One(all[at..at + length].iter().collect()));
        at += length;
    }
    signs
}

#[cfg(test)]
mod tests {
    use super::Ignore;
    use proptest::prelude::*;

    #[test]
    fn the_last_line_that_matches_decides() {
        let ignore = Ignore::parse("# comment\n*.md\n!README*.md\nREADME-secret.md\n/node_modules/\n**/*.o\ntemp?\na/**\n!a/keep\nx/../y\n").unwrap();
        for (path, out) in [
            ("a.md", true),
            ("README.md", false),
            ("README-secret.md", true),
            ("docs/a.md", false),
            ("node_modules/x/y.js", true),
            ("src/deep/a.o", true),
            ("a.o", true),
            ("tempa", true),
            ("temp", false),
            ("a", false),
            ("a/b/c", true),
            ("a/keep", false),
            ("a/keep/below", false),
            ("y", true),
            ("comment", false),
        ] {
            assert_eq!(ignore.excludes(path), out, "{path}");
        }
        assert!(ignore.may_take_back_below("a") && !ignore.may_take_back_below("node_modules"));
    }

    #[test]
    fn all_but_one_folder_can_be_left_out() {
        let ignore = Ignore::parse("*\n!src\n").unwrap();
        assert!(ignore.excludes("Makefile") && !ignore.excludes("src/main.c"));
    }

    #[test]
    fn two_stars_are_folders_wherever_they_stand() {
        for (pattern, path, out) in [
            ("**.md", "b.md", false),
            ("**.md", ".md", true),
            ("**.md", "a/.md", true),
            ("a**b", "ab", true),
            ("a**b", "axb", false),
            ("a**b", "ax/b", true),
            ("../[a-b]", "a", false),
            ("/../a", "a", true),
            ("x/**/y", "x/y", true),
            ("x/**/y", "x/1/2/y/below", true),
            ("x/**/y", "xy", false),
            ("**", "any/thing", true),
            ("a[/]b", "a/b", false),
        ] {
            assert_eq!(Ignore::parse(pattern).unwrap().excludes(path), out, "{pattern} {path}");
        }
        assert_eq!(Ignore::parse("a\n[a\n"), Err("syntax error in pattern: \"[a\"".into()));
        assert_eq!(Ignore::parse("a\n!\n"), Err("illegal exclusion pattern: \"!\"".into()));
        let below = |pattern: &str, folder: &str| Ignore::parse(pattern).unwrap().may_take_back_below(folder);
        assert!(below("!a/*/c", "a/b") && !below("!a/*/c", "a/b/c") && !below("!a/b", "x") && below("!**/c", "x/y") && below("!a/**", "a/b"));
    }

    proptest! {
        #[test]
        fn no_pattern_is_a_panic(text in "[a-z*?!/.\\[\\]^\\\\\n-]*", path in "[a-z/.]*") {
            let Ok(ignore) = Ignore::parse(&text) else { return Ok(()) };
            ignore.excludes(&path);
            ignore.may_take_back_below(&path);
        }
    }
}
