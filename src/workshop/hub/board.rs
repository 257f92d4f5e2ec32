//! The board: the class as rows, groups and a head, for pages (JSON) and for a terminal (plain text).

use super::Hub;
use super::class::Class;
use super::learner::{Doing, Learner};
use crate::workshop::event::now;
use crate::workshop::program::Program;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The whole class.
pub fn all(hub: &Hub) -> Value {
    let program = &hub.program;
    let chapters: Vec<Value> = program.chapters.iter().map(|c| json!({ "slug": c.slug, "number": c.number, "title": c.title, "minutes": c.minutes, "before": c.before })).collect();
    let exercises: Vec<Value> = program.exercises.iter().map(|e| json!({ "id": e.id, "title": e.title, "chapter": e.chapter })).collect();
    let class = hub.class();
    let rows: Vec<Value> = (0..class.learners.len()).filter_map(|at| row(&class, at, program)).collect();
    json!({ "chapters": chapters, "exercises": exercises, "rows": rows, "head": head(&class, hub) })
}

/// What has changed since it was last asked; none where nothing has.
pub fn changes(hub: &Hub) -> Option<Value> {
    let mut class = hub.class();
    let changed = std::mem::take(&mut class.changed);
    let noted = std::mem::take(&mut hub.notes().changed);
    if changed.is_empty() && !noted {
        return None;
    }
    let rows: Vec<Value> = changed.iter().filter_map(|at| row(&class, *at, &hub.program)).collect();
    Some(json!({ "rows": rows, "head": head(&class, hub) }))
}

/// One learner.
fn row(class: &Class, at: usize, program: &Program) -> Option<Value> {
    let learner = class.learners.get(at)?;
    let signs: String = (0..program.exercises.len()).map(|e| learner.sign(e)).collect();
    let (doing, since) = learner.doing.map_or((None, learner.joined), |(doing, since)| (Some(doing), since));
    let work = match doing {
        Some(Doing::Exercise(e)) => learner.work.get(&e).copied().unwrap_or_default(),
        _ => Default::default(),
    };
    Some(json!({
        "i": at, "id": learner.id, "nick": learner.nick, "signs": signs,
        "doing": place(doing, program), "at": if let Some(Doing::Exercise(e)) = doing { Some(e) } else { None },
        "since": since, "seen": learner.seen, "reason": learner.stuck().map(|r| r.text.as_str()),
        "checks": work.checks, "hints": work.hints,
        "hand": learner.hand.as_ref().map(|(about, since)| json!({ "about": about, "since": since })),
        "position": (learner.position(program) * 10.0).round() / 10.0,
        "left": learner.left, "removed": learner.removed, "browser": learner.browser,
    }))
}

/// Where a learner is, in words.
pub fn place(doing: Option<Doing>, program: &Program) -> String {
    match doing {
        None => "just joined".into(),
        Some(Doing::Exercise(e)) => program.exercises[e].id.clone(),
        Some(Doing::Reading(chapter, part)) => {
            let chapter = &program.chapters[chapter];
            format!("{} {} of {}", chapter.slug, part, chapter.parts)
        }
    }
}

/// Learners who are stuck on the same: exercise, reason, who.
pub fn groups(class: &Class) -> Vec<(usize, String, Vec<usize>)> {
    let mut groups: BTreeMap<(usize, &str), Vec<usize>> = BTreeMap::new();
    for (at, learner) in class.learners.iter().enumerate().filter(|(_, l)| is_here(l)) {
        if let Some(reason) = learner.stuck() {
            groups.entry((reason.exercise, reason.text.as_str())).or_default().push(at);
        }
    }
    let mut all: Vec<_> = groups.into_iter().map(|((exercise, text), who)| (exercise, text.to_owned(), who)).collect();
    all.sort_by_key(|(exercise, _, who)| (std::cmp::Reverse(who.len()), *exercise));
    all.truncate(20);
    all
}

fn is_here(learner: &Learner) -> bool {
    !learner.left && !learner.removed
}

/// What stands above the rows.
fn head(class: &Class, hub: &Hub) -> Value {
    let program = &hub.program;
    let groups: Vec<Value> = groups(class).into_iter().map(|(exercise, text, who)| json!({ "exercise": exercise, "reason": text, "count": who.len(), "who": &who[..who.len().min(50)] })).collect();
    let poll = class.polls.last().map(|poll| {
        let spread: Vec<Value> = poll.spread(program).into_iter().map(|(text, count, right)| json!({ "text": text, "count": count, "right": right })).collect();
        json!({ "id": poll.id, "text": poll.text, "open": poll.closed.is_none(), "replies": poll.replies.len(), "spread": spread })
    });
    let here = class.learners.iter().filter(|l| is_here(l)).count();
    let notes = hub.notes();
    let lines: Vec<Value> = notes.lines.iter().map(|(at, line)| json!({ "at": at, "line": line })).collect();
    json!({
        "title": program.title, "now": now(), "began": class.began, "minutes": program.minutes(), "here": here,
        "join": hub.address.get(), "groups": groups, "poll": poll, "timer": class.timer, "gate": class.gate(program),
        "messages": class.messages.iter().rev().take(5).collect::<Vec<_>>(), "notes": lines, "trouble": notes.trouble,
    })
}

