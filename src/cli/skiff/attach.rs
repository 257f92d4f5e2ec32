//! `skiff attach`, and `start -a -i`: what a container in the background writes, here; and what is
//! typed here, there.
//!
//! The output comes by way of the log, so that nothing is lost however slowly it is read, and the
//! container never waits for who reads it. A line is shown when it is whole. What Docker has more: a
//! container with a terminal, which takes every key at once; there, `skiff exec -it` opens another.

use super::logs::{Printer, follow};
use super::{Outcome, boxed, clamp, ps};
use crate::engine::container::Container;
use crate::engine::error::Error;
use crate::engine::host::Host;
use crate::engine::log::read::{News, Reader};
use crate::engine::relay::Signals;
use crate::engine::start::{again, request_of};
use crate::engine::{life, monitor};
use crate::kernel::OrSys;
use crate::kernel::pidfd::Pidfd;
use clap::Args;
use std::fs::File;
use std::path::Path;

// Options of `skiff attach`.
#[derive(Debug, Args)]
pub struct Attach {
    /// Pass on nothing that is typed
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals on
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    sig_proxy: bool,
    /// The container, by name or id
    container: String,
}

fn refuse(what: &str, hint: &'static str) -> Error {
    Error::Copy { what: what.to_owned(), hint }
}

/// A terminal takes every key at once, and shows what is no whole line.
fn without_terminal(container: &Container) -> Result<(), Error> {
    if container.record.tty {
        return Err(refuse("a container with a terminal cannot be attached to", "another terminal in it: skiff exec -it NAME sh"));
    }
    Ok(())
}

/// Attaches to one that runs.
pub fn run(args: &Attach, root: &Path) -> Outcome {
    let container = Container::find(root, &args.container).map_err(boxed)?;
    match ps::state(&container) {
        "running" => {}
        "paused" => return Err(boxed(refuse("You cannot attach to a paused container, unpause it first", "skiff unpause NAME"))),
        "restarting" => return Err(boxed(refuse("You cannot attach to a restarting container, wait until it is running", "skiff logs -f NAME"))),
        _ => return Err(boxed(refuse("You cannot attach to a stopped container, start it first", "skiff start -a NAME"))),
    }
    without_terminal(&container).map_err(boxed)?;
    let (news, reader) = (News::of(&container).map_err(boxed)?, Reader::at_end(&container));
    let process = life::process(&container).map_err(boxed)?;
    let signals = if args.sig_proxy { Some(Signals::block().map_err(boxed)?) } else { None };
    let input = container.folder().join("stdin");
    let input = if args.no_stdin || !input.exists() { None } else { Some(File::options().write(true).open(&input).or_sys("reach the container's input").map_err(boxed)?) };
    watch(&container, reader, &news, (signals, process), input)
}

/// Starts one, and attaches to it from its first line on.
pub fn start(container: &Container, interactive: bool) -> Outcome {
    without_terminal(container).map_err(boxed)?;
    let interactive = interactive && request_of(container).map_err(boxed)?.interactive;
    let (news, reader) = (News::of(container).map_err(boxed)?, Reader::at_end(container));
    let signals = Signals::block().map_err(boxed)?;
    let found = Container::find(container.store(), container.id()).map_err(boxed)?;
    let input = match again(found, &Host::read().map_err(boxed)?).map_err(boxed)? {
        Some((prepared, request)) if interactive => Some(File::from(monitor::with_input(prepared, &request).map_err(boxed)?)),
        Some((prepared, request)) => monitor::detached(prepared, &request).map(|()| None).map_err(boxed)?,
        None => None,
    };
    let now = Container::find(container.store(), container.id());
    let process = now.and_then(|now| life::process(&now)).ok();
    let Some(process) = process else {
        // It has ended already: what it wrote, and how it ended.
        return ended(container, reader, &news);
    };
    watch(container, reader, &news, (Some(signals), process), input)
}

fn watch(container: &Container, reader: Reader, news: &News, (signals, process): (Option<Signals>, Pidfd), input: Option<File>) -> Outcome {
    // Nothing is forked any more: threads may be.
    if let Some(signals) = signals {
        std::thread::spawn(move || signals.pass_all_on(&process));
    }
    if let Some(mut input) = input {
        std::thread::spawn(move || std::io::copy(&mut std::io::stdin(), &mut input));
    }
    ended(container, reader, news)
}

/// Prints until its end: its exit code.
fn ended(container: &Container, mut reader: Reader, news: &News) -> Outcome {
    follow(container, &mut reader, news, &mut Printer::new(false))?;
    life::wait(container).map(clamp).map_err(boxed)
}
