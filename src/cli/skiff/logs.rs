//! `skiff logs`: what a container in the background wrote, and with -f what it writes.

use super::{Outcome, boxed, run::option};
use crate::engine::container::Container;
use crate::engine::error::Error;
use crate::engine::health::nanos;
use crate::engine::log::read::{Entry, News, Reader};
use crate::engine::log::window::Window;
use clap::Args;
use std::io::{BufWriter, Stdout, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

// Which lines, and how they are shown: the same for one container and for those of an application.
#[derive(Debug, Args)]
pub(super) struct Lines {
    /// Go on with what is written from now on
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Only the last lines of each container; all
    #[arg(short = 'n', long, value_name = "NUMBER", default_value = "all", hide_default_value = true, allow_hyphen_values = true)]
    tail: String,
    /// Show when each line was written
    #[arg(short, long)]
    pub(super) timestamps: bool,
    /// Only what was written since then: 2026-01-31T12:00:00Z, seconds since 1970, or 10m for that long ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was written until then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl Lines {
    /// What they ask for, if it can be understood.
    pub(super) fn window(&self) -> Result<Window, Error> {
        let number = |text: &str| text.parse::<i64>().map_err(|_| option("--tail", text, "it is a number, or all", "--tail 20"));
        // One below none is all, as with Docker.
        let tail = if self.tail == "all" { None } else { number(&self.tail)?.try_into().ok() };
        let bound = |flag, text: &Option<String>| text.as_ref().map(|t| moment(flag, t)).transpose();
        Ok(Window { since: bound("--since", &self.since)?, until: bound("--until", &self.until)?, tail })
    }
}

// Options of `skiff logs`.
#[derive(Debug, Args)]
pub struct Logs {
    #[command(flatten)]
    lines: Lines,
    /// The container, by name or id
    container: String,
}

/// Prints it, each line to the stream that it was written to.
pub fn run(args: &Logs, root: &Path) -> Outcome {
    let container = Container::find(root, &args.container).map_err(boxed)?;
    let window = args.lines.window().map_err(boxed)?;
    let news = if args.lines.follow && window.is_open() { Some(News::of(&container).map_err(boxed)?) } else { None };
    let mut reader = Reader::open(&container);
    let mut printer = Printer::new(args.lines.timestamps);
    if !reader.written(&window, &mut |entry| printer.print(&entry)).map_err(boxed)? || !printer.flush() {
        return Ok(0);
    }
    match news {
        Some(news) => follow(&container, &mut reader, &news, &mut printer),
        None => Ok(0),
    }
}

/// Prints what comes, until the container ends or nobody reads any more.
pub fn follow(container: &Container, reader: &mut Reader, news: &News, printer: &mut Printer) -> Outcome {
    let mut told = |entry: Option<Entry>| match entry {
        Some(entry) => printer.print(&entry),
        None => printer.flush(),
    };
    reader.coming(container, news, None, &mut told).map_err(boxed)?;
    Ok(0)
}

/// A time as Docker takes it, in the form in which entries have theirs.
fn moment(flag: &'static str, text: &str) -> Result<String, Error> {
    time(flag, text).map(|t| humantime::format_rfc3339_nanos(t).to_string())
}

/// A time as Docker takes it.
pub(super) fn time(flag: &'static str, text: &str) -> Result<SystemTime, Error> {
    let seconds = || text.parse::<f64>().ok().filter(|s| *s >= 0.0 && s.is_finite()).map(|s| SystemTime::UNIX_EPOCH + Duration::from_secs_f64(s));
    let ago = || nanos(text).and_then(|n| SystemTime::now().checked_sub(Duration::from_nanos(n)));
    let date = || {
        let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
        humantime::parse_rfc3339_weak(&whole).ok()
    };
    let time = seconds().or_else(ago).or_else(date);
    time.ok_or_else(|| option(flag, text, "it is a time such as 2026-01-31T12:00:00Z, seconds since 1970, or an age such as 10m", "--since 10m"))
}

/// Prints entries, each to its stream.
pub struct Printer {
    out: BufWriter<Stdout>,
    timestamps: bool,
}

impl Printer {
    /// With the time before each line, or without.
    pub fn new(timestamps: bool) -> Self {
        Self { out: BufWriter::with_capacity(1 << 16, std::io::stdout()), timestamps }
    }

    /// False once nobody reads any more (`| head`), which ends it quietly.
    fn print(&mut self, entry: &Entry) -> bool {
        let stamp = if self.timestamps { format!("{} ", entry.time) } else { String::new() };
        let written = match entry.stream.as_str() {
            // What stands before it was written before it.
            "stderr" => self.out.flush().and_then(|()| write!(std::io::stderr(), "{stamp}{}", entry.log)),
            _ => write!(self.out, "{stamp}{}", entry.log),
        };
        written.is_ok()
    }

    fn flush(&mut self) -> bool {
        self.out.flush().is_ok()
    }
}
