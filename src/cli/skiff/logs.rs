//! `skiff logs`: what a container in the background wrote, and with -f what it writes.

use super::{Outcome, boxed};
use crate::engine::container::Container;
use crate::kernel::{OrSys, SysError};
use clap::Args;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

/// Options of `skiff logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// Go on with what is written from now on, until the container ends
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines
    #[arg(short = 'n', long, value_name = "NUMBER")]
    tail: Option<usize>,
    /// Show when each line was written
    #[arg(short, long)]
    timestamps: bool,
    /// The container, by name or id
    container: String,
}

/// Prints it, each line to the stream that it was written to.
pub fn run(args: &Logs, root: &Path) -> Outcome {
    let container = Container::find(root, &args.container).map_err(boxed)?;
    let path = container.folder().join("log.json");
    // Before the first look, so that nothing falls between the two.
    let news = if args.follow { Some(watch(&container).map_err(boxed)?) } else { None };
    // A container in the foreground wrote to its own terminal and has none.
    let Ok(file) = File::open(&path) else { return Ok(0) };
    let mut lines = Lines { file: BufReader::new(file), begun: String::new() };
    let entries = lines.read().or_sys_with(|| format!("read {}", path.display())).map_err(boxed)?;
    let skip = args.tail.map_or(0, |n| entries.len().saturating_sub(n));
    if !show(&entries[skip..], args.timestamps) {
        return Ok(0);
    }
    let Some(news) = news else { return Ok(0) };
    loop {
        // Asked first: what was written before the end is read after it.
        let over = !container.is_attended();
        let entries = lines.read().or_sys_with(|| format!("read {}", path.display())).map_err(boxed)?;
        if !show(&entries, args.timestamps) || over {
            return Ok(0);
        }
        match news.read_events() {
            Err(nix::errno::Errno::EINTR) | Ok(_) => {}
            Err(errno) => return Err(boxed(SysError::new(format!("follow {}", path.display()), errno))),
        }
    }
}

/// Wakes up when the log grows, and when whoever waits for the container lets go of its lock, which
/// closes the file.
fn watch(container: &Container) -> Result<Inotify, SysError> {
    let what = || format!("follow the log of {}", container.name());
    let news = Inotify::init(InitFlags::IN_CLOEXEC).or_sys_with(what)?;
    let kinds = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_DELETE_SELF;
    news.add_watch(&container.folder(), kinds).or_sys_with(what)?;
    Ok(news)
}

/// A log that grows.
struct Lines {
    file: BufReader<File>,
    /// The beginning of a line whose rest is not written yet.
    begun: String,
}

impl Lines {
    /// The entries that are whole by now.
    fn read(&mut self) -> std::io::Result<Vec<serde_json::Value>> {
        let mut entries = Vec::new();
        while self.file.read_line(&mut self.begun)? > 0 {
            if self.begun.ends_with('\n') {
                entries.extend(serde_json::from_str(&self.begun));
                self.begun.clear();
            }
        }
        Ok(entries)
    }
}

/// Prints entries; false once nobody reads any more (`| head`), which ends it quietly.
fn show(entries: &[serde_json::Value], timestamps: bool) -> bool {
    entries.iter().all(|entry| {
        let text = entry["log"].as_str().unwrap_or_default();
        let stamp = if timestamps { format!("{} ", entry["time"].as_str().unwrap_or_default()) } else { String::new() };
        let written = match entry["stream"].as_str() {
            Some("stderr") => write!(std::io::stderr(), "{stamp}{text}"),
            _ => write!(std::io::stdout(), "{stamp}{text}").and_then(|()| std::io::stdout().flush()),
        };
        written.is_ok()
    })
}
