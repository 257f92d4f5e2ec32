//! Types lines into a real shell on a real terminal, as a learner would, and waits for its prompt.

use super::error::ProveError;
use super::prompt::{self, MARK, MORE};
use crate::kernel::pidfd::Pidfd;
use crate::kernel::{OrSys, pty, session};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a terminal is set up.
#[derive(Clone)]
pub struct Setting {
    /// The longest that a line may take.
    pub patience: Duration,
    /// Becomes readable when the user wants to stop.
    pub stop: Option<Arc<SignalFd>>,
}

impl Default for Setting {
    fn default() -> Self {
        Self { patience: Duration::from_secs(90), stop: None }
    }
}

/// A shell on a terminal of its own, and somebody who types.
pub struct Typist {
    master: OwnedFd,
    shell: Child,
    setting: Setting,
    screen: Vec<u8>,
}

/// Where a typed line has led.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// The prompt is back; what was printed meanwhile.
    Prompt(String),
    /// A command stays in the foreground and nothing moves any more; what it printed.
    Stays(String),
    /// The shell has ended.
    Over(String),
}

impl After {
    /// What was printed.
    pub fn printed(&self) -> &str {
        let (Self::Prompt(text) | Self::Stays(text) | Self::Over(text)) = self;
        text
    }
}

/// How long nothing may happen before a command counts as staying.
const SETTLED: Duration = Duration::from_millis(40);
/// A loop never settles: it counts as staying after this.
const RESTLESS: Duration = Duration::from_millis(1500);

