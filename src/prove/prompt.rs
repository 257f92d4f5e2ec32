//! When is a shell ready for the next line? Its prompt says so, and the kernel confirms it.
//!
//! The typist's shells get a prompt that nothing else prints, and hand it on to the shells started
//! in them through the environment (PS1, PROMPT_COMMAND). A shell in a container has a prompt of
//! its own: there the last line on the screen has to look like a prompt, *and* a process in the
//! foreground of a terminal below ours has to sleep in a read of it (proc(5): stat, syscall, fd).

use std::collections::BTreeSet;

/// The prompt of the typist's shells.
pub const MARK: &str = "[drydock-types]$ ";
/// Their prompt in the middle of a command.
pub const MORE: &str = "[drydock-types]> ";

/// One process below the typist's shell, as far as it tells whether anything is going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// Its number.
    pub pid: i32,
    /// `R`, `S`, `Z`, … (proc(5)).
    pub state: char,
    group: i32,
    terminal: i32,
    foreground: i32,
    ticks: u64,
}

/// All living descendants of `root`, and `root`.
pub fn family(root: i32) -> Vec<Life> {
    let all: Vec<(i32, Life)> = pids().into_iter().filter_map(life).collect();
    let mut ours = BTreeSet::from([root]);
    loop {
        let before = ours.len();
        let born = all.iter().filter(|(parent, _)| ours.contains(parent)).map(|(_, l)| l.pid);
        ours.extend(born.collect::<Vec<_>>());
        if ours.len() == before {
            break;
        }
    }
    all.into_iter().map(|(_, l)| l).filter(|l| ours.contains(&l.pid) && l.state != 'Z').collect()
}

fn pids() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
}

/// The process's parent, and what it is doing.
fn life(pid: i32) -> Option<(i32, Life)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let words: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let number = |n: usize| words.get(n)?.parse::<i64>().ok();
    let life = Life {
        pid,
        state: words.first()?.chars().next()?,
        group: number(2)? as i32,
        terminal: number(4)? as i32,
        foreground: number(5)? as i32,
        ticks: (number(11)? + number(12)?) as u64,
    };
    Some((number(1)? as i32, life))
}

/// Those of the family that are in a process group.
pub fn in_group(family: &[Life], group: i32) -> Vec<i32> {
    family.iter().filter(|l| l.group == group).map(|l| l.pid).collect()
}

/// True where a process of the family sleeps in a read of the terminal that it is in front of.
/// Shells that edit lines wait in poll or pselect6; so does much else, hence only behind a prompt.
pub fn somebody_reads(family: &[Life], behind_a_prompt: bool) -> bool {
    let front = family.iter().filter(|l| l.state == 'S' && l.terminal != 0 && l.group == l.foreground);
    front.into_iter().any(|l| reads_a_terminal(l.pid, behind_a_prompt))
}

/// Reads `syscall` of the process: its number, then the descriptor. Where the file may not be
/// read, a sleeping foreground process has to do.
fn reads_a_terminal(pid: i32, may_poll: bool) -> bool {
    let Ok(line) = std::fs::read_to_string(format!("/proc/{pid}/syscall")) else { return true };
    let mut words = line.split(' ');
    let number: i64 = words.next().and_then(|w| w.parse().ok()).unwrap_or(-1);
    // x86 has both poll and ppoll, newer machines ppoll only.
    #[cfg(target_arch = "x86_64")]
    let polls = [libc::SYS_pselect6, libc::SYS_ppoll, libc::SYS_poll];
    #[cfg(not(target_arch = "x86_64"))]
    let polls = [libc::SYS_pselect6, libc::SYS_ppoll];
    if polls.contains(&number) {
        return may_poll;
    }
    let fd = words.next().and_then(|w| i64::from_str_radix(w.trim_start_matches("0x"), 16).ok());
    let link = fd.and_then(|fd| std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok());
    number == libc::SYS_read && link.is_some_and(|l| ["/dev/pts", "/dev/tty", "/dev/console"].iter().any(|t| l.starts_with(t)))
}

/// True where the last line on the screen looks like the prompt of a shell that we did not prepare.
pub fn looks_like_a_prompt(screen: &str) -> bool {
    let last = screen.rsplit('\n').next().unwrap_or_default();
    ["# ", "$ ", "> ", "% "].iter().any(|end| last.ends_with(end)) && last.len() < 80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_the_last_line_only() {
        assert!(looks_like_a_prompt("hello\r\n# "));
        assert!(looks_like_a_prompt("hello\r\n/ # "));
        assert!(!looks_like_a_prompt("# \r\n"));
        assert!(!looks_like_a_prompt("price in $ \r\nhello"));
        assert!(!looks_like_a_prompt(""));
    }

    #[test]
    fn a_family_holds_the_children_and_not_the_parents() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep runs");
        let own = nix::unistd::getpid().as_raw();
        let pids: Vec<i32> = family(own).iter().map(|l| l.pid).collect();
        assert!(pids.contains(&child.id().cast_signed()) && pids.contains(&own) && !pids.contains(&1));
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
    }
}
