//! `skiff daemon`: the Docker Engine API on a socket.

use super::{Outcome, boxed};
use crate::daemon::{self, Place, Settings};
use clap::Args;
use std::io::Write;
use std::path::Path;

// Options of `skiff daemon`.
#[derive(Debug, Args)]
pub struct Daemon {
    /// Where to listen: unix://PATH, or tcp://127.0.0.1:PORT [default: unix:///run/skiff.sock for root, else $XDG_RUNTIME_DIR/skiff.sock]
    #[arg(short = 'H', long = "host", value_name = "ADDRESS")]
    hosts: Vec<Place>,
    /// Print each request and, under it, what it caused: programs, steps, events
    #[arg(long)]
    trace: bool,
    /// Carry out the one order that stands on standard input (what the daemon starts)
    #[arg(long, hide = true)]
    work: bool,
}

impl Daemon {
    /// True for the program that the daemon starts, which has a container to look after.
    pub fn works(&self) -> bool {
        self.work
    }
}

/// Serves until SIGINT or SIGTERM.
pub fn run(args: Daemon, root: &Path) -> Outcome {
    if args.work {
        return daemon::order::work(root).map(|()| 0).map_err(boxed);
    }
    let places = if args.hosts.is_empty() { vec![usual()] } else { args.hosts };
    // Whoever read it may be gone, and the daemon goes on.
    let told = |line: &str| drop(writeln!(std::io::stdout(), "{line}"));
    daemon::serve(Settings { root: root.to_owned(), places, options: super::registry::given(), trace: args.trace, told: Box::new(told) }).map_err(boxed)?;
    Ok(0)
}

fn usual() -> Place {
    if crate::kernel::userns::is_host_root() {
        return Place::Unix("/run/skiff.sock".into());
    }
    Place::Unix(std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, Into::into).join("skiff.sock"))
}
