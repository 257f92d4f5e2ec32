//! Patterns: of COPY's sources (Go's filepath.Match), and of `${name#pattern}` (the shell's).
//!
//! `*` is any run of characters, `?` one, `[a-z]` and `[^a-z]` one of a set, `\` takes the meaning
//! from what follows. In paths none of them crosses a `/`.

/// True where `pattern` matches all of `name`, neither crossing a `/`.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    run(&pattern, &name, Some('/'))
}

/// True where a name is a pattern and not itself.
pub fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// `${value#pattern}`: without its shortest, or longest, beginning that matches.
pub fn without_prefix(value: &str, pattern: &str, longest: bool) -> String {
    let pattern: Vec<char> = pattern.chars().collect();
    let ends: Vec<usize> = value.char_indices().map(|(i, _)| i).chain([value.len()]).collect();
    let fits = |end: &usize| run(&pattern, &value[..*end].chars().collect::<Vec<_>>(), None);
    let end = if longest { ends.iter().rev().copied().find(fits) } else { ends.iter().copied().find(fits) };
    value[end.unwrap_or(0)..].to_owned()
}

/// `${value%pattern}`: without its shortest, or longest, end that matches.
pub fn without_suffix(value: &str, pattern: &str, longest: bool) -> String {
    let pattern: Vec<char> = pattern.chars().collect();
    let starts: Vec<usize> = value.char_indices().map(|(i, _)| i).chain([value.len()]).collect();
    let fits = |start: &usize| run(&pattern, &value[*start..].chars().collect::<Vec<_>>(), None);
    let start = if longest { starts.iter().copied().find(fits) } else { starts.iter().rev().copied().find(fits) };
    value[..start.unwrap_or(value.len())].to_owned()
}

/// `${value/pattern/with}`: the first match, or all, at each place the longest.
pub fn replaced(value: &str, pattern: &str, with: &str, all: bool) -> String {
    let (pattern, chars): (Vec<char>, Vec<char>) = (pattern.chars().collect(), value.chars().collect());
    let (mut out, mut at) = (String::new(), 0);
    while at < chars.len() {
        match (at + 1..=chars.len()).rev().find(|end| run(&pattern, &chars[at..*end], None)) {
            Some(end) => {
                out.push_str(with);
                at = end;
                if !all {
                    break;
                }
            }
            None => {
                out.push(chars[at]);
                at += 1;
            }
        }
    }
    out.extend(chars.get(at..).unwrap_or_default());
    out
}

/// The match itself: on a failure it goes back to the last `*` only, so it takes at most the product
/// of both lengths.
fn run(pattern: &[char], name: &[char], separator: Option<char>) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() || p < pattern.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, n));
            p += 1;
            continue;
        }
        if let Some(used) = name.get(n).and_then(|c| one(&pattern[p..], *c, separator)) {
            p += used;
            n += 1;
            continue;
        }
        match star {
            Some((at, from)) if from < name.len() && Some(name[from]) != separator => {
                star = Some((at, from + 1));
                (p, n) = (at + 1, from + 1);
            }
            _ => return false,
        }
    }
    true
}

/// `[a-z]`, `[^\]x]`.
pub struct Class {
    /// `^`: what is not in it.
    negated: bool,
    /// From and to; one character is both.
    ranges: Vec<(char, char)>,
    /// How many characters of the pattern it is.
    pub length: usize,
}

impl Class {
    /// The class that a pattern begins with; `None` where it is broken: never closed, empty, a range
    /// without an end (Go's filepath.Match, ErrBadPattern).
    pub fn read(pattern: &[char]) -> Option<Self> {
        let negated = pattern.get(1) == Some(&'^');
        let mut at = 1 + usize::from(negated);
        let mut ranges = Vec::new();
        while ranges.is_empty() || pattern.get(at)? != &']' {
            let low = member(pattern, &mut at)?;
            let is_range = pattern.get(at)? == &'-';
            at += usize::from(is_range);
            ranges.push((low, if is_range { member(pattern, &mut at)? } else { low }));
        }
        Some(Self { negated, ranges, length: at + 1 })
    }
}

/// One character of a class, and on past it.
fn member(pattern: &[char], at: &mut usize) -> Option<char> {
    match pattern.get(*at)? {
        '-' | ']' => return None,
        '\\' => *at += 1,
        _ => {}
    }
    *at += 1;
    pattern.get(*at - 1).copied()
}

/// Whether Go's filepath.Match takes a pattern: each class is whole, and after `\` something follows.
pub fn is_sound(pattern: &str) -> bool {
    let all: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    while let Some(c) = all.get(at) {
        at += match c {
            '[' => match Class::read(&all[at..]) {
                Some(class) => class.length,
                None => return false,
            },
            '\\' if at + 1 == all.len() => return false,
            '\\' => 2,
            _ => 1,
        };
    }
    true
}

/// How much of the pattern's beginning matches this one character.
fn one(pattern: &[char], c: char, separator: Option<char>) -> Option<usize> {
    match pattern.first()? {
        '?' => (Some(c) != separator).then_some(1),
        '\\' if pattern.len() > 1 => (pattern[1] == c).then_some(2),
        '[' => {
            let Some(class) = Class::read(pattern) else { return (c == '[').then_some(1) };
            // `!` is the shell's: Go, and so Docker, has `^` alone.
            let shell = separator.is_none() && !class.negated && class.ranges.first() == Some(&('!', '!')) && class.ranges.len() > 1;
            let ranges = &class.ranges[usize::from(shell)..];
            let found = ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
            (found != (class.negated || shell) && Some(c) != separator).then_some(class.length)
        }
        literal => (*literal == c).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_sound, matches, without_prefix};

    #[test]
    fn a_broken_pattern_is_told_from_a_sound_one() {
        for sound in ["", "a*?", "[a-z]", "[^a]", "[\\]]", "\\[", "]", "-", "[!a]"] {
            assert!(is_sound(sound), "{sound}");
        }
        for broken in ["[", "[a", "[]", "[]a]", "[^]", "[a-]", "[-a]", "a\\", "[\\", "x[a-\\"] {
            assert!(!is_sound(broken), "{broken}");
        }
        assert_eq!(without_prefix("bx", "[!a]", false), "x", "in a shell's pattern ! is a no");
    }

    #[test]
    fn patterns_match_within_one_folder() {
        for (pattern, name, fits) in [
            ("*.txt", "a.txt", true),
            ("*.txt", "b/a.txt", false),
            ("hom?.txt", "home.txt", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("*", "", true),
            ("[", "[", true),
            ("[!a]x", "ax", true),
            ("[!a]x", "bx", false),
            ("[\\]]", "]", true),
            ("[a\\-c]", "b", false),
            ("[^]", "[^]", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
