//! Asking one question, wherever it comes from: a chapter's quiz, placement, review, exam.
//!
//! Works from a pipe too: an answer a line. What was answered is kept at once.

use super::{Desk, boxed};
use crate::cli::out;
use crate::course::Chapter;
use crate::course::quiz::{Kind, Question};
use crate::course::template::Values;
use crate::kernel::Explain;
use crate::learn::answer::{self, Marked};
use crate::learn::ask as machine;
use crate::learn::doctor::Report;
use colored::Colorize;
use std::io::{BufRead, IsTerminal, Write};

/// What became of a question.
pub enum Came {
    /// It was answered.
    To(Marked),
    /// It was left out, by the learner or because this machine cannot answer it.
    Nothing,
    /// The learner wants no more.
    End,
}

/// Says whether it was right, and why.
fn tell(marked: &Marked) {
    println!("  {}", if marked.right { "right".green() } else { "wrong".yellow() });
    for reason in &marked.because {
        out::paragraph("  ", reason);
    }
    println!();
}

/// Asks a question of a chapter, says what its answer came to, and keeps that.
pub fn put(desk: &mut Desk, chapter: &Chapter, question: &Question) -> Result<Came, Box<dyn Explain>> {
    let came = ask(desk, question, &format!("lessons/{}/quiz.yaml", chapter.folder))?;
    if let Came::To(marked) = &came {
        tell(marked);
        desk.progress.answered(&question.id, marked.right).map_err(boxed)?;
    }
    Ok(came)
}

/// Asks one question.
pub fn ask(desk: &Desk, question: &Question, file: &str) -> Result<Came, Box<dyn Explain>> {
    let values = Values::of(&desk.facts);
    let fill = |text: &str| values.render(text, file, 0).map_err(boxed);
    out::markdown(fill(&question.ask)?.trim());
    let command = question.run.as_ref().or(question.read.as_ref()).map(|c| fill(c)).transpose()?;
    if let Some(run) = command.as_ref().filter(|_| question.run.is_some()) {
        println!("  $ {}\n", run.trim().bold());
    }
    if let Some(missing) = command.as_ref().and_then(|c| machine::lacks(c, &Report::make())) {
        return Ok(left_out(&missing));
    }
    let seed = &desk.progress.record.seed;
    if !question.choices.is_empty() {
        let order = answer::order(seed, &question.id, question.choices.len());
        for (letter, index) in ('a'..).zip(&order) {
            out::paragraph(&format!("  {letter}) "), fill(&question.choices[*index].text)?.trim());
        }
        let several = question.kind == Kind::Several;
        let lead = if several { "  letters, such as ac > " } else { "  letter > " };
        let taken = match chosen(lead, &order, if several { order.len() } else { 1 }) {
            None => return Ok(Came::End),
            Some(taken) if taken.is_empty() => return Ok(Came::Nothing),
            Some(taken) => taken,
        };
        let truth = match &command {
            Some(command) => match ran(command, question, desk) {
                Ok(truth) => Some(truth),
                Err(missing) => return Ok(left_out(&missing)),
            },
            None => None,
        };
        return Ok(Came::To(answer::choices(question, &taken, truth)));
    }
    if question.kind == Kind::Order {
        return Ok(in_order(question, seed));
    }
    let given = match line("  > ") {
        None => return Ok(Came::End),
        Some(given) if given.is_empty() => return Ok(Came::Nothing),
        Some(given) => given,
    };
    let right = match &command {
        Some(read) => match machine::output(read, &desk.progress.home) {
            Ok(text) => vec![text.trim().to_owned()],
            Err(missing) => return Ok(left_out(&missing)),
        },
        None => question.answer.iter().flat_map(|a| a.all()).map(String::from).collect(),
    };
    Ok(Came::To(answer::typed(question, &given, &right.iter().map(String::as_str).collect::<Vec<_>>())))
}

/// Says why a question does not count here.
fn left_out(missing: &str) -> Came {
    out::wrapped("  left out, since this machine cannot answer it: ", missing);
    println!();
    Came::Nothing
}

/// Asks until the answer is letters that stand there; none for an empty one, `None` at the end.
fn chosen(lead: &str, order: &[usize], most: usize) -> Option<Vec<usize>> {
    loop {
        let given = line(lead)?;
        if let Some(taken) = letters(&given, order).filter(|taken| taken.len() <= most) {
            return Some(taken);
        }
        let last = char::from(b'a' + u8::try_from(order.len().saturating_sub(1)).unwrap_or(25));
        let what = if most == 1 { "one letter" } else { "letters" };
        println!("  {what} from a to {last}, please; nothing to leave it out, q to end");
    }
}

/// The things that were meant by letters; `None` if one stands for nothing.
fn letters(given: &str, order: &[usize]) -> Option<Vec<usize>> {
    let meant = given.to_lowercase();
    let letters = meant.chars().filter(|c| !c.is_whitespace() && *c != ',');
    letters.map(|c| order.get((c as usize).checked_sub('a' as usize)?).copied()).collect()
}

/// Things to be put in order, shown shuffled.
fn in_order(question: &Question, seed: &str) -> Came {
    let order = answer::order(seed, &question.id, question.items.len());
    for (letter, index) in ('a'..).zip(&order) {
        out::paragraph(&format!("  {letter}) "), question.items[*index].trim());
    }
    match chosen("  in order, such as bca > ", &order, order.len()) {
        None => Came::End,
        Some(given) if given.is_empty() => Came::Nothing,
        Some(given) => Came::To(answer::ordered(question, &given)),
    }
}

/// Runs what was to be predicted, shows what it printed, and says which choice that makes right.
fn ran(command: &str, question: &Question, desk: &Desk) -> Result<usize, String> {
    let text = machine::output(command, &desk.progress.home)?;
    println!("  it was run, and printed:");
    for line in text.lines().take(12) {
        println!("    {line}");
    }
    answer::truth(question, &text).ok_or_else(|| "what it printed is none of the answers".into())
}

/// A line of the learner's; `None` at the end of input, or for q.
pub fn line(lead: &str) -> Option<String> {
    // Where nobody's Enter is echoed, the prompt ends its own line.
    let echoed = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    print!("{}{}", if echoed { lead } else { lead.trim_end() }, if echoed { "" } else { "\n" });
    let _ = std::io::stdout().flush();
    let mut text = String::new();
    match std::io::stdin().lock().read_line(&mut text) {
        Ok(n) if n > 0 && text.trim() != "q" => Some(text.trim().to_owned()),
        read => {
            if echoed && read.is_ok_and(|n| n == 0) {
                println!();
            }
            None
        }
    }
}
