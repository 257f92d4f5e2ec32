//! `skiff compose exec` and `cp`.

use super::super::{Outcome, boxed, clamp, cp as plain, run::taken};
use super::Session;
use crate::engine::attach::{attached, detached};
use crate::engine::enter::{Request, ended, enter};
use crate::engine::find::fresh_id;
use crate::engine::host::Host;
use clap::Args;
use std::io::IsTerminal;
use std::path::PathBuf;

// Options of `skiff compose exec`.
#[derive(Debug, Args)]
#[command(override_usage = "skiff compose exec [OPTIONS] <SERVICE> <COMMAND>...")]
pub struct Exec {
    /// Run it in the background
    #[arg(short, long)]
    detach: bool,
    /// No terminal, even if there is one here
    #[arg(short = 'T', long)]
    no_tty: bool,
    /// Docker's word: standard input is open anyway
    #[arg(short, long)]
    interactive: bool,
    /// Docker's word: a terminal is given where there is one
    #[arg(short, long)]
    tty: bool,
    /// Set an environment variable
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// User, and group, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Working directory inside
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// Every capability, no system call filter
    #[arg(long)]
    privileged: bool,
    /// Which of the service's containers
    #[arg(long, value_name = "NUMBER", default_value = "0", hide_default_value = true)]
    index: u32,
    /// The service; what follows it is the command with its arguments, options and all
    #[arg(required = true, num_args = 2.., trailing_var_arg = true, value_names = ["SERVICE", "COMMAND"])]
    words: Vec<String>,
}

// Options of `skiff compose cp`.
#[derive(Debug, Args)]
#[command(override_usage = "skiff compose cp [OPTIONS] <SERVICE>:<PATH> <PATH>|-\n       skiff compose cp [OPTIONS] <PATH>|- <SERVICE>:<PATH>")]
pub struct Cp {
    /// Keep the owners of the files
    #[arg(short, long)]
    archive: bool,
    /// Copy what a link leads to, if the source is one
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Which of the service's containers
    #[arg(long, value_name = "NUMBER", default_value = "0", hide_default_value = true)]
    index: u32,
    /// SERVICE:PATH, a path of the host, or - for a tar archive on standard input
    source: String,
    /// The same; - is a tar archive on standard output
    target: String,
}

/// Runs a command.
pub fn exec(session: &Session<'_>, args: Exec) -> Outcome {
    let mut words = args.words.into_iter();
    let found = session.running(&words.next().unwrap_or_default(), args.index)?;
    let host = Host::read().map_err(boxed)?;
    let tty = !args.no_tty && !args.detach && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let request = Request {
        command: words.collect(),
        env: args.env.iter().filter_map(|setting| taken(setting)).collect(),
        workdir: args.workdir,
        user: args.user,
        tty,
        privileged: args.privileged,
        id: fresh_id().map_err(boxed)?,
    };
    let start = |stdio| enter(&found.container, &request, stdio, &host);
    if args.detach {
        return detached(false, start, |code| ended(&found.container, &request, code)).map(|()| 0).map_err(boxed);
    }
    let code = attached(tty, true, start).map_err(boxed)?;
    ended(&found.container, &request, code);
    Ok(clamp(code))
}

/// Copies files.
pub fn cp(session: &Session<'_>, args: Cp) -> Outcome {
    let of_container = |text: &str| match text.split_once(':') {
        Some((service, path)) if !text.starts_with(['/', '.']) && !service.is_empty() => {
            let all = session.containers(&[service.to_owned()], false)?;
            let found = all.into_iter().find(|f| args.index == 0 || f.number == args.index);
            let found = found.ok_or_else(|| boxed(crate::compose::Error::NotRunning { service: service.to_owned(), index: args.index }))?;
            Ok(format!("{}:{path}", found.container.id()))
        }
        _ => Ok(text.to_owned()),
    };
    let (source, target) = (of_container(&args.source)?, of_container(&args.target)?);
    plain::run(&plain::Cp { archive: args.archive, follow_link: args.follow_link, source, target }, session.root)
}
