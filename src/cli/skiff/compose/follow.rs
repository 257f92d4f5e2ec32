//! The output of several containers as one: a name before each line, and what ends it.
//!
//! One thread a container reads its log; this one prints. Nothing is forked any more once they run.

use super::super::{Outcome, boxed};
use super::Session;
use crate::compose::found::Found;
use crate::compose::{Error, stop};
use crate::engine::container::Container;
use crate::engine::life;
use crate::engine::log::read::{Entry, News, Reader};
use crate::engine::log::window::Window;
use crate::kernel::OrSys;
use colored::{Color, Colorize};
use nix::sys::signal::{SigSet, Signal};
use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, Sender, channel};

/// One container's log, and where it is read from.
struct Source {
    name: String,
    service: String,
    container: Container,
    reader: Reader,
    oneoff: bool,
}

/// Logs that are printed together.
pub struct Lines {
    sources: Vec<Source>,
    no_prefix: bool,
    timestamps: bool,
}

/// Docker Compose's colours, in its order.
const COLORS: [Color; 10] =
    [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta, Color::Blue, Color::BrightCyan, Color::BrightYellow, Color::BrightGreen, Color::BrightMagenta, Color::BrightBlue];

impl Lines {
    /// None yet.
    pub fn new(no_prefix: bool, timestamps: bool) -> Self {
        Self { sources: Vec::new(), no_prefix, timestamps }
    }

    fn source(&mut self, found: &Found, reader: Reader) -> Result<(), Error> {
        let container = Container::find(found.container.store(), found.container.id())?;
        let name = if found.oneoff { container.name().to_owned() } else { format!("{}-{}", found.service, found.number) };
        self.sources.push(Source { name, service: found.service.clone(), container, reader, oneoff: found.oneoff });
        Ok(())
    }

    /// A container's log from its beginning.
    pub fn add(&mut self, found: &Found) -> Result<(), Error> {
        self.source(found, Reader::open(&found.container))
    }

    /// A container's log from its end as it is now.
    pub fn add_from_now(&mut self, found: &Found) -> Result<(), Error> {
        self.source(found, Reader::at_end(&found.container))
    }

    fn width(&self) -> usize {
        self.sources.iter().map(|s| s.name.len()).max().unwrap_or(0)
    }

    /// A line as it is printed.
    fn shown(&self, nth: usize, entry: &Entry) -> String {
        let stamp = if self.timestamps { format!("{} ", entry.time) } else { String::new() };
        let end = if entry.log.ends_with('\n') { "" } else { "\n" };
        if self.no_prefix {
            return format!("{stamp}{}{end}", entry.log);
        }
        let prefix = format!("{:width$}  | ", self.sources[nth].name, width = self.width());
        let prefix = if std::io::stdout().is_terminal() { prefix.color(COLORS[nth % COLORS.len()]).to_string() } else { prefix };
        format!("{prefix}{stamp}{}{end}", entry.log)
    }

    /// Prints what there is by now: of each what lies in the window, all in the order of their time.
    /// False once nobody reads any more.
    pub fn print(&mut self, window: &Window) -> Result<bool, Error> {
        let mut all: Vec<(usize, Entry)> = Vec::new();
        for (nth, source) in self.sources.iter_mut().enumerate() {
            source.reader.written(window, &mut |entry| {
                all.push((nth, entry));
                true
            })?;
        }
        // Stable: what one container wrote keeps its order.
        all.sort_by(|a, b| a.1.time.cmp(&b.1.time));
        let mut out = std::io::stdout().lock();
        Ok(all.iter().all(|(nth, entry)| out.write_all(self.shown(*nth, entry).as_bytes()).is_ok()) && out.flush().is_ok())
    }
}

/// What one of the threads has to say.
enum Said {
    Line(usize, Entry),
    Ended(usize, i32),
    Signal,
}

/// Follows logs until the containers have ended, or Ctrl-C.
pub struct Follower<'a, 's> {
    /// The session.
    pub session: &'a Session<'s>,
    /// The logs.
    pub lines: Lines,
    /// Stop all when one has ended.
    pub abort: bool,
    /// The service whose exit code counts.
    pub code_from: Option<String>,
    /// Seconds before SIGKILL.
    pub grace: Option<i64>,
    /// Ctrl-C stops the containers; else only this.
    pub stops: bool,
}

