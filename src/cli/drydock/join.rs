//! `drydock join`: a learner in a class. What is told to it, and what it tells.
//!
//! Every command of a learner's ends with [`tell`]: what is new goes into a file, and a process of its own
//! takes it to the hub. No command waits for it; where the file cannot be written, a note says so and the
//! course goes on.

use super::{Desk, Outcome, boxed};
use crate::check::{Evidence, Outcome as Stood, Verdict};
use crate::cli::out::{self, visible};
use crate::course::Exercise;
use crate::kernel::Explain;
use crate::learn::Home;
use crate::workshop::event::now;
use crate::workshop::inbox::Closed;
use crate::workshop::{Address, Error, Fact, Member, Stand, carry};
use clap::Args;
use colored::Colorize;
use serde_json::json;
use std::io::IsTerminal;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a sender waits for a hub that is away; the next command starts another.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// The hub is asked for news after this long, in ms, though there is nothing to send.
const STALE: i64 = 10_000;

// Options of `drydock join`.
#[derive(Debug, Args)]
pub struct Join {
    /// CODE@HOST, as the instructor's screen shows it; nothing shows the class that you are in
    address: Option<String>,
    /// Your name in the class; your user name if not given
    #[arg(long, value_name = "NICK")]
    name: Option<String>,
    /// Show what was sent and what waits to be sent
    #[arg(long)]
    show: bool,
    /// Send what waits: what other commands start
    #[arg(long, hide = true)]
    send: bool,
}

impl Join {
    /// It is the sending process.
    pub fn is_sender(&self) -> bool {
        self.send
    }
}

/// Joins, or shows the class.
pub fn run(desk: &mut Desk, args: &Join) -> Outcome {
    let home = desk.progress.home.clone();
    match &args.address {
        Some(text) => join(desk, &home, &text.parse().map_err(boxed)?, args.name.as_deref())?,
        None => {
            let member = Member::read(&home).map_err(boxed)?.ok_or_else(|| boxed(Error::NoClass))?;
            if args.show { show(&member) } else { class(&home, &member)? }
        }
    }
    Ok(0)
}

fn join(desk: &mut Desk, home: &Home, address: &Address, name: Option<&str>) -> Result<(), Box<dyn Explain>> {
    let mut member = match Member::read(home).map_err(boxed)? {
        Some(member) if member.address != address.to_string() => return Err(boxed(Error::InClass(member.address))),
        Some(member) => member,
        None => {
            // The seed is kept first, or the values drawn for this learner would be others next time.
            desk.progress.save().map_err(boxed)?;
            let user = || std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "somebody".into());
            Member::new(address, &name.map_or_else(user, str::to_owned), &desk.progress.record).map_err(boxed)?
        }
    };
    let asked = json!({ "word": address.code.word, "nick": member.nick, "secret": member.secret });
    let answer = carry::ask(address, "", "POST", "/join", Some(&asked)).map_err(boxed)?;
    let inbox = serde_json::from_slice::<serde_json::Value>(&answer).ok().and_then(|v| serde_json::from_value(v["inbox"].clone()).ok());
    let wished = member.nick.clone();
    member.taken(&[], inbox.ok_or_else(|| boxed(Error::Refused("its answer makes no sense".into())))?);
    member.keep(home).map_err(boxed)?;
    println!("You are in: {}", visible(&member.inbox.title).bold());
    if member.nick == wished {
        println!("Your name in the class: {}", visible(&member.nick));
    } else {
        println!("There is a {} already, so your name in the class is {}.", visible(&wished), visible(&member.nick));
    }
    println!();
    out::wrapped("", "From now on the class hears which part and exercise you are at, what a check says and why not yet (without the values drawn for you), how many hints you took, whether an answer was right, your raised hand, and when each of it was. Nothing else: no command that you type, no file, no output.");
    println!();
    out::next(&[
        ("drydock join --show", "see what was sent, to the letter"),
        ("drydock hand", "ask for help"),
        ("drydock leave", "leave the class"),
    ]);
    Ok(())
}

