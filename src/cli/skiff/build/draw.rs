//! A build's progress: BuildKit's plain lines, or on a terminal a list that is drawn again.

use crate::build::{Error, Event};
use crate::cli::out::visible;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Line after line.
    Plain,
    /// A list that changes.
    Terminal,
    /// Not at all.
    Quiet,
}

impl Kind {
    /// What `--progress` and `-q` mean here.
    pub fn of(asked: &str, quiet: bool, terminal: bool) -> Self {
        match asked {
            _ if quiet => Self::Quiet,
            "quiet" => Self::Quiet,
            "tty" => Self::Terminal,
            "auto" if terminal && std::env::var_os("TERM").is_none_or(|t| t != "dumb") => Self::Terminal,
            _ => Self::Plain,
        }
    }
}

/// Runs `work` on a thread of its own and shows what it tells, on standard error.
pub fn with<T: Send>(kind: Kind, work: impl FnOnce(Sender<Event>) -> T + Send) -> std::thread::Result<T> {
    let (tell, told) = channel();
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || work(tell));
        let mut plain = Plain::default();
        let mut list = List::new();
        loop {
            match (told.recv_timeout(Duration::from_millis(100)), kind) {
                (Ok(event), Kind::Plain) => plain.show(event),
                (Ok(event), Kind::Terminal) => list.hear(event),
                (Ok(_), Kind::Quiet) | (Err(RecvTimeoutError::Timeout), Kind::Plain | Kind::Quiet) => {}
                (Err(RecvTimeoutError::Timeout), Kind::Terminal) => list.draw(),
                (Err(RecvTimeoutError::Disconnected), _) => break,
            }
        }
        if kind == Kind::Terminal {
            list.draw();
        }
        worker.join()
    })
}

/// What failed, with the last lines that it wrote.
pub fn failure(kind: Kind, error: &Error) {
    let Error::Run { tail, step, .. } = error else { return };
    if kind == Kind::Quiet && tail.is_empty() {
        return;
    }
    eprintln!("------\n > {}:", visible(step));
    tail.iter().for_each(|line| eprintln!("{line}"));
    eprintln!("------");
}

/// BuildKit's plain form: `#5 [2/4] RUN make`, `#5 0.123 what it wrote`, `#5 DONE 0.3s`.
#[derive(Default)]
struct Plain {
    names: BTreeMap<usize, String>,
    /// Pieces of lines that have not ended.
    pieces: BTreeMap<usize, (Duration, Vec<u8>)>,
    current: Option<usize>,
}

impl Plain {
    fn show(&mut self, event: Event) {
        match event {
            Event::Started { step, name } => {
                self.names.insert(step, visible(&name).into_owned());
                self.turn_to(step);
            }
            Event::Output { step, after, bytes } => {
                let (_, mut piece) = self.pieces.remove(&step).unwrap_or_default();
                piece.extend(bytes);
                while let Some(end) = piece.iter().position(|b| *b == b'\n') {
                    let line: Vec<u8> = piece.drain(..=end).collect();
                    self.output(step, after, &line);
                }
                self.pieces.insert(step, (after, piece));
            }
            Event::Note { step, text } => self.line(step, &text),
            Event::Cached { step } => self.line(step, "CACHED"),
            Event::Done { step, took } => {
                self.rest(step);
                self.line(step, &format!("DONE {:.1}s", took.as_secs_f64()));
            }
            Event::Failed { step, problem } => {
                self.rest(step);
                self.line(step, &format!("ERROR: {problem}"));
            }
            Event::Warning { text } => eprintln!("WARN: {text}"),
        }
    }

    /// What was written without an end of line.
    fn rest(&mut self, step: usize) {
        if let Some((after, piece)) = self.pieces.remove(&step).filter(|(_, p)| !p.is_empty()) {
            self.output(step, after, &piece);
        }
    }

    fn output(&mut self, step: usize, after: Duration, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        self.line(step, &format!("{:.3} {}", after.as_secs_f64(), text.trim_end_matches(['\n', '\r'])));
    }

    fn line(&mut self, step: usize, text: &str) {
        self.turn_to(step);
        eprintln!("#{step} {text}");
    }