impl Typist {
    /// Starts `command`, an interactive shell, and waits for its first prompt.
    pub fn start(command: &mut Command, setting: Setting) -> Result<Self, ProveError> {
        let (master, slave) = pty::pair()?;
        pty::set_size(&master, pty::Size { rows: 50, columns: 240 })?;
        nix::fcntl::fcntl(&master, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_RDWR))
            .or_sys("make the terminal non-blocking")?;
        // A dumb terminal: bash then echoes what is typed and draws nothing.
        command.env("TERM", "dumb").env("PS1", MARK).env("PS2", MORE).env("PROMPT_COMMAND", format!("PS1='{MARK}' PS2='{MORE}'; export PS1 PS2"));
        command.env_remove("ENV").env_remove("BASH_ENV");
        let shell = session::start(command, slave)?;
        let mut typist = Self { master, shell, setting, screen: Vec::new() };
        let begin = typist.wait_for_prompt(0, "the shell's first prompt")?;
        if !begin.printed_mark {
            // Split, so that the echo of the line is not taken for the prompt.
            typist.line(r"PROMPT_COMMAND=; PS1='[drydock''-types]$ ' PS2='[drydock''-types]> '; export PS1 PS2; stty -tabs 2>/dev/null")?;
        }
        Ok(typist)
    }

    /// The shell's process number.
    pub fn pid(&self) -> i32 {
        self.shell.id().cast_signed()
    }

    /// All that the terminal has shown, its prompts made short.
    pub fn screen(&self) -> String {
        shown(&self.screen)
    }

    /// Types a line and waits for the prompt. Gives what was printed between the two.
    pub fn line(&mut self, line: &str) -> Result<String, ProveError> {
        let from = self.send(line)?;
        let what = format!("the prompt after `{line}`");
        self.wait_for_prompt(from, &what)?;
        let printed = self.printed_since(from);
        if line.trim_end().ends_with('&') {
            // No person is quick enough to signal a child before it has become its program.
            self.settle()?;
        }
        Ok(printed)
    }

    /// Types a line that may stay in the foreground: waits for the prompt, or until nothing moves.
    pub fn last_line(&mut self, line: &str) -> Result<After, ProveError> {
        let from = self.send(line)?;
        let begin = Instant::now();
        let mut quiet = Quiet::default();
        loop {
            let more = match self.pump(Instant::now() + SETTLED) {
                Ok(more) => more,
                Err(ProveError::Ended { .. }) => return Ok(After::Over(self.printed_since(from))),
                Err(other) => return Err(other),
            };
            if self.is_echoed(from) && self.prompt_since(from).is_some() {
                return Ok(After::Prompt(self.printed_since(from)));
            }
            if self.is_echoed(from) && (quiet.long_enough(more, self.pid()) || begin.elapsed() > RESTLESS) {
                return Ok(After::Stays(self.printed_since(from)));
            }
        }
    }

    /// Waits until what runs in the background has come to rest as well; a loop never does.
    pub fn settle(&mut self) -> Result<(), ProveError> {
        let begin = Instant::now();
        let mut quiet = Quiet::default();
        loop {
            match self.pump(Instant::now() + SETTLED) {
                Ok(more) if quiet.long_enough(more, self.pid()) || begin.elapsed() > RESTLESS => return Ok(()),
                Ok(_) => {}
                Err(ProveError::Ended { .. }) => return Ok(()),
                Err(other) => return Err(other),
            }
        }
    }

    /// Lets time pass, reading what the terminal shows meanwhile.
    pub fn look_on(&mut self, within: Duration) -> Result<(), ProveError> {
        let end = Instant::now() + within;
        while Instant::now() < end {
            match self.pump(end) {
                Ok(_) => {}
                Err(ProveError::Ended { .. }) => return Ok(()),
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// Types the lines; the last may stay in the foreground.
    pub fn lines(&mut self, text: &str) -> Result<After, ProveError> {
        let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        let Some((last, before)) = lines.split_last() else { return Ok(After::Prompt(String::new())) };
        let mut printed = String::new();
        for line in before {
            printed.push_str(&self.line(line)?);
        }
        Ok(match self.last_line(last)? {
            After::Prompt(text) => After::Prompt(printed + &text),
            After::Stays(text) => After::Stays(printed + &text),
            After::Over(text) => After::Over(printed + &text),
        })
    }

    /// Sends the line and Enter, or one control character for `^C`, `^D`, `^Z`.
    fn send(&mut self, line: &str) -> Result<usize, ProveError> {
        self.drain()?;
        let from = self.screen.len();
        let bytes = match line.as_bytes() {
            [b'^', letter] => vec![letter & 0x1f],
            other => [other, b"\n"].concat(),
        };
        let mut left = &bytes[..];
        while !left.is_empty() {
            match nix::unistd::write(&self.master, left) {
                Ok(n) => left = &left[n..],
                Err(Errno::EAGAIN) => {
                    let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLOUT)];
                    poll(&mut fds, PollTimeout::from(100u16)).or_sys("wait for the terminal")?;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EIO) => return Err(self.ended(&format!("`{line}` was typed"))),
                Err(other) => return Err(other).or_sys("type a line").map_err(Into::into),
            }
        }
        Ok(from)
    }

    /// The line has been read by somebody: its end was echoed.
    fn is_echoed(&self, from: usize) -> bool {
        self.screen[from..].contains(&b'\n') || self.screen[from..].starts_with(b"^")
    }

    /// Where the prompt stands in what was shown since `from`.
    fn prompt_since(&self, from: usize) -> Option<usize> {
        let text = &self.screen[from..];
        [MARK, MORE].iter().filter_map(|mark| find(text, mark.as_bytes())).min()
    }

    fn wait_for_prompt(&mut self, from: usize, what: &str) -> Result<Begin, ProveError> {
        let end = Instant::now() + self.setting.patience;
        let mut confirmed = 0;
        loop {
            let more = match self.pump(end.min(Instant::now() + Duration::from_millis(20))) {
                Err(ProveError::Ended { screen, .. }) => return Err(ProveError::Ended { what: what.into(), screen }),
                other => other?,
            };
            let begins = from == 0 || self.is_echoed(from);
            if begins && self.prompt_since(from).is_some() {
                return Ok(Begin { printed_mark: true });
            }
            // Twice: the bytes of a typed line may still be on their way to the sleeper.
            let prompted = prompt::looks_like_a_prompt(&shown(&self.screen[from..]));
            let waits = begins && !more && prompt::somebody_reads(&prompt::family(self.pid()), prompted);
            confirmed = if waits { confirmed + 1 } else { 0 };
            let enough = if prompted { 2 } else { 10 };
            if confirmed >= enough {
                return Ok(Begin { printed_mark: false });
            }
            if Instant::now() >= end {
                return Err(ProveError::Silent { what: what.into(), within: self.setting.patience, screen: self.screen() });
            }
        }
    }

    /// Reads what there is, waiting for it until `end`. False where nothing came.
    fn pump(&mut self, end: Instant) -> Result<bool, ProveError> {
        let left = end.saturating_duration_since(Instant::now());
        let mut fds = vec![PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.setting.stop.iter().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)));
        match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(other) => return Err(other).or_sys("wait for the terminal").map_err(Into::into),
        }
        let (ready, stop) = (fds[0].any() == Some(true), fds.get(1).and_then(PollFd::any) == Some(true));
        if stop {
            return Err(ProveError::Interrupted);
        }
        Ok(ready && self.drain()?)
    }

    /// Reads without waiting.
    fn drain(&mut self) -> Result<bool, ProveError> {
        let mut buffer = [0; 16 * 1024];
        let mut any = false;
        loop {
            match nix::unistd::read(&self.master, &mut buffer) {
                Ok(n) if n > 0 => {
                    self.screen.extend_from_slice(&buffer[..n]);
                    any = true;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(any),
                // EIO: the last process on the other side has gone (pty(7)).
                _ => return Err(self.ended("its end")),
            }
        }
    }

    fn ended(&self, what: &str) -> ProveError {
        ProveError::Ended { what: what.into(), screen: self.screen() }
    }

    /// Without the echo of the typed line and without the prompt.
    fn printed_since(&self, from: usize) -> String {
        let text = &self.screen[from..];
        let begin = text.iter().position(|b| *b == b'\n').map_or(text.len(), |n| n + 1);
        let mut text = shown(&text[begin..]);
        if let Some(rest) = text.strip_suffix("$ ").or(text.strip_suffix("> ")) {
            text = rest.to_owned();
        } else if prompt::looks_like_a_prompt(&text) {
            let end = text.rfind('\n').map_or(0, |n| n + 1);
            text.truncate(end);
        }
        text
    }
}

