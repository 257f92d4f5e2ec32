//! `drydock quiz`: a chapter's questions, one after the other.
//!
//! Works from a pipe too: an answer a line; the end of input ends it politely, and what was answered
//! is kept.

use super::{Desk, Outcome, boxed};
use crate::cli::out;
use crate::course::quiz::{Kind, Question};
use crate::course::template::Values;
use crate::kernel::Explain;
use crate::learn::answer::{self, Marked};
use crate::learn::shell;
use colored::Colorize;
use std::io::{BufRead, Write};
use std::process::{Command, Stdio};

/// Asks all questions of a chapter; those answered wrongly before come first.
pub fn run(desk: &mut Desk, chapter: Option<&str>) -> Outcome {
    let name = match (chapter, &desk.progress.record.place) {
        (Some(name), _) => name.to_owned(),
        (None, Some(place)) => place.chapter.clone(),
        (None, None) => desk.course.folders.first().cloned().unwrap_or_default(),
    };
    let chapter = desk.course.chapter(&name).map_err(boxed)?;
    let mut questions: Vec<&Question> = chapter.quiz.iter().collect();
    questions.sort_by_key(|q| desk.progress.record.answers.get(&q.id).map_or(1, |a| u32::from(a.right) * 2));
    // Kept before the first answer: the order of the choices comes from the learner's seed.
    desk.progress.save().map_err(boxed)?;
    println!("{}", format!("{}: {} questions", chapter.lesson.front.title, questions.len()).bold());
    println!("Type a letter, or what is asked for. An empty line leaves a question out, q ends.\n");
    let (mut right, mut asked) = (0, 0);
    for question in questions {
        let Some(marked) = ask(desk, question, &format!("lessons/{}/quiz.yaml", chapter.folder))? else { break };
        let Some(marked) = marked else { continue };
        asked += 1;
        right += u32::from(marked.right);
        println!("  {}", if marked.right { "right".green() } else { "wrong".yellow() });
        for reason in &marked.because {
            out::paragraph("  ", reason);
        }
        println!();
        let answered = desk.progress.record.answers.entry(question.id.clone()).or_default();
        answered.tries += 1;
        answered.right = marked.right;
        desk.progress.save().map_err(boxed)?;
    }
    println!("{right} of {asked} right.");
    out::next(&[("drydock quiz", "those you missed come first"), ("drydock next", "go on")]);
    Ok(0)
}

/// Asks one question. `None` ends the quiz, `Some(None)` leaves the question out.
fn ask(desk: &Desk, question: &Question, file: &str) -> Result<Option<Option<Marked>>, Box<dyn Explain>> {
    let values = Values::of(&desk.facts);
    let fill = |text: &str| values.render(text, file, 0).map_err(boxed);
    out::markdown(fill(&question.ask)?.trim());
    if let Some(run) = &question.run {
        println!("  $ {}\n", fill(run)?.trim().bold());
    }
    let seed = &desk.progress.record.seed;
    if !question.choices.is_empty() {
        let order = answer::order(seed, &question.id, question.choices.len());
        for (letter, index) in ('a'..).zip(&order) {
            out::paragraph(&format!("  {letter}) "), fill(&question.choices[*index].text)?.trim());
        }
        let lead = if question.kind == Kind::Several { "  letters, such as ac > " } else { "  letter > " };
        let Some(given) = line(lead) else { return Ok(None) };
        if given.is_empty() {
            return Ok(Some(None));
        }
        let taken: Vec<usize> = given.to_lowercase().chars().filter(char::is_ascii_lowercase).filter_map(|c| order.get(c as usize - 'a' as usize).copied()).collect();
        let truth = match &question.run {
            Some(run) => ran(&fill(run)?, question),
            None => None,
        };
        return Ok(Some(Some(answer::choices(question, &taken, truth))));
    }
    if question.kind == Kind::Order {
        return in_order(question, seed);
    }
    let right = match &question.read {
        Some(read) => vec![output(&fill(read)?).trim().to_owned()],
        None => question.answer.iter().flat_map(|a| a.all()).map(String::from).collect(),
    };
    let Some(given) = line("  > ") else { return Ok(None) };
    if given.is_empty() {
        return Ok(Some(None));
    }
    Ok(Some(Some(answer::typed(question, &given, &right.iter().map(String::as_str).collect::<Vec<_>>()))))
}

/// Things to be put in order, shown shuffled.
fn in_order(question: &Question, seed: &str) -> Result<Option<Option<Marked>>, Box<dyn Explain>> {
    let order = answer::order(seed, &question.id, question.items.len());
    for (letter, index) in ('a'..).zip(&order) {
        out::paragraph(&format!("  {letter}) "), question.items[*index].trim());
    }
    let Some(given) = line("  in order, such as bca > ") else { return Ok(None) };
    if given.is_empty() {
        return Ok(Some(None));
    }
    let taken: Vec<usize> = given.to_lowercase().chars().filter(char::is_ascii_lowercase).filter_map(|c| order.get(c as usize - 'a' as usize).copied()).collect();
    Ok(Some(Some(answer::ordered(question, &taken))))
}

/// Runs what was to be predicted, shows what it printed, and says which choice that makes right.
fn ran(command: &str, question: &Question) -> Option<usize> {
    let text = output(command);
    println!("  it was run, and printed:");
    for line in text.lines().take(12) {
        println!("    {line}");
    }
    answer::truth(question, &text)
}

/// What a command prints, on both streams.
fn output(command: &str) -> String {
    let mut path = shell::skiff().parent().map(|p| p.as_os_str().to_owned()).unwrap_or_default();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let run = Command::new("sh").arg("-c").arg(format!("({command}) 2>&1")).env("PATH", path).stdin(Stdio::null()).output();
    run.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default()
}

/// A line of the learner's; `None` at the end of input, or for q.
fn line(lead: &str) -> Option<String> {
    print!("{lead}");
    let _ = std::io::stdout().flush();
    let mut text = String::new();
    match std::io::stdin().lock().read_line(&mut text) {
        Ok(n) if n > 0 && text.trim() != "q" => Some(text.trim().to_owned()),
        _ => {
            println!();
            None
        }
    }
}