/// What the class says, and the question that is open.
fn class(home: &Home, member: &Member) -> Result<(), Box<dyn Explain>> {
    let _ = carry::send(home);
    let member = Member::read(home).map_err(boxed)?.unwrap_or_else(|| member.clone());
    println!("{}", visible(&member.inbox.title).bold());
    println!("you are {}, in the class of {}", visible(&member.nick), member.address);
    match (&member.refused, member.contact) {
        (Some(why), _) => println!("the hub refuses: {}", visible(why)),
        (None, at) if now() - at < STALE => println!("the hub is there; {} to be sent", member.pending.len()),
        (None, _) => println!("the hub is away; {} kept to be sent", crate::kernel::units::counted(member.pending.len(), "event")),
    }
    member.inbox.messages.iter().for_each(|m| println!("  {}", visible(&m.text)));
    member.inbox.answer.iter().for_each(|a| println!("{}", answered(a)));
    let seen = (member.inbox.messages.last().map(|m| m.id), member.inbox.answer.as_ref().map(|a| a.id));
    seen_all(home, seen);
    if let Some(gate) = &member.inbox.gate {
        println!("the class waits before {}", visible(gate));
    }
    timer(&member);
    super::hand::question(home, &member)
}

fn timer(member: &Member) {
    // By the hub's clock, which may be another than this machine's.
    let hub_now = member.inbox.now + (now() - member.contact);
    if let Some(timer) = member.inbox.timer.as_ref().filter(|t| t.ends > hub_now) {
        let left = (timer.ends - hub_now) / 1000;
        println!("timer: {}:{:02} {}", left / 60, left % 60, visible(&timer.label));
    }
}

/// What was sent, and what waits: as it goes over the network.
fn show(member: &Member) {
    println!("With each of these goes your secret, by which the hub knows you, and your clock's time.");
    println!("Your name in the class: {}\n", visible(&member.nick));
    for (words, events) in [("sent, the last of it", member.sent.iter().collect::<Vec<_>>()), ("to be sent", member.pending.iter().collect())] {
        println!("{words}: {}", if events.is_empty() { "nothing" } else { "" });
        events.iter().for_each(|e| println!("  {}", serde_json::to_string(e).unwrap_or_default()));
    }
}

/// Says what is new from the class, before a learner's command; on standard error, since it is not its output.
pub fn news(desk: &Desk) {
    let home = &desk.progress.home;
    let Ok(Some(member)) = Member::read(home) else { return };
    let fresh: Vec<_> = member.inbox.messages.iter().filter(|m| m.id > member.shown).collect();
    let answer = member.inbox.answer.as_ref().filter(|a| a.id > member.shown_answer);
    for message in &fresh {
        eprintln!("{} {}", "from your instructor:".bold(), visible(&message.text));
    }
    if let Some(ask) = member.inbox.ask.as_ref().filter(|a| !a.replied) {
        eprintln!("{} {}  (drydock join answers it)", "a question to all:".bold(), visible(ask.text.lines().next().unwrap_or_default()));
    }
    answer.iter().for_each(|a| eprintln!("{}", answered(a)));
    seen_all(home, (fresh.last().map(|m| m.id), answer.map(|a| a.id)));
}

fn answered(answer: &Closed) -> String {
    let own = answer.own.map_or("", |right| if right { "You were right. " } else { "You were wrong. " });
    format!("{} {own}{}", "the answer:".bold(), visible(&answer.right.join("; ")))
}

/// The last message and the last answer that were shown, if any: they are not shown again.
fn seen_all(home: &Home, (message, answer): (Option<u64>, Option<u64>)) {
    if message.is_some() || answer.is_some() {
        let _ = Member::change(home, |m| {
            m.shown = m.shown.max(message.unwrap_or(0));
            m.shown_answer = m.shown_answer.max(answer.unwrap_or(0));
        });
    }
}

