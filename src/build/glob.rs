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

/// How much of the pattern's beginning matches this one character.
fn one(pattern: &[char], c: char, separator: Option<char>) -> Option<usize> {
    match pattern.first()? {
        '?' => (Some(c) != separator).then_some(1),
        '\\' if pattern.len() > 1 => (pattern[1] == c).then_some(2),
        '[' => {
            let close = pattern.iter().skip(2).position(|c| *c == ']').map(|i| i + 2);
            let Some(close) = close else { return (c == '[').then_some(1) };
            let set = &pattern[1..close];
            let (negated, set) = match set.first() {
                Some('^' | '!') => (true, &set[1..]),
                _ => (false, set),
            };
            let mut found = false;
            let mut i = 0;
            while i < set.len() {
                if set.get(i + 1) == Some(&'-') && i + 2 < set.len() {
                    found |= (set[i]..=set[i + 2]).contains(&c);
                    i += 3;
                } else {
                    found |= set[i] == c;
                    i += 1;
                }
            }
            (found != negated && Some(c) != separator).then_some(close + 1)
        }
        literal => (*literal == c).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

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
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
