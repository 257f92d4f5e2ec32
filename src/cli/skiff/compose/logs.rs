//! `skiff compose logs`.

use super::super::logs::moment;
use super::super::run::option;
use super::super::{Outcome, boxed};
use super::Session;
use super::follow::{Follower, Lines};
use crate::engine::log::read::Entry;
use clap::Args;

// Options of `skiff compose logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// Go on with what is written from now on
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines of each container; all
    #[arg(short = 'n', long, value_name = "NUMBER", default_value = "all", hide_default_value = true, allow_hyphen_values = true)]
    tail: String,
    /// The time before each line
    #[arg(short, long)]
    timestamps: bool,
    /// Only what was written since then: a time, or 10m for that long ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was written until then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
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
    let tail = if args.tail == "all" { None } else { args.tail.parse::<i64>().map_err(|_| boxed(option("--tail", &args.tail, "it is a number, or all", "--tail 20")))?.try_into().ok() };
    let bound = |flag, text: &Option<String>| text.as_ref().map(|t| moment(flag, t)).transpose().map_err(boxed);
    let (since, until) = (bound("--since", &args.since)?, bound("--until", &args.until)?);
    let wanted = |entry: &Entry| since.as_ref().is_none_or(|s| entry.time >= *s) && until.as_ref().is_none_or(|u| entry.time <= *u);
    let mut lines = Lines::new(args.no_log_prefix, args.timestamps);
    for found in session.containers(&args.services, true)? {
        if args.index == 0 || found.number == args.index {
            lines.add(&found).map_err(boxed)?;
        }
    }
    if !lines.print(tail, &wanted).map_err(boxed)? || !args.follow || until.is_some() {
        return Ok(0);
    }
    Follower { session, lines, abort: false, code_from: None, grace: None, stops: false }.follow()
}