/// Tells the class of a verdict.
pub fn verdict(desk: &Desk, exercise: &Exercise, verdict: &Verdict) {
    let stand = match verdict.outcome {
        Stood::Passed => Stand::Passed,
        Stood::NotYet => Stand::NotYet,
        Stood::CannotTell => Stand::CannotTell,
    };
    let home = &desk.progress.home;
    if Member::read(home).ok().flatten().is_none() {
        return;
    }
    let in_the_way = in_the_way(verdict);
    let check = in_the_way.map(|e| e.check.clone()).unwrap_or_default();
    let reason = in_the_way.map(|e| without_draws(desk, &exercise.id, &e.meaning)).unwrap_or_default();
    let fact = Fact::Verdict { exercise: exercise.id.clone(), stand, check, reason };
    note(Member::change(home, |m| m.tell(fact)));
    start(home);
}

/// The first thing that stands in the way.
fn in_the_way(verdict: &Verdict) -> Option<&Evidence> {
    verdict.evidence.iter().find(|e| e.outcome == verdict.outcome && e.outcome != Stood::Passed)
}

/// The class would hear the same of both: what is watched changes more often than what it comes to.
pub fn is_alike(a: &Verdict, b: &Verdict) -> bool {
    let heard = |v: &Verdict| (v.outcome, in_the_way(v).map(|e| (e.check.clone(), e.meaning.clone())));
    heard(a) == heard(b)
}

/// A reason with `{name}` where this learner's own value stands: so that a class's reasons are alike.
fn without_draws(desk: &Desk, id: &str, text: &str) -> String {
    let Ok((id, source)) = desk.course.exercise_source(id) else { return text.to_owned() };
    let plain = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let mut draws: Vec<(String, String)> = source.drawn(&id, &desk.progress.record.seed).iter().map(|(name, value)| (name.clone(), plain(value))).collect();
    draws.push(("work".into(), desk.progress.work(&id).display().to_string()));
    // The longest first: one may be part of another.
    draws.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    draws.iter().filter(|(_, value)| value.len() > 1).fold(text.to_owned(), |text, (name, value)| text.replace(value.as_str(), &format!("{{{name}}}")))
}

/// Tells the class what is new in the record, after a learner's command.
pub fn tell(desk: &mut Desk) {
    let home = &desk.progress.home;
    let Ok(Some(member)) = Member::read(home) else { return };
    // A command that let others at the record may hold an old one.
    let record = if desk.progress.is_released() { crate::learn::Progress::open(home.clone()).map(|p| p.record).ok() } else { Some(desk.progress.record.clone()) };
    let Some(record) = record else { return };
    let waits = Member::change(home, |m| {
        m.catch_up(&record);
        !m.pending.is_empty()
    });
    let waits = matches!(waits, Ok(Some(true)));
    if let (Some(gate), Some(place)) = (&member.inbox.gate, &record.place)
        && std::io::stderr().is_terminal()
        && desk.course.folders.iter().map(|f| crate::course::slug(f)).skip_while(|slug| slug != gate).any(|slug| slug == place.chapter)
    {
        eprintln!("note: the class has not come to {} yet; it waits before {}.", place.chapter, visible(gate));
    }
    if waits || now() - member.contact > STALE {
        start(home);
    }
}

fn note<T>(kept: Result<T, Error>) {
    if let Err(e) = kept {
        eprintln!("note: the class does not hear of this: {e}");
    }
}

/// Starts the process that sends. Nobody waits for it.
fn start(home: &Home) {
    let Ok(own) = std::env::current_exe() else { return };
    let _ = Command::new(own)
        .args(["join", "--send"])
        .env("DRYDOCK_HOME", &home.folder)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
}

/// The process that sends.
pub fn send() -> Outcome {
    // It outlives the terminal that it was started from, and nobody's Ctrl-C is meant for it.
    let _ = nix::unistd::setsid();
    let home = Home::find().map_err(boxed)?;
    carry::deliver(&home, PATIENCE).map_err(boxed)?;
    Ok(0)
}
