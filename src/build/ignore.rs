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
    parts: Vec<String>,
}

impl Ignore {
    /// Reads the file. A line that begins with `#` says nothing.
    pub fn parse(text: &str) -> Self {
        let mut patterns = Vec::new();
        for line in text.trim_start_matches('\u{feff}').lines() {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (back, path) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest.trim()));
            let parts = cleaned(path);
            // The root itself cannot be left out.
            if !parts.is_empty() {
                patterns.push(Pattern { back, parts });
            }
        }
        Self { patterns }
    }

    /// True where nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a path below the context's root is left out.
    pub fn excludes(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        let mut out = false;
        for pattern in &self.patterns {
            // Itself, or one of the folders that it lies in.
            if pattern.back == out && (1..=parts.len()).any(|n| fits(&pattern.parts, &parts[..n])) {
                out = !pattern.back;
            }
        }
        out
    }

    /// Whether something below an excluded folder may have been taken back, so that it must be looked into.
    pub fn may_take_back_below(&self, folder: &str) -> bool {
        let parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
        self.patterns.iter().any(|pattern| pattern.back && leads_below(&pattern.parts, &parts))
    }
}

/// A path's parts, `.` and `..` resolved, as Go's filepath.Clean does.
fn cleaned(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other.to_owned()),
        }
    }
    parts
}

fn fits(pattern: &[String], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            // At the end it means everything below, and not the folder itself.
            if rest.is_empty() { !path.is_empty() } else { (0..=path.len()).any(|n| fits(rest, &path[n..])) }
        }
        (Some((first, rest)), Some((name, below))) => part(first, name) && fits(rest, below),
        _ => false,
    }
}

/// One part; `**` within it, as in `a**b`, is `*` here, since there is no `/` to cross.
fn part(pattern: &str, name: &str) -> bool {
    glob::matches(&pattern.replace("**", "*"), name)
}

/// True where a path below `folder` could match.
fn leads_below(pattern: &[String], folder: &[&str]) -> bool {
    match (pattern.split_first(), folder.split_first()) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some((first, _)), _) if first == "**" => true,
        (Some((first, rest)), Some((name, below))) => part(first, name) && leads_below(rest, below),
    }
}

#[cfg(test)]
mod tests {
    use super::Ignore;
    use proptest::prelude::*;

    #[test]
    fn the_last_line_that_matches_decides() {
        let ignore = Ignore::parse("# comment\n*.md\n!README*.md\nREADME-secret.md\n/node_modules/\n**/*.o\ntemp?\na/**\n!a/keep\nx/../y\n");
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
        let ignore = Ignore::parse("*\n!src\n");
        assert!(ignore.excludes("Makefile") && !ignore.excludes("src/main.c"));
    }

    proptest! {
        #[test]
        fn no_pattern_is_a_panic(text in "[a-z*?!/.\\[\\]^\\\\\n-]*", path in "[a-z/.]*") {
            let ignore = Ignore::parse(&text);
            ignore.excludes(&path);
            ignore.may_take_back_below(&path);
        }
    }
}
