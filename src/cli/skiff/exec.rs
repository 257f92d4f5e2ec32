//! `skiff exec`: a command in a running container.

use super::{Outcome, boxed, clamp};
use crate::engine::container::Container;
use crate::engine::enter::{self, Request};
use crate::engine::error::Error;
use crate::engine::find::fresh_id;
use crate::engine::host::Host;
use crate::engine::attach::{attached, detached};
use clap::Args;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

// Options of `skiff exec`.
#[derive(Debug, Args)]
#[command(override_usage = "skiff exec [OPTIONS] <CONTAINER> <COMMAND>...")]
pub struct Exec {
    /// Run it in the background
    #[arg(short, long)]
    detach: bool,
    /// Keep standard input open
    #[arg(short, long)]
    interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// User, and group, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Working directory inside
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// Set an environment variable
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Every capability, no system call filter
    #[arg(long)]
    privileged: bool,
    /// The container, by name or id; what follows it is the command with its arguments, options and all
    #[arg(required = true, num_args = 2.., trailing_var_arg = true, value_names = ["CONTAINER", "COMMAND"])]
    words: Vec<String>,
}

/// Runs it.
pub fn run(args: Exec, root: &Path) -> Outcome {
    if args.tty && args.interactive && !args.detach && !std::io::stdin().is_terminal() {
        return Err(boxed(Error::NoTerminal));
    }
    let mut words = args.words.into_iter();
    let container = Container::find(root, &words.next().unwrap_or_default()).map_err(boxed)?;
    let host = Host::read().map_err(boxed)?;
    let request = Request {
        command: words.collect(),
        env: args.env.iter().filter_map(|setting| super::run::taken(setting)).collect(),
        workdir: args.workdir,
        user: args.user,
        tty: args.tty,
        privileged: args.privileged,
        id: fresh_id().map_err(|e| boxed(Error::from(e)))?,
    };
    if args.detach {
        let start = |stdio| enter::enter(&container, &request, stdio, &host);
        return detached(args.tty, start, |code| enter::ended(&container, &request, code)).map(|()| 0).map_err(boxed);
    }
    let code = attached(args.tty, args.interactive, |stdio| enter::enter(&container, &request, stdio, &host)).map_err(boxed)?;
    enter::ended(&container, &request, code);
    Ok(clamp(code))
}
