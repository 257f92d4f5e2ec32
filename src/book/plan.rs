//! The plan of `skiff run` as a figure: each step with what it changed in the kernel.
//!
//! It is made of what `skiff run --step` printed when it was recorded (in the lab, on a kernel with
//! control groups version 2): book/recorded/skiff-run.txt, as it came out. A test holds its steps
//! to the plan that `skiff run --dry-run` prints today. Folded and readable without a script;
//! book/theme/plan.js walks through it and keeps count of what the process has become.

use super::BookError;
use super::markup::escaped;
use crate::course::Error;
use std::fmt::Write;

/// Path of the recording below the book's root.
pub const FILE: &str = "recorded/skiff-run.txt";

/// A recorded step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The word typed after `skiff step`.
    pub name: String,
    /// What it did, with its objects.
    pub what: String,
    /// Why a container needs it there.
    pub why: String,
    /// The system calls.
    pub calls: String,
    /// Where it is documented.
    pub man: String,
    /// What the kernel showed of the process before and no longer after.
    pub gone: Vec<String>,
    /// What it shows since.
    pub new: Vec<String>,
}

/// Reads a recording: what `skiff run --step` prints, Enter after Enter.
pub fn steps(text: &str) -> Result<Vec<Recorded>, BookError> {
    let mut steps: Vec<Recorded> = Vec::new();
    let mut field = "";
    for (number, line) in text.lines().enumerate() {
        if let Some((_, name)) = line.split_once(' ').filter(|(count, _)| count.split_once('/').is_some_and(|(n, of)| n.parse::<u32>().is_ok() && of.parse::<u32>().is_ok())) {
            steps.push(Recorded { name: name.to_owned(), ..Recorded::default() });
            continue;
        }
        let wrong = |problem: &str| Error::File { file: format!("book/{FILE}"), line: number + 1, problem: problem.to_owned() };
        if line.is_empty() || line.starts_with("  [Enter]") || line.starts_with("  (nothing") {
            field = "";
            continue;
        }
        let step = steps.last_mut().ok_or_else(|| wrong("no step has begun: expected a line such as `1/32 limit`"))?;
        if let Some(change) = line.strip_prefix("  - ") {
            step.gone.push(change.to_owned());
            continue;
        }
        if let Some(change) = line.strip_prefix("  + ") {
            step.new.push(change.to_owned());
            continue;
        }
        let (next, words) = match line.trim_start().split_once(": ") {
            Some((word @ ("what" | "why" | "call" | "read"), words)) => (word, words.trim()),
            _ => (field, line.trim()),
        };
        let begins = next != field;
        field = next;
        let to = match field {
            "what" => &mut step.what,
            "why" => &mut step.why,
            "call" => &mut step.calls,
            "read" => &mut step.man,
            _ => return Err(wrong("expected what:, why:, call:, read: or a change").into()),
        };
        // A path that was wrapped goes on without a space.
        let in_path = to.split_whitespace().next_back().is_some_and(|word| word.ends_with('/') || word.contains("/containers/"));
        if !begins && !in_path {
            to.push(' ');
        }
        to.push_str(words);
    }
    for step in &mut steps {
        tidy(step);
    }
    Ok(steps)
}

/// What only moved in the listing is no change, and an id is enough with its first digits.
fn tidy(step: &mut Recorded) {
    let (gone, new) = (step.gone.clone(), step.new.clone());
    step.gone.retain(|line| !new.contains(line));
    step.new.retain(|line| !gone.contains(line));
    for text in step.gone.iter_mut().chain(&mut step.new).chain([&mut step.what]) {
        *text = shortened(text);
    }
}

/// Ids of 64 digits, cut after twelve as `skiff ps` does.
fn shortened(text: &str) -> String {
    let (mut out, mut run) = (String::with_capacity(text.len()), 0);
    for c in text.chars() {
        run = if c.is_ascii_hexdigit() { run + 1 } else { 0 };
        if run <= 12 {
            out.push(c);
        }
    }
    out
}

