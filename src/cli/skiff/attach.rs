//! `skiff attach`, `start -a -i`, and a foreground `run` that has a monitor: what a container writes,
//! here; and what is typed here, there.
//!
//! By the container's door where it has one (`engine/visit.rs`): one with a terminal, or that was started
//! with somebody attached. Any other is read by way of its log, so that nothing is lost however slowly it
//! is read, and the container never waits for who reads it; there a line is shown when it is whole.

use super::logs::{Printer, follow};
use super::{Outcome, boxed, clamp};
use crate::engine::container::Container;
use crate::engine::error::Error;
use crate::engine::host::Host;
use crate::engine::keys::Keys;
use crate::engine::log::read::{News, Reader};
use crate::engine::relay::Signals;
use crate::engine::request::Request;
use crate::engine::restart::Policy;
use crate::engine::run::Prepared;
use crate::engine::start::again;
use crate::engine::visit::{self, Left, Wish};
use crate::engine::{life, monitor};
use crate::kernel::pidfd::Pidfd;
use crate::kernel::{Explain, OrSys};
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
    /// The keys that leave the container and let it run [default: ctrl-p,ctrl-q]
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// The container, by name or id
    container: String,
}

fn refuse(what: &str, hint: &'static str) -> Error {
    Error::Copy { what: what.to_owned(), hint }
}

/// Attaches to one that runs.
pub fn run(args: &Attach, root: &Path) -> Outcome {
    let container = Container::find(root, &args.container).map_err(boxed)?;
    match crate::daemon::say::words::state(&container) {
        "running" => {}
        "paused" => return Err(boxed(refuse("You cannot attach to a paused container, unpause it first", "skiff unpause NAME"))),
        "restarting" => return Err(boxed(refuse("You cannot attach to a restarting container, wait until it is running", "skiff logs -f NAME"))),
        _ => return Err(boxed(refuse("You cannot attach to a stopped container, start it first", "skiff start -a NAME"))),
    }
    let keys = keys(args.detach_keys.as_deref())?;
    let process = life::process(&container).map_err(boxed)?;
    let (news, reader) = (News::of(&container).map_err(boxed)?, Reader::at_end(&container));
    let mut signals = if args.sig_proxy { Some(Signals::block().map_err(boxed)?) } else { None };
    container.say("attach", []);
    if let Some(socket) = visit::knock(&container).map_err(boxed)? {
        let wish = Wish { input: !args.no_stdin, keys, ends_with_us: false };
        let left = visit::stay(socket, container.record.tty, wish, &mut signals, Some(&process)).map_err(boxed)?;
        if left == Left::Detached {
            eprintln!("read escape sequence");
            return Ok(1);
        }
        return over(&container, left);
    }
    let input = container.folder().join("stdin");
    let input = if args.no_stdin || !input.exists() { None } else { Some(File::options().write(true).open(&input).or_sys("reach the container's input").map_err(boxed)?) };
    watch(&container, reader, &news, (signals, process), input)
}

/// The keys of `--detach-keys`.
pub(super) fn keys(text: Option<&str>) -> Result<Keys, Box<dyn Explain>> {
    text.map_or(Ok(Keys::default()), Keys::parse).map_err(boxed)
}

/// Starts one, and attaches to it from its first byte on.
pub fn start(container: &Container, interactive: bool, keys: Option<&str>) -> Outcome {
    let keys = self::keys(keys)?;
    let (news, reader) = (News::of(container).map_err(boxed)?, Reader::at_end(container));
    let found = Container::find(container.store(), container.id()).map_err(boxed)?;
    match again(found, &Host::read().map_err(boxed)?).map_err(boxed)? {
        Some((prepared, request)) => accompany(prepared, &request, interactive && request.interactive, keys, true),
        // It runs already, or has just ended: what it writes, and how it ends.
        None => ended(container, reader, &news),
    }
}

/// Starts a container with a monitor, and stays with it until it ends or the keys are typed.
pub fn accompany(prepared: Prepared, request: &Request, input: bool, keys: Keys, sig_proxy: bool) -> Outcome {
    let (store, id) = (prepared.container.store().to_owned(), prepared.container.id().to_owned());
    let record = prepared.container.record.clone();
    // Before the fork, so that none is lost; the monitor has its own.
    let mut signals = if sig_proxy { Some(Signals::block().map_err(boxed)?) } else { None };
    let socket = monitor::attached(prepared, request, input).map_err(boxed)?;
    let now = Container::find(&store, &id);
    let process = now.as_ref().ok().and_then(|now| life::process(now).ok());
    let wish = Wish { input, keys, ends_with_us: record.auto_remove };
    let left = visit::stay(socket, record.tty, wish, &mut signals, process.as_ref()).map_err(boxed)?;
    match (left, now) {
        (Left::Detached, _) => Ok(0),
        (left, Ok(container)) => over(&container, left),
        // Gone already, with --rm.
        (Left::Ended(code), Err(_)) => Ok(clamp(code)),
        (Left::Lost, Err(error)) => Err(boxed(error)),
    }
}

/// Waits until it is all cleaned up, unless it will be started again: its exit code.
fn over(container: &Container, left: Left) -> Outcome {
    let again = container.record.restart != Policy::No && !container.is_halted();
    match left {
        Left::Ended(code) if again => Ok(clamp(code)),
        Left::Ended(code) => life::wait(container).map(|_| clamp(code)).map_err(boxed),
        Left::Detached => Ok(0),
        Left::Lost => life::wait(container).map(clamp).map_err(boxed),
    }
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
