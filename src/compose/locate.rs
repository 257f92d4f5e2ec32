//! The line on which something stands in a YAML file.
//!
//! The reader of YAML forgets lines once a file has been understood; what is wrong with its content is
//! found later. So the line is looked for when it is needed, by the indentation of keys. What is written
//! in braces, or comes from an anchor, is found as the line of what it lies in: near enough to look.

/// One key or item: its line from 1, how far in it stands, and what it says.
struct Entry<'t> {
    line: usize,
    indent: usize,
    text: &'t str,
}

/// The line of the key at the end of the path, or of the last one on the way that is found, and how
/// many parts of the path that are. A number in a path is the place in a list.
pub fn line(text: &str, path: &[String]) -> Option<(usize, usize)> {
    let entries = entries(text);
    let (mut from, mut parent, mut found) = (0, None, None);
    for (nth, part) in path.iter().enumerate() {
        let Some(at) = child(&entries, from, parent, part) else { break };
        found = Some((entries[at].line, nth + 1));
        (from, parent) = (at + 1, Some(&entries[at]));
    }
    found
}

/// `- name: x` is two entries: the item, and the key in it, two columns further in.
fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut rest = line.trim_start();
        let mut indent = line.len() - rest.len();
        if rest.is_empty() || rest.starts_with('#') || rest == "---" {
            continue;
        }
        while let Some(item) = rest.strip_prefix("- ").or((rest == "-").then_some("")) {
            all.push(Entry { line: number + 1, indent, text: "-" });
            let inner = item.trim_start();
            indent += rest.len() - inner.len();
            rest = inner;
        }
        if !rest.is_empty() {
            all.push(Entry { line: number + 1, indent, text: rest });
        }
    }
    all
}

fn child(entries: &[Entry<'_>], from: usize, parent: Option<&Entry<'_>>, part: &str) -> Option<usize> {
    // The items of a list may stand as far out as the key that they belong to.
    let inside = |e: &Entry<'_>| parent.is_none_or(|p| e.indent > p.indent || (e.text == "-" && p.text != "-" && e.indent == p.indent));
    let level = entries.get(from).filter(|e| inside(e))?.indent;
    let place = part.parse::<usize>().ok();
    let mut nth = 0;
    for (at, entry) in entries.iter().enumerate().skip(from).take_while(|(_, e)| inside(e)) {
        if entry.indent != level {
            continue;
        }
        if key(entry.text).is_some_and(|key| key == part) {
            return Some(at);
        }
        if entry.text == "-" {
            if place == Some(nth) {
                return Some(at);
            }
            nth += 1;
        }
    }
    None
}

/// The key of `key: value`, without quotes.
fn key(text: &str) -> Option<&str> {
    let (key, after) = text.split_once(':')?;
    (after.is_empty() || after.starts_with([' ', '\t'])).then(|| key.trim().trim_matches(['"', '\'']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "# a file\nservices:\n  web:\n    image: a\n\n    ports:\n    - 80:80\n    - target: 90\n      protocol: tcp\n  \"db\":\n    environment: {A: 1}\nvolumes:\n  db:\n";

    fn at(path: &[&str]) -> Option<usize> {
        line(FILE, &path.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()).map(|(line, _)| line)
    }

    #[test]
    fn keys_and_items_are_found_where_they_stand() {
        assert_eq!(at(&["services", "web", "image"]), Some(4));
        assert_eq!(at(&["services", "web", "ports", "0"]), Some(7));
        assert_eq!(at(&["services", "web", "ports", "1", "protocol"]), Some(9));
        assert_eq!(at(&["services", "db"]), Some(10));
        assert_eq!(at(&["volumes", "db"]), Some(13));
        assert_eq!(at(&["services", "db", "environment", "A"]), Some(11), "the nearest there is");
        assert_eq!(at(&["services", "web", "volumes"]), Some(3), "not another's");
        assert_eq!(at(&["networks"]), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a: \n#-]{0,40}", path in proptest::collection::vec("[a0-2]", 0..4)) {
            let _ = line(&text, &path);
        }
    }
}
