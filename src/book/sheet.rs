//! A chapter on one sheet: what one can do, with which commands, in which words; and what to read.

use super::{BookError, Reader};
use super::markup::escaped;
use super::terms::Terms;
use crate::course::template::Values;
use crate::course::{Chapter, Course, lesson};
use crate::learn::render::prompted;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// What any shell has, and what says nothing of the chapter.
const EVERYDAY: [&str; 22] = [
    "exit", "sh", "bash", "cd", "echo", "for", "if", "while", "do", "done", "then", "fi", "else", "sleep", "cat", "ls", "rm", "test", "true", "printf", "mkdir", "wait",
];

/// A chapter's sheet.
pub fn one(course: &Course, terms: &Terms, reader: &Reader, chapter: &Chapter) -> Result<String, BookError> {
    let mut text = String::from("<div class=\"sheet\">\n\n");
    let slug = chapter.slug();
    let mut shown: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut titles = Vec::new();
    for exercise in &chapter.exercises {
        let (_, source) = course.exercise_source(&format!("{slug}/{exercise}"))?;
        titles.push((source.objective.clone(), format!("<a href=\"{slug}.html#exercise-{exercise}\">{}</a>", escaped(&source.title))));
    }
    for (objective, link) in &titles {
        shown.entry(objective).or_default().push(link.clone());
    }
    for objective in &chapter.lesson.front.objectives {
        let by = shown.get(objective.id.as_str()).map(|links| format!(" ({})", links.join(", "))).unwrap_or_default();
        let _ = writeln!(text, "- {}{by}", objective.text);
    }
    text.push_str("\n| command | as in this chapter |\n|---|---|\n");
    for (name, example) in commands(chapter, reader)? {
        let cell = |t: &str| format!("<code>{}</code>", escaped(t).replace('|', "&#124;"));
        let _ = writeln!(text, "| {} | {} |", cell(&name), cell(&example));
    }
    let texts: Vec<&str> = std::iter::once(chapter.lesson.opening.as_str()).chain(chapter.lesson.parts.iter().map(|p| p.text.as_str())).collect();
    let words: Vec<String> = terms.used(&texts).iter().map(|t| format!("[{}](glossary.md#{})", t.term, t.anchor())).collect();
    let _ = write!(text, "\nWords: {}.\n\n</div>\n", words.join(", "));
    Ok(text)
}

/// The programs that a chapter types, each with its first line; an engine's by subcommand.
fn commands(chapter: &Chapter, reader: &Reader) -> Result<Vec<(String, String)>, BookError> {
    let (file, values) = (format!("lessons/{}/lesson.md", chapter.folder), Values::of(&reader.facts));
    let mut found: Vec<(String, String)> = Vec::new();
    for part in chapter.lesson.steps() {
        let text = values.render(&part.text, &file, part.line)?;
        for block in lesson::blocks(&text).iter().filter(|b| b.info.starts_with("sh")) {
            let typed = prompted(&block.text).into_iter().filter(|(prompt, line)| *prompt == "$" && !line.starts_with([' ', '#', '}']));
            for (_, line) in typed {
                if let Some(name) = program(line).filter(|n| !found.iter().any(|(f, _)| f == n)) {
                    found.push((name, line.trim().to_owned()));
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The program of a line; with its subcommand where it has many.
fn program(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip_while(|w| matches!(*w, "sudo" | "time" | "exec"));
    let first = words.next()?;
    let first = if first.contains("command") && line.contains("command -v skiff") { words.nth(1).map(|_| "skiff")? } else { first };
    let plain = first.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c));
    if !plain || EVERYDAY.contains(&first) {
        return None;
    }
    let many = matches!(first, "skiff" | "docker" | "drydock" | "ip" | "nft" | "skopeo" | "podman");
    let next = words.find(|w| !w.starts_with('-')).filter(|w| many && w.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
    Some(next.map_or_else(|| first.to_owned(), |next| format!("{first} {next}")))
}

/// Every chapter's sheet, one below the other.
pub fn all(course: &Course, terms: &Terms, reader: &Reader) -> Result<String, BookError> {
    let mut text = String::new();
    for folder in &course.folders {
        let chapter = course.chapter(folder)?;
        let _ = write!(text, "## {}\n\n[Read the chapter]({}.md)\n\n{}\n", chapter.lesson.front.title, chapter.slug(), one(course, terms, reader, &chapter)?);
    }
    Ok(text)
}

/// Every source, under the first chapter that names it.
pub fn reading(course: &Course) -> Result<String, BookError> {
    let (mut text, mut seen) = (String::new(), BTreeSet::new());
    for folder in &course.folders {
        let front = course.lesson(folder)?.front;
        let _ = write!(text, "## {}\n\n", front.title);
        for source in &front.sources {
            match &source.url {
                Some(url) if seen.insert(url.clone()) => text.push_str(&format!("- [{}]({url})\n", source.title)),
                None if seen.insert(source.title.clone()) => text.push_str(&format!("- {}\n", source.title)),
                _ => {}
            }
        }
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::program;

    #[test]
    fn a_line_is_filed_under_its_program() {
        assert_eq!(program("sudo unshare --uts sh").as_deref(), Some("unshare"));
        assert_eq!(program("skiff run -d base sleep 9").as_deref(), Some("skiff run"));
        assert_eq!(program("sudo \"$(command -v skiff)\" ps -a").as_deref(), Some("skiff ps"));
        assert_eq!(program("ip -brief link").as_deref(), Some("ip link"));
        assert_eq!(program("pid=$(pgrep -f x)"), None);
        assert_eq!(program("echo hello"), None);
    }
}
