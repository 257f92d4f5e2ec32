//! `skiff compose logs`.

use super::super::logs::Lines as Asked;
use super::super::{Outcome, boxed};
use super::Session;
use super::follow::{Follower, Lines};
use clap::Args;

// Options of `skiff compose logs`.
#[derive(Debug, Args)]
pub struct Logs {
    #[command(flatten)]
    lines: Asked,
    /// No names before the lines
    #[arg(long)]
    no_log_prefix: bool,
    /// Docker's word for no colours, which NO_COLOR says too
    #[arg(long)]
    no_color: bool,
    /// Only this one of a service's containers
    #[arg(long, value_name = "NUMBER", default_value = "0", hide_default_value = true)]
    index: u32,
    /// The services; all
    services: Vec<String>,
}

/// Prints them.
pub fn logs(session: &Session<'_>, args: &Logs) -> Outcome {
    if args.no_color {
        colored::control::set_override(false);
    }
    let window = args.lines.window().map_err(boxed)?;
    let mut lines = Lines::new(args.no_log_prefix, args.lines.timestamps);
    for found in session.containers(&args.services, true)? {
        if args.index == 0 || found.number == args.index {
            lines.add(&found).map_err(boxed)?;
        }
    }
    if !lines.print(&window).map_err(boxed)? || !args.lines.follow || !window.is_open() {
        return Ok(0);
    }
    Follower { session, lines, abort: false, code_from: None, grace: None, stops: false }.follow()
}
