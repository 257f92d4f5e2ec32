//! A quiz on paper: the questions, and each answer folded with its reasons.

use super::BookError;
use super::lesson::folded;
use crate::course::quiz::{Kind, Question};
use crate::course::template::Values;
use std::fmt::Write;

/// The quiz's section.
pub fn section(questions: &[Question], values: &Values) -> Result<String, BookError> {
    let mut text = String::from("\n## Quiz\n\nAnswer first, then open. In a terminal, `drydock quiz` asks the same and marks you.\n");
    for (number, question) in questions.iter().enumerate() {
        let _ = write!(text, "\n### Question {}\n\n", number + 1);
        text.push_str(&one(question)?);
    }
    // One rendering for all: a question's commands adapt to the host as a lesson's do.
    Ok(values.render(&text, "quiz.yaml", 0)?)
}

fn one(question: &Question) -> Result<String, BookError> {
    let mut text = format!("{}\n\n", question.ask.trim());
    if let Some(run) = &question.run {
        let _ = write!(text, "```sh\n{run}\n```\n\n");
    }
    let told = match question.kind {
        Kind::One | Kind::Several | Kind::Predict if !question.choices.is_empty() => choices(question, &mut text),
        Kind::Order => order(question, &mut text),
        Kind::Live => live(question),
        _ => typed(question),
    };
    text.push_str(&folded("Answer", &told));
    Ok(text)
}

fn choices(question: &Question, text: &mut String) -> String {
    if question.kind == Kind::Several {
        text.push_str("More than one may be right.\n\n");
    }
    let mut told = String::new();
    for (letter, number) in ('A'..='Z').zip(crate::learn::answer::order("book", &question.id, question.choices.len())) {
        let choice = &question.choices[number];
        let _ = writeln!(text, "- **{letter}.** {}", choice.text.trim());
        let word = if choice.right { "right" } else { "wrong" };
        let _ = writeln!(told, "- **{letter}** is {word}. {}", choice.because.trim());
    }
    text.push('\n');
    told
}

fn order(question: &Question, text: &mut String) -> String {
    let mut shown: Vec<&String> = question.items.iter().collect();
    shown.sort();
    for item in shown {
        let _ = writeln!(text, "- {}", item.trim());
    }
    text.push('\n');
    let mut told = String::new();
    for (number, item) in question.items.iter().enumerate() {
        let _ = writeln!(told, "{}. {}", number + 1, item.trim());
    }
    format!("{told}\n{}", reason(question))
}

fn live(question: &Question) -> String {
    let read = question.read.as_ref().map(|r| format!("Your own machine knows:\n\n```sh\n{r}\n```\n\n"));
    read.unwrap_or_default() + reason(question)
}

fn typed(question: &Question) -> String {
    let right = question.answer.as_ref().map(|a| a.all().join("` or `")).unwrap_or_default();
    let mut told = format!("`{right}`. {}\n\n", reason(question));
    for wrong in &question.wrong {
        let _ = writeln!(told, "- Not `{}`: {}", wrong.is.0, wrong.because.trim());
    }
    told
}

fn reason(question: &Question) -> &str {
    question.because.as_deref().unwrap_or_default().trim()
}
