//! A lesson as a page: headings, steps, exercises with their hints folded, quiz, sources.

use super::{BookError, quiz};
use crate::course::{Chapter, Course, Exercise, Facts, PartKind, template::Values};
use std::fmt::Write;

/// Draws of the book: those of a learner with this seed.
const SEED: &str = "book";

/// The machine that the book speaks of: control groups version 2, an ordinary user with sudo.
pub fn facts() -> Facts {
    crate::learn::facts::imagined(false, false)
}

/// A chapter as Markdown for mdBook.
pub fn page(course: &Course, folder: &str) -> Result<String, BookError> {
    let chapter = course.chapter(folder)?;
    let file = format!("lessons/{}/lesson.md", chapter.folder);
    let values = Values::of(&facts());
    let front = &chapter.lesson.front;
    let mut page = format!("# {}\n\n", front.title);
    let _ = writeln!(page, "<p class=\"facts\">About {} minutes. Afterwards you can:</p>\n", front.minutes);
    for objective in &front.objectives {
        let _ = writeln!(page, "- {}", objective.text);
    }
    page.push('\n');
    page.push_str(&blocks(&values.render(&chapter.lesson.opening, &file, 1)?));
    for part in &chapter.lesson.parts {
        match &part.kind {
            PartKind::Section | PartKind::Step => {
                let _ = write!(page, "\n## {}\n\n", part.title);
                page.push_str(&blocks(&values.render(&part.text, &file, part.line)?));
            }
            PartKind::Exercise(slug) => {
                let id = format!("{}/{slug}", chapter.slug());
                let work = format!("~/.local/state/drydock/work/{}-{slug}", chapter.slug());
                page.push_str(&exercise(&course.exercise(&id, &facts(), SEED, &work)?));
                page.push_str(&blocks(&values.render(&part.text, &file, part.line)?));
            }
            PartKind::Quiz => page.push_str(&quiz::section(&chapter.quiz, &values)?),
        }
    }
    page.push_str(&sources(&chapter, &page));
    Ok(page)
}

/// Its goal, its hints one below the other, and what it was about: each folded.
fn exercise(exercise: &Exercise) -> String {
    let slug = exercise.id.split('/').nth(1).unwrap_or_default();
    let mut text = format!("\n## Exercise: {} {{#exercise-{slug}}}\n\n", exercise.title);
    let _ = writeln!(text, "<p class=\"facts\">About {} minutes. <code>drydock start {}</code></p>\n", exercise.minutes, exercise.id);
    let _ = writeln!(text, "{}", blocks(&exercise.goal));
    for (number, hint) in exercise.hints.iter().enumerate() {
        text.push_str(&folded(&format!("Hint {}", number + 1), hint));
    }
    if let Some(solution) = exercise.solutions.first() {
        let second = solution.second.as_ref().map(|s| format!("\nThen in a second terminal:\n\n```sh\n{}\n```\n", s.trim()));
        text.push_str(&folded("One way to do it", &format!("```sh\n{}\n```\n{}", solution.typed.trim(), second.unwrap_or_default())));
    }
    text.push_str(&folded("What happened", &exercise.explain));
    text
}

/// Markdown that is shown when its title is opened; works without a script.
pub fn folded(title: &str, text: &str) -> String {
    format!("<details>\n<summary>{title}</summary>\n\n{}\n\n</details>\n\n", text.trim())
}

/// Fences in mdBook's terms: diagrams with their words, outputs as text, second terminals said so.
fn blocks(markdown: &str) -> String {
    let mut page = String::with_capacity(markdown.len());
    let mut diagram: Option<(String, String)> = None;
    let mut fenced = false;
    for line in markdown.lines() {
        if let Some((alt, drawing)) = &mut diagram {
            if line.trim_end() == "```" {
                page.push_str(&figure(alt, drawing));
                diagram = None;
            } else {
                drawing.push_str(line);
                drawing.push('\n');
            }
            continue;
        }
        let info = line.strip_prefix("```").filter(|_| !fenced);
        match info.map(|i| i.split_whitespace().next().unwrap_or_default()) {
            Some("diagram") => {
                let alt = info.and_then(|i| i.split_once("alt=\"")).and_then(|(_, a)| a.rsplit_once('"'));
                diagram = Some((alt.map_or_else(String::new, |(a, _)| a.to_owned()), String::new()));
                continue;
            }
            Some("output") => page.push_str("```text"),
            Some("sh") if info.is_some_and(|i| i.trim() == "sh second") => page.push_str("In a second terminal:\n\n```sh"),
            _ => page.push_str(line),
        }
        fenced ^= line.starts_with("```");
        page.push('\n');
    }
    page
}

/// A drawing that a screen reader skips, and its words for everybody.
fn figure(alt: &str, drawing: &str) -> String {
    let words = folded("This drawing in words", alt);
    format!("<pre class=\"diagram\" aria-hidden=\"true\">\n{}</pre>\n\n{words}", escaped(drawing))
}

/// Text as HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Footnotes for the sources that the page names; the others are listed, so that none is lost.
fn sources(chapter: &Chapter, page: &str) -> String {
    let (mut notes, mut others) = (String::new(), String::new());
    for source in &chapter.lesson.front.sources {
        let linked = source.url.as_ref().map_or_else(|| source.title.clone(), |url| format!("[{}]({url})", source.title));
        if page.contains(&format!("[^{}]", source.id)) {
            let _ = writeln!(notes, "[^{}]: {linked}\n", source.id);
        } else {
            let _ = writeln!(others, "- {linked}");
        }
    }
    let others = if others.is_empty() { others } else { format!("\n## Further reading\n\n{others}\n") };
    format!("{others}\n{notes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagram_has_its_words_and_keeps_its_lines() {
        let text = "a\n```diagram alt=\"One points to two.\"\n1 --> 2\n\n<3>\n```\nb\n";
        let expected = "a\n<pre class=\"diagram\" aria-hidden=\"true\">\n1 --&gt; 2\n\n&lt;3&gt;\n</pre>\n\n<details>\n<summary>This drawing in words</summary>\n\nOne points to two.\n\n</details>\n\nb\n";
        assert_eq!(blocks(text), expected);
    }

    #[test]
    fn outputs_are_text_and_a_second_terminal_is_said() {
        assert_eq!(blocks("```output\nx\n```\n```sh second\nps\n```\n"), "```text\nx\n```\nIn a second terminal:\n\n```sh\nps\n```\n");
    }
}
