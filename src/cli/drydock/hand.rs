//! `drydock hand`: help is wanted. And the instructor's question to all, answered in a terminal.

use super::{Desk, Outcome, asking, boxed};
use crate::cli::out;
use crate::cli::out::visible;
use crate::kernel::Explain;
use crate::learn::Home;
use crate::workshop::{Error, Fact, Member};
use clap::Args;

// Options of `drydock hand`.
#[derive(Debug, Args)]
pub struct Hand {
    /// Take it down again
    #[arg(long)]
    down: bool,
    /// What it is about
    about: Vec<String>,
}

/// Raises the hand, or takes it down.
pub fn run(desk: &mut Desk, args: &Hand) -> Outcome {
    let fact = Fact::Hand { up: !args.down, about: args.about.join(" ") };
    Member::change(&desk.progress.home, |m| m.tell(fact)).map_err(boxed)?.ok_or_else(|| boxed(Error::NoClass))?;
    if args.down {
        println!("Your hand is down.");
    } else {
        println!("Your hand is up: your instructor sees it, with where you are and since when.");
        out::next(&[("drydock hand --down", "if you have found it yourself")]);
    }
    Ok(0)
}

/// Asks the question that is open, if there is one, and keeps the answer to be sent.
pub fn question(home: &Home, member: &Member) -> Result<(), Box<dyn Explain>> {
    let Some(ask) = &member.inbox.ask else { return Ok(()) };
    println!("\n{}\n", visible(ask.text.trim()));
    for (letter, choice) in ('a'..).zip(&ask.choices) {
        out::wrapped(&format!("  {letter}) "), &visible(choice));
    }
    if ask.replied {
        println!("\nYou have answered. Another answer takes its place.");
    }
    let lead = if ask.choices.is_empty() { "  > " } else if ask.several { "  letters, such as ac > " } else { "  letter > " };
    loop {
        let Some(given) = asking::line(lead).filter(|given| !given.is_empty()) else { return Ok(()) };
        let letters = || given.chars().filter(|c| !c.is_whitespace() && *c != ',').map(|c| (c.to_ascii_lowercase() as usize).checked_sub('a' as usize).filter(|i| *i < ask.choices.len()));
        let taken: Option<Vec<usize>> = if ask.choices.is_empty() { Some(Vec::new()) } else { letters().collect() };
        let Some(taken) = taken.filter(|t| ask.several || t.len() <= 1) else {
            println!("  a letter of those above, please; nothing to leave it");
            continue;
        };
        let text = if ask.choices.is_empty() { given } else { String::new() };
        Member::change(home, |m| m.tell(Fact::Reply { ask: ask.id, taken, text })).map_err(boxed)?;
        println!("  sent");
        return Ok(());
    }
}
