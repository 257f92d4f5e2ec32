//! A lesson as a page: headings, steps, exercises with their hints folded, quiz, sources.

use super::markup::folded;
use super::terms::Terms;
use super::{BookError, Reader, diagram, quiz, sheet};
use crate::course::{Chapter, Course, Exercise, PartKind, template::Values};
use std::fmt::Write;

/// A chapter as Markdown for mdBook.
pub fn page(course: &Course, terms: &Terms, reader: &Reader, folder: &str) -> Result<String, BookError> {
    let chapter = course.chapter(folder)?;
    let mut linked = terms.of_a_page();
    let file = format!("lessons/{}/lesson.md", chapter.folder);
    let values = Values::of(&reader.facts);
    let front = &chapter.lesson.front;
    let mut page = format!("# {}\n\n", front.title);
    let counts = format!("{} exercises, {} questions", chapter.exercises.len(), chapter.quiz.len());
    let _ = writeln!(page, "<p class=\"facts\">About {} minutes, with {counts}. Afterwards you can:</p>\n", front.minutes);
    for objective in &front.objectives {
        let _ = writeln!(page, "- {}", objective.text);
    }
    page.push('\n');
    page.push_str(&blocks(&linked.link(&values.render(&chapter.lesson.opening, &file, 1)?)));
    for part in &chapter.lesson.parts {
        match &part.kind {
            PartKind::Section | PartKind::Step => {
                let _ = write!(page, "\n## {}\n\n", part.title);
                page.push_str(&blocks(&linked.link(&values.render(&part.text, &file, part.line)?)));
            }
            PartKind::Exercise(slug) => {
                let id = format!("{}/{slug}", chapter.slug());
                page.push_str(&exercise(&course.exercise(&id, &reader.facts, &reader.seed, &reader.work(&id))?));
                page.push_str(&blocks(&values.render(&part.text, &file, part.line)?));
            }
            PartKind::Quiz => page.push_str(&quiz::section(&chapter, &values)?),
        }
    }
    page.push_str("\n## On one sheet\n\n");
    page.push_str(&sheet::one(course, terms, reader, &chapter)?);
    page.push_str(&sources(&chapter, &page));
    Ok(page)
}

/// Its goal, its hints one below the other, and what it was about: each folded.
fn exercise(exercise: &Exercise) -> String {
    let slug = exercise.id.split('/').nth(1).unwrap_or_default();
    let mut text = format!("\n## Exercise: {} {{#exercise-{slug}}}\n\n", exercise.title);
    let _ = writeln!(text, "<p class=\"facts\" data-exercise=\"{1}\">About {0} minutes. <code>drydock start {1}</code></p>\n", exercise.minutes, exercise.id);
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

/// Fences in mdBook's terms: diagrams as drawings with their words, what is typed and what it printed
/// as one recorded terminal, second terminals said so.
fn blocks(markdown: &str) -> String {
    let mut page = String::with_capacity(markdown.len());
    let mut lines = markdown.lines().peekable();
    let mut recorded = false;
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            // What follows an output without a word between belongs to the same terminal.
            if recorded && !line.trim().is_empty() {
                page.push_str("</figure>\n\n");
                recorded = false;
            }
            page.push_str(line);
            page.push('\n');
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|l| l.trim_end() != "```").collect();
        let kind = info.split_whitespace().next().unwrap_or_default();
        let is_terminal = matches!(kind, "sh" | "output");
        if recorded && !is_terminal {
            page.push_str("</figure>\n\n");
            recorded = false;
        }
        if is_terminal && !recorded {
            page.push_str("<figure class=\"terminal\">\n\n");
            recorded = true;
        }
        match kind {
            "diagram" => {
                let alt = info.split_once("alt=\"").and_then(|(_, a)| a.rsplit_once('"')).map_or("", |(a, _)| a);
                page.push_str(&figure(alt, &block.join("\n")));
                continue;
            }
            // The highlighter has no Dockerfiles, and would complain of each.
            "output" | "dockerfile" => page.push_str("```text"),
            "sh" if info.trim() == "sh second" => page.push_str("<figcaption>In a second terminal:</figcaption>\n\n```sh"),
            _ => page.push_str(line),
        }
        page.push('\n');
        for line in block {
            page.push_str(line);
            page.push('\n');
        }
        page.push_str("```\n\n");
    }
    if recorded {
        page.push_str("</figure>\n\n");
    }
    page
}

/// A drawing in a box that scrolls by itself, and its words for everybody.
pub fn figure(alt: &str, drawing: &str) -> String {
    let words = folded("This drawing in words", alt);
    format!("<figure class=\"diagram\">\n<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Drawing\">{}</div>\n{words}</figure>\n\n", diagram::svg(alt, drawing))
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
    fn a_diagram_has_its_words_and_what_follows_stays() {
        let text = "a\n```diagram alt=\"One points to two.\"\n1 --> 2\n```\nb\n";
        let page = blocks(text);
        assert!(page.starts_with("a\n<figure class=\"diagram\">\n<div class=\"scroll\""), "{page}");
        assert!(page.ends_with("<summary>This drawing in words</summary>\n\nOne points to two.\n\n</details>\n\n</figure>\n\nb\n"), "{page}");
    }

    #[test]
    fn what_is_typed_and_what_it_printed_are_one_terminal() {
        let expected = "<figure class=\"terminal\">\n\n```sh\nls\n```\n\n```text\nx\n```\n\n<figcaption>In a second terminal:</figcaption>\n\n```sh\nps\n```\n\n</figure>\n\n";
        assert_eq!(blocks("```sh\nls\n```\n```output\nx\n```\n```sh second\nps\n```\n"), expected);
        assert_eq!(blocks("```sh\nls\n```\nand\n"), "<figure class=\"terminal\">\n\n```sh\nls\n```\n\n</figure>\n\nand\n");
    }
}
