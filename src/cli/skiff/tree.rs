//! `skiff ps --tree`: each container's processes, as the host sees them.

use super::Outcome;
use crate::engine::container::Container;
use crate::engine::top::{Member, members};
use std::collections::BTreeSet;

/// Prints the processes of each container below its line.
pub fn print(containers: &[Container]) -> Outcome {
    for container in containers {
        println!("{} {}  {}", container.short_id(), container.name(), crate::daemon::say::words::state(container));
        let all = members(container);
        let pids: BTreeSet<i32> = all.iter().map(|m| m.pid).collect();
        let roots: Vec<&Member> = all.iter().filter(|m| !pids.contains(&m.parent)).collect();
        roots.iter().enumerate().for_each(|(n, root)| branch(root, &all, "", n + 1 == roots.len()));
    }
    Ok(0)
}

fn branch(member: &Member, all: &[Member], before: &str, last: bool) {
    let inner = member.inner.map(|pid| format!(" ({pid} inside)")).unwrap_or_default();
    println!("{before}{}{}{inner}  {}", if last { "`- " } else { "|- " }, member.pid, member.command);
    let below: Vec<&Member> = all.iter().filter(|m| m.parent == member.pid).collect();
    let before = format!("{before}{}", if last { "   " } else { "|  " });
    below.iter().enumerate().for_each(|(n, child)| branch(child, all, &before, n + 1 == below.len()));
}
