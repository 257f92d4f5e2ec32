//! What skiff draws: a process's view, and what a step changed.

use crate::engine::step::About;
use crate::kernel::view::View;
use colored::Colorize;
use similar::{ChangeTag, TextDiff};
use std::io::Write;

/// Prints a line; a closed output is no reason to leave a container behind, so that is passed over.
macro_rules! say {
    ($($text:tt)*) => {
        drop(writeln!(std::io::stdout(), $($text)*))
    };
}
pub(super) use say;

/// Prose under a heading, wrapped to the terminal, indented under its first word.
pub fn wrapped(lead: &str, text: &str) {
    let width = textwrap::termwidth().min(100);
    let indent = " ".repeat(lead.len());
    say!("{}", textwrap::fill(text, textwrap::Options::new(width).initial_indent(lead).subsequent_indent(&indent)));
}

/// What is about to happen, and why.
pub fn announce(number: Option<(usize, usize)>, about: &About) {
    let number = number.map(|(n, of)| format!("{n}/{of} ")).unwrap_or_default();
    say!("{}", format!("{number}{}", about.name).bold());
    wrapped("  what: ", &about.what);
    wrapped("  why:  ", about.why);
    wrapped("  call: ", &about.syscalls.join(", "));
    wrapped("  read: ", &about.man.join(", "));
}

/// The whole plan: what `--dry-run` prints.
pub fn plan(steps: &[About]) {
    for (number, about) in steps.iter().enumerate() {
        say!("{:>2}  {:<13} {}", number + 1, about.name.bold(), about.what);
        say!("    {:<13} {}", "", about.syscalls.join(", ").dimmed());
    }
}

/// What a step changed in the kernel's view of the process, as a diff: `-` before, `+` after.
pub fn changes(before: &View, after: &View) {
    let (before, after) = (before.lines().join("\n"), after.lines().join("\n"));
    let diff = TextDiff::from_lines(&before, &after);
    let mut any = false;
    for change in diff.iter_all_changes() {
        let line = change.value().trim_end();
        match change.tag() {
            ChangeTag::Equal => continue,
            ChangeTag::Delete => say!("  {}", format!("- {line}").red()),
            ChangeTag::Insert => say!("  {}", format!("+ {line}").green()),
        }
        any = true;
    }
    if !any {
        say!("  (nothing that /proc shows of this process has changed)");
    }
    say!();
}

/// A process in the kernel's eyes, its namespaces beside ours.
pub fn view(view: &View, own: &View) {
    say!("process {} here, {} inside", view.pid, view.pids.last().copied().unwrap_or_default());
    for (kind, inode) in &view.namespaces {
        let shared = if own.namespaces.get(kind) == Some(inode) { "shared with the host" } else { "its own" };
        say!("  namespace {:<7} {inode}  {shared}", kind.to_string());
    }
    let rest = view.lines();
    for line in rest.iter().filter(|l| !l.starts_with("namespace ") && !l.starts_with("pid ")) {
        say!("  {line}");
    }
}