impl Follower<'_, '_> {
    /// Prints until the end: the exit code.
    pub fn follow(mut self) -> Outcome {
        let (say, said) = channel();
        if self.stops {
            let names: Vec<&str> = self.lines.sources.iter().map(|s| s.name.as_str()).collect();
            let _ = writeln!(std::io::stdout(), "Attaching to {}", names.join(", "));
            watch_signals(say.clone()).map_err(boxed)?;
        }
        for (nth, source) in self.lines.sources.iter_mut().enumerate() {
            let reader = std::mem::replace(&mut source.reader, Reader::at_end(&source.container));
            let container = Container::find(source.container.store(), source.container.id()).map_err(boxed)?;
            let say = say.clone();
            std::thread::spawn(move || drop(read(nth, &container, reader, &say)));
        }
        drop(say);
        self.print(&said)
    }

    fn print(&self, said: &Receiver<Said>) -> Outcome {
        let mut left: BTreeSet<usize> = (0..self.lines.sources.len()).collect();
        let (mut first, mut asked, mut signals) = (None, None, 0);
        while !left.is_empty() {
            match said.recv() {
                Err(_) => break,
                Ok(Said::Line(nth, entry)) => {
                    let text = self.lines.shown(nth, &entry);
                    let mut out = std::io::stdout().lock();
                    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
                    // Nobody reads any more; the containers are not to be left to themselves for that.
                    if written.is_err() && !self.stops {
                        return Ok(0);
                    }
                }
                Ok(Said::Ended(nth, code)) => {
                    left.remove(&nth);
                    let source = &self.lines.sources[nth];
                    if self.stops {
                        let _ = writeln!(std::io::stdout(), "{} exited with code {code}", source.name);
                    }
                    if self.code_from.as_ref() == Some(&source.service) && !source.oneoff {
                        asked = Some(code);
                    }
                    if first.is_none() {
                        first = Some(code);
                        if self.abort && signals == 0 {
                            self.session.line("Aborting on container exit...");
                            self.end(false);
                        }
                    }
                }
                Ok(Said::Signal) => {
                    signals += 1;
                    if signals == 1 {
                        self.session.line("Gracefully stopping... (press Ctrl+C again to force)");
                    }
                    self.end(signals > 1);
                }
            }
        }
        let code = match (signals, self.abort) {
            (0, true) => asked.or(first).unwrap_or(0),
            (0, false) => 0,
            _ => 130,
        };
        Ok(u8::try_from(code).unwrap_or(255))
    }

    /// Stops them all, from another thread: what they write on their way out is printed meanwhile.
    fn end(&self, at_once: bool) {
        let of: Vec<(std::path::PathBuf, String)> = self.lines.sources.iter().map(|s| (s.container.store().to_owned(), s.container.id().to_owned())).collect();
        let grace = self.grace;
        let quiet = self.session.quiet;
        std::thread::spawn(move || {
            let found = |(store, id): &(std::path::PathBuf, String)| crate::compose::found::by_id(store, id);
            let all: Vec<Found> = of.iter().filter_map(found).collect();
            let to = |event: &crate::compose::Event| {
                if !quiet {
                    let _ = writeln!(std::io::stderr(), " {} {}  {}", event.kind, event.name, event.state);
                }
            };
            if at_once {
                all.iter().for_each(|f| drop(life::kill(&f.container, Signal::SIGKILL as i32)));
            } else {
                drop(stop::stop(&all.iter().collect::<Vec<_>>(), grace, &to));
            }
        });
    }
}

/// Reads one log until its container has ended.
fn read(nth: usize, container: &Container, mut reader: Reader, say: &Sender<Said>) -> Result<(), Error> {
    let news = News::of(container)?;
    let ended = reader.coming(container, &news, None, &mut |entry| entry.is_none_or(|entry| say.send(Said::Line(nth, entry)).is_ok()))?;
    if ended {
        let code = life::wait(container).unwrap_or(137);
        let _ = say.send(Said::Ended(nth, code));
    }
    Ok(())
}

/// Ctrl-C and its like go to a thread that says so.
fn watch_signals(say: Sender<Said>) -> Result<(), crate::kernel::SysError> {
    let set: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    set.thread_block().or_sys("block signals")?;
    std::thread::spawn(move || while set.wait().is_ok() && say.send(Said::Signal).is_ok() {});
    Ok(())
}
