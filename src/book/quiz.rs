//! A quiz in a page: the questions, and each answer folded with its reasons.
//!
//! What stands here is readable without a script. book/theme/quiz.js makes forms of it, from the same
//! elements: `data-id` names the question for what the browser keeps, `data-mark` changes when the
//! question does, and each choice finds its reason by its number. mdbook-quiz was looked at: it knows
//! three kinds (of our seven), explains the right answer but not each wrong one, and brings a
//! framework of half a megabyte to each page.

use super::BookError;
use super::markup::{escaped, folded, html};
use crate::course::Chapter;
use crate::course::quiz::{Kind, Question};
use crate::course::template::Values;
use crate::learn::answer;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// A chapter's questions, being written.
struct Quiz<'a> {
    values: &'a Values,
    file: String,
}

/// The quiz's section.
pub fn section(chapter: &Chapter, values: &Values) -> Result<String, BookError> {
    let quiz = Quiz { values, file: format!("lessons/{}/quiz.yaml", chapter.folder) };
    let mut text = format!("\n## Quiz\n\n{} questions. In a terminal, `drydock quiz {}` asks the same and marks you.\n", chapter.quiz.len(), chapter.slug());
    for (number, question) in chapter.quiz.iter().enumerate() {
        let _ = write!(text, "\n### Question {} {{#q-{}}}\n\n", number + 1, question.id);
        text.push_str(&quiz.one(question)?);
    }
    let objectives: Vec<(&str, &str)> = chapter.lesson.front.objectives.iter().map(|o| (o.id.as_str(), o.text.as_str())).collect();
    let _ = write!(text, "\n<div class=\"result\" data-objectives=\"{}\"></div>\n\n", escaped(&serde_json::json!(objectives).to_string()));
    Ok(text)
}

impl Quiz<'_> {
    /// A text of the question's, adapted to the host that the book speaks of.
    fn fill(&self, text: &str) -> Result<String, BookError> {
        Ok(self.values.render(text.trim(), &self.file, 0)?)
    }

    fn one(&self, question: &Question) -> Result<String, BookError> {
        let mut text = self.fill(&question.ask)?;
        if let Some(run) = &question.run {
            let _ = write!(text, "\n\n```sh\n{}\n```", self.fill(run)?);
        }
        let (shown, told, data) = match question.kind {
            Kind::Order => self.order(question)?,
            Kind::Live => self.live(question)?,
            _ if !question.choices.is_empty() => self.choices(question)?,
            _ => self.typed(question)?,
        };
        let kind = match question.kind {
            Kind::One | Kind::Predict if !question.choices.is_empty() => "one",
            Kind::Several => "several",
            Kind::Number => "number",
            Kind::Order => "order",
            Kind::Live => "live",
            _ => "text",
        };
        let mark: String = Sha256::digest(format!("{text}{shown}{told}{data}")).iter().take(4).map(|b| format!("{b:02x}")).collect();
        Ok(format!(
            "<div class=\"question\" data-id=\"{}\" data-kind=\"{kind}\" data-objective=\"{}\" data-mark=\"{mark}\"{data}>\n<div class=\"ask\">\n\n{text}\n\n</div>\n{shown}\n{}</div>\n",
            escaped(&question.id),
            escaped(&question.objective),
            folded("Answer", &told).replacen("<details>", "<details class=\"answer\">", 1),
        ))
    }

    /// Choices in an order of the question's own, so that the right one is not always the first.
    fn choices(&self, question: &Question) -> Result<(String, String, String), BookError> {
        let several = if question.kind == Kind::Several { "<p class=\"paper\">More than one may be right.</p>\n" } else { "" };
        let (mut shown, mut told) = (format!("{several}<ol type=\"A\" class=\"choices\">\n"), String::from("<ol type=\"A\" class=\"reasons\">\n"));
        for number in answer::order("book", &question.id, question.choices.len()) {
            let choice = &question.choices[number];
            let (word, right) = if choice.right { ("Right", " data-right=\"yes\"") } else { ("Wrong", "") };
            let _ = writeln!(shown, "<li data-choice=\"{number}\">{}</li>", html(&self.fill(&choice.text)?));
            let because = html(&self.fill(&choice.because)?);
            let _ = writeln!(told, "<li data-choice=\"{number}\"{right}><strong>{word}.</strong> <span class=\"because\">{because}</span></li>");
        }
        Ok((shown + "</ol>\n", told + "</ol>", String::new()))
    }

    fn order(&self, question: &Question) -> Result<(String, String, String), BookError> {
        let items = question.items.iter().map(|item| Ok(html(&self.fill(item)?))).collect::<Result<Vec<_>, BookError>>()?;
        let mut sorted: Vec<(usize, &String)> = items.iter().enumerate().collect();
        sorted.sort_by_key(|(_, item)| item.to_lowercase());
        let mut shown = String::from("<ul class=\"items\">\n");
        for (place, item) in sorted {
            let _ = writeln!(shown, "<li data-choice=\"{place}\">{item}</li>");
        }
        let told: String = items.iter().map(|item| format!("<li>{item}</li>\n")).collect();
        Ok((shown + "</ul>\n", format!("<ol class=\"rightly\">\n{told}</ol>\n{}", self.because(question)?), String::new()))
    }

    /// Only the reader's own machine knows: its command stands in the answer.
    fn live(&self, question: &Question) -> Result<(String, String, String), BookError> {
        let read = question.read.as_ref().map(|r| self.fill(r)).transpose()?;
        let read = read.map(|r| format!("Your own machine knows:\n\n```sh\n{r}\n```\n\n"));
        Ok((String::new(), read.unwrap_or_default() + &self.because(question)?, String::new()))
    }

    fn typed(&self, question: &Question) -> Result<(String, String, String), BookError> {
        let right = question.answer.as_ref().map(|a| a.all()).unwrap_or_default();
        let right = right.into_iter().map(|r| self.fill(r)).collect::<Result<Vec<_>, _>>()?;
        let mut told = format!("<p><code class=\"rightly\">{}</code></p>\n{}", right.iter().map(|r| escaped(r)).collect::<Vec<_>>().join("</code> or <code>"), self.because(question)?);
        if !question.wrong.is_empty() {
            told.push_str("\n<ul class=\"reasons\">\n");
            for wrong in &question.wrong {
                let is = escaped(&self.fill(&wrong.is.0)?);
                let _ = writeln!(told, "<li data-is=\"{is}\">Not <code>{is}</code>: <span class=\"because\">{}</span></li>", html(&self.fill(&wrong.because)?));
            }
            told.push_str("</ul>");
        }
        let data = format!(" data-answers=\"{}\" data-tolerance=\"{}\"", escaped(&serde_json::json!(right).to_string()), question.tolerance);
        Ok((String::new(), told, data))
    }

    fn because(&self, question: &Question) -> Result<String, BookError> {
        let because = question.because.as_deref().unwrap_or_default();
        Ok(format!("<div class=\"because\">{}</div>", html(&self.fill(because)?)))
    }
}