/// Counts how often in a row nothing has moved.
#[derive(Default)]
struct Quiet {
    before: Vec<prompt::Life>,
    times: u32,
}

impl Quiet {
    fn long_enough(&mut self, more: bool, shell: i32) -> bool {
        let family = prompt::family(shell);
        // R as well: on a busy machine a process that wants to run may wait long for its turn.
        let still = !more && family == self.before && !family.iter().any(|l| matches!(l.state, 'D' | 'R'));
        self.times = if still { self.times + 1 } else { 0 };
        self.before = family;
        self.times >= 3
    }
}

/// What the shell's start has shown.
struct Begin {
    printed_mark: bool,
}

impl Drop for Typist {
    /// Hangs up as a closed window does, and waits for the shell; a deaf one is killed.
    fn drop(&mut self) {
        use nix::sys::signal::{Signal, kill, killpg};
        use nix::unistd::Pid;
        let pid = Pid::from_raw(self.pid());
        // By descriptor, and before anything is signalled: nobody else can get these numbers.
        let mut ending: Vec<Pidfd> = Pidfd::open(self.pid()).into_iter().collect();
        // 0 where the terminal has lost its session; killpg(0) would mean ourselves.
        if let Ok(front) = nix::unistd::tcgetpgrp(&self.master)
            && front.as_raw() > 1
        {
            let group = prompt::in_group(&prompt::family(self.pid()), front.as_raw());
            ending.extend(group.into_iter().filter_map(|pid| Pidfd::open(pid).ok()));
            let _ = killpg(front, Signal::SIGHUP);
        }
        let _ = kill(pid, Signal::SIGHUP);
        let _ = kill(pid, Signal::SIGCONT);
        let end = Instant::now() + Duration::from_secs(5);
        for process in ending.iter().filter(|p| !self.sees_the_end_of(p, end)) {
            let _ = process.signal(Signal::SIGKILL);
        }
        let _ = self.shell.wait();
    }
}

impl Typist {
    fn sees_the_end_of(&self, process: &Pidfd, end: Instant) -> bool {
        loop {
            // Whoever is still writing must not stop at a full terminal.
            let mut buffer = [0; 4096];
            while matches!(nix::unistd::read(&self.master, &mut buffer), Ok(n) if n > 0) {}
            let left = end.saturating_duration_since(Instant::now()).min(Duration::from_millis(50));
            let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)) {
                Ok(n) if n > 0 => return true,
                _ if Instant::now() >= end => return false,
                _ => {}
            }
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|w| w == part)
}

/// Bytes of a terminal as text: prompts short, line ends plain, bells and colours left out.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace(MARK, "$ ").replace(MORE, "> ");
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.peek() == Some(&'[') => {
                chars.next();
                while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
            }
            '\r' | '\u{7}' | '\u{1b}' => {}
            other => plain.push(other),
        }
    }
    plain
}