/// Steps whose source a page of this book quotes: (name, anchor of the heading there).
const QUOTED: [(&str, &str); 9] = [
    ("unshare", "moving-the-pointers"),
    ("fork", "why-there-is-a-fork-in-the-middle"),
    ("plug", "a-cable-to-the-host"),
    ("rootfs", "layers-become-a-folder"),
    ("proc", "layers-become-a-folder"),
    ("mount", "layers-become-a-folder"),
    ("pivot-root", "another-root"),
    ("caps", "letting-go"),
    ("exec", "and-then-it-becomes-your-program"),
];

/// The figure.
pub fn figure(text: &str) -> Result<String, BookError> {
    let steps = steps(text)?;
    let mut page = format!("<div class=\"plan\" data-steps=\"{}\">\n<ol>\n", steps.len());
    for (number, step) in steps.iter().enumerate() {
        let _ = writeln!(page, "<li id=\"step-{}\"><details><summary><code>{}</code> {}</summary>", number + 1, escaped(&step.name), escaped(&step.what));
        let _ = writeln!(page, "<p>{}.</p>", escaped(&capital(&step.why)));
        let _ = writeln!(page, "<dl><dt>System calls</dt><dd><code>{}</code></dd>", escaped(&step.calls));
        let _ = writeln!(page, "<dt>Man pages</dt><dd>{}</dd>", man_pages(&step.man));
        let source = QUOTED.iter().find(|(name, _)| *name == step.name);
        if let Some((_, anchor)) = source {
            let _ = writeln!(page, "<dt>Source</dt><dd><a href=\"engine.html#{anchor}\">read aloud in this book</a></dd>");
        }
        let _ = writeln!(page, "</dl>");
        page.push_str(&changes(step));
        page.push_str("</details></li>\n");
    }
    Ok(page + "</ol>\n</div>\n")
}

fn changes(step: &Recorded) -> String {
    if step.gone.is_empty() && step.new.is_empty() {
        return "<p>Nothing that /proc shows of the process changes.</p>".to_owned();
    }
    let list = |title: &str, class: &str, lines: &[String]| {
        if lines.is_empty() {
            return String::new();
        }
        let items: String = lines.iter().map(|l| format!("<li><code>{}</code></li>", escaped(l))).collect();
        format!("<p>{title}:</p><ul class=\"{class}\">{items}</ul>")
    };
    list("Before", "gone", &step.gone) + &list("After", "new", &step.new)
}

/// `unshare(2), namespaces(7)` as links; what is no man page stays as it is.
fn man_pages(names: &str) -> String {
    let link = |name: &str| match name.split_once('(').and_then(|(page, rest)| Some((page, rest.strip_suffix(')')?))) {
        Some((page, section)) => format!("<a href=\"https://man7.org/linux/man-pages/man{section}/{page}.{section}.html\">{name}</a>"),
        None => escaped(name),
    };
    names.split(", ").map(link).collect::<Vec<_>>().join(", ")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_read_step_by_step() {
        let text = "1/2 limit\n  what: move into\n        a cgroup\n  why:  so\n  call: mkdir\n  read: cgroups(7)\n  [Enter] do it > \n  - cgroup /\n  + cgroup /a\n\n2/2 exec\n  what: become true\n  why:  end\n  call: execve\n  read: execve(2)\n";
        let read = steps(text).expect("it is a recording");
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].what.as_str(), read[0].gone[0].as_str(), read[0].new[0].as_str()), ("move into a cgroup", "cgroup /", "cgroup /a"));
        assert_eq!(read[1].man, "execve(2)");
        assert_eq!(steps("  what: x\n").expect_err("nothing has begun").to_string(), "book/recorded/skiff-run.txt:1: no step has begun: expected a line such as `1/32 limit`");
    }

    #[test]
    fn a_long_id_is_cut_and_what_only_moved_is_no_change() {
        let mut step = Recorded { gone: vec!["a".into(), "b".into()], new: vec!["b".into(), format!("/x/{}", "0f".repeat(32))], ..Recorded::default() };
        tidy(&mut step);
        assert_eq!((step.gone, step.new), (vec!["a".to_owned()], vec!["/x/0f0f0f0f0f0f".to_owned()]));
    }
}