    /// Says whose lines follow, where they are another's than those before.
    fn turn_to(&mut self, step: usize) {
        if self.current == Some(step) {
            return;
        }
        if self.current.is_some() {
            eprintln!();
        }
        self.current = Some(step);
        eprintln!("#{step} {}", self.names.get(&step).map_or("", String::as_str));
    }
}

/// A step on the terminal.
struct Row {
    name: String,
    began: Instant,
    end: Option<String>,
    lines: Vec<String>,
}

/// The list that is drawn again and again, in place.
struct List {
    rows: BTreeMap<usize, Row>,
    warnings: Vec<String>,
    began: Instant,
    drawn: usize,
    last: Instant,
}

/// How many lines of a running command are shown.
const SHOWN: usize = 6;

impl List {
    fn new() -> Self {
        Self { rows: BTreeMap::new(), warnings: Vec::new(), began: Instant::now(), drawn: 0, last: Instant::now() }
    }

    fn hear(&mut self, event: Event) {
        let mut end = |step: usize, text: String| {
            if let Some(row) = self.rows.get_mut(&step) {
                row.end = Some(text);
                // What it wrote goes, what was said of it stays.
                row.lines.retain(|line| line.starts_with("=> "));
            }
        };
        match event {
            Event::Started { step, name } => {
                self.rows.insert(step, Row { name, began: Instant::now(), end: None, lines: Vec::new() });
            }
            Event::Output { step, bytes, .. } => {
                if let Some(row) = self.rows.get_mut(&step) {
                    row.lines.extend(String::from_utf8_lossy(&bytes).lines().map(|l| l.trim_end().to_owned()));
                    let extra = row.lines.len().saturating_sub(SHOWN);
                    row.lines.drain(..extra);
                }
            }
            Event::Note { step, text } => {
                if let Some(row) = self.rows.get_mut(&step) {
                    row.lines.push(format!("=> {text}"));
                }
            }
            Event::Cached { step } => end(step, "CACHED".into()),
            Event::Done { step, took } => end(step, format!("{:.1}s", took.as_secs_f64())),
            Event::Failed { step, .. } => end(step, "ERROR".into()),
            Event::Warning { text } => self.warnings.push(text),
        }
        if self.last.elapsed() > Duration::from_millis(80) {
            self.draw();
        }
    }

    fn draw(&mut self) {
        self.last = Instant::now();
        let width = crate::cli::out::width();
        let done = self.rows.values().filter(|r| r.end.is_some()).count();
        let state = if done == self.rows.len() { " FINISHED" } else { "" };
        let mut lines = vec![format!("[+] Building {:.1}s ({done}/{}){state}", self.began.elapsed().as_secs_f64(), self.rows.len())];
        for row in self.rows.values() {
            let (lead, time) = match row.end.as_deref() {
                Some("CACHED") => (" => CACHED ", "0.0s".to_owned()),
                Some("ERROR") => (" => ERROR ", format!("{:.1}s", row.began.elapsed().as_secs_f64())),
                Some(took) => (" => ", took.to_owned()),
                None => (" => ", format!("{:.1}s", row.began.elapsed().as_secs_f64())),
            };
            let room = width.saturating_sub(lead.len() + time.len() + 1);
            lines.push(format!("{lead}{:<room$} {time}", cut(&row.name, room)));
            lines.extend(row.lines.iter().map(|l| format!(" {}", cut(&format!("  {l}"), width.saturating_sub(2)))));
        }
        lines.extend(self.warnings.iter().map(|w| cut(&format!("WARN: {w}"), width)));
        // What has left the screen cannot be drawn again: the first steps give way.
        let rows = crate::kernel::pty::size(std::io::stderr()).map_or(24, |size| usize::from(size.rows)).max(4);
        if lines.len() >= rows {
            lines.drain(1..=lines.len() + 1 - rows);
        }
        let mut text = if self.drawn > 0 { format!("\x1b[{}A\x1b[J", self.drawn) } else { String::new() };
        text.push_str(&lines.join("\n"));
        text.push('\n');
        self.drawn = lines.len();
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// No more than fits on a line; what a terminal would obey is left out.
fn cut(text: &str, room: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(room).collect()
}