/// The board as plain text.
pub fn text(hub: &Hub) -> String {
    let (class, program, now) = (hub.class(), &hub.program, now());
    let here: Vec<&Learner> = class.learners.iter().filter(|l| is_here(l)).collect();
    let hands = here.iter().filter(|l| l.hand.is_some()).count();
    let mut out = format!("{}: {}, {}\n", program.title, count(here.len(), "learner"), count(hands, "hand") + " up");
    let elapsed = class.began.map(|began| (now - began).max(0) as f64 / 60_000.0);
    match elapsed {
        None => out.push_str("plan: not started\n"),
        Some(minutes) => {
            let at = program.chapters.iter().rev().find(|c| f64::from(c.before) <= minutes).or(program.chapters.first());
            let _ = writeln!(out, "plan: minute {:.0} of {}, {}", minutes, program.minutes(), at.map_or("", |c| &c.title));
        }
    }
    if let Some(gate) = class.gate(program) {
        let _ = writeln!(out, "gate: the class waits before {gate}");
    }
    if let Some(timer) = class.timer.as_ref().filter(|t| t.ends > now) {
        let left = (timer.ends - now) / 1000;
        let _ = writeln!(out, "timer: {}:{:02} {}", left / 60, left % 60, timer.label);
    }
    let notes = hub.notes();
    if let Some(trouble) = &notes.trouble {
        let _ = writeln!(out, "trouble: nothing can be written down: {trouble}. Learners keep what they have to say");
    }
    for (_, line) in &notes.lines {
        let _ = writeln!(out, "note: {line}");
    }
    drop(notes);
    out.push('\n');
    rows(&mut out, &here, program, elapsed, now);
    let groups = groups(&class);
    if !groups.is_empty() {
        out.push_str("\nnot yet, together\n");
    }
    for (exercise, reason, who) in groups {
        let names: Vec<&str> = who.iter().take(6).map(|at| class.learners[*at].nick.as_str()).collect();
        let more = who.len().checked_sub(names.len()).filter(|n| *n > 0).map(|n| format!(" and {n} more")).unwrap_or_default();
        let _ = writeln!(out, "{:>4}  {}: {reason}\n      {}{more}", who.len(), program.exercises[exercise].id, names.join(", "));
    }
    if let Some(poll) = class.polls.last() {
        let _ = writeln!(out, "\nquestion{}: {}", if poll.closed.is_some() { " (closed)" } else { "" }, poll.text.replace('\n', " "));
        for (text, count, right) in poll.spread(program) {
            let _ = writeln!(out, "{count:>4}  {}{text}", if right == Some(true) { "(right) " } else { "" });
        }
        let _ = writeln!(out, "{} of {} have answered", poll.replies.len(), here.len());
    }
    out
}

fn rows(out: &mut String, here: &[&Learner], program: &Program, elapsed: Option<f64>, now: i64) {
    let wide = here.iter().map(|l| l.nick.chars().count()).max().unwrap_or(0).max(7);
    let places: Vec<String> = here.iter().map(|l| place(l.doing.map(|d| d.0), program)).collect();
    let far = places.iter().map(|p| p.chars().count()).max().unwrap_or(0).max(2);
    let _ = writeln!(out, "{:<wide$}  {:<far$}  {:>6}  {:>5}  {:>6}  why not yet", "learner", "at", "for", "done", "pace");
    let mut order: Vec<usize> = (0..here.len()).collect();
    // Whoever waits for help first, then whoever has been at the same for longest.
    order.sort_by_key(|i| (here[*i].hand.as_ref().map_or(i64::MAX, |(_, since)| *since), here[*i].doing.map_or(i64::MAX, |(_, since)| since)));
    for i in order {
        let learner = here[i];
        let minutes = (now - learner.doing.map_or(learner.joined, |d| d.1)).max(0) / 60_000;
        let done = (0..program.exercises.len()).filter(|e| learner.sign(*e) == '+').count();
        let pace = elapsed.map_or("-".into(), |e| format!("{:+.0}", learner.position(program) - e.min(f64::from(program.minutes()))));
        let hand = learner.hand.as_ref().map(|(about, _)| if about.is_empty() { "HAND UP  ".to_owned() } else { format!("HAND UP: {about}  ") });
        let why = format!("{}{}", hand.unwrap_or_default(), learner.stuck().map_or("", |r| &r.text));
        let line = format!("{:<wide$}  {:<far$}  {:>6}  {:>5}  {:>6}  {why}", learner.nick, places[i], format!("{minutes} min"), done, pace);
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// `1 learner`, `2 learners`.
fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
