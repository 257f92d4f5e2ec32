//! `skiff create`, `start`, `restart` and `rename`.

use super::{Outcome, boxed, each, run, settings};
use crate::engine::container::{Container, Status};
use crate::engine::error::Error;
use crate::engine::host::Host;
use crate::engine::{life, monitor, start};
use clap::Args;
use std::path::Path;

// Options of `skiff create`.
#[derive(Debug, Args)]
#[command(disable_help_flag = true, override_usage = "skiff create [OPTIONS] <IMAGE> [COMMAND]...")]
pub struct Create {
    /// Print help (-h is the hostname, as in Docker)
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    #[command(flatten)]
    options: run::Options,
}

// Options of `skiff start`.
#[derive(Debug, Args)]
pub struct Start {
    /// Print what it writes, pass signals on, and end with its exit code
    #[arg(short, long)]
    attach: bool,
    /// Pass on what is typed or piped here
    #[arg(short, long)]
    interactive: bool,
    /// The keys that leave the container and let it run [default: ctrl-p,ctrl-q]
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Containers, by name or id
    #[arg(required = true)]
    containers: Vec<String>,
}

// Options of `skiff restart`.
#[derive(Debug, Args)]
pub struct Restart {
    /// Seconds to wait before SIGKILL; -1 is without end [default: the container's own, or 10]
    #[arg(short = 't', long = "time", alias = "timeout", value_name = "SECONDS", allow_hyphen_values = true)]
    time: Option<i64>,
    /// Containers, by name or id
    #[arg(required = true)]
    containers: Vec<String>,
}

// Options of `skiff rename`.
#[derive(Debug, Args)]
pub struct Rename {
    /// The container, by name or id
    container: String,
    /// Its new name
    name: String,
}

/// Makes a container that does not run yet, and prints its id.
pub fn create(args: Create, root: &Path) -> Outcome {
    let id_file = args.options.settings.cidfile();
    let (request, image, host) = run::asked(args.options, false, root)?;
    let id_file = settings::id_file(id_file).map_err(boxed)?;
    let made = start::create(root, &request, &image, &host).map_err(boxed)?;
    settings::write_id(id_file, made.id()).map_err(boxed)?;
    println!("{}", made.id());
    Ok(0)
}

/// Starts them.
pub fn start(args: &Start, root: &Path) -> Outcome {
    if args.attach || args.interactive {
        let [name] = args.containers.as_slice() else {
            return Err(boxed(Error::Copy { what: "you cannot start and attach multiple containers at once".into(), hint: "skiff start A B, then skiff attach A" }));
        };
        return super::attach::start(&Container::find(root, name).map_err(boxed)?, args.interactive, args.detach_keys.as_deref());
    }
    each(&args.containers, |name| begin(Container::find(root, name)?))
}

/// Starts one in the background. One that runs is left as it is.
fn begin(container: Container) -> Result<(), Error> {
    match start::again(container, &Host::read()?)? {
        Some((prepared, request)) => monitor::detached(prepared, &request),
        None => Ok(()),
    }
}

/// Starts what should run and does not: after a reboot, or when all that looked after it was killed.
pub fn resume(root: &Path) -> Outcome {
    let wanted = |c: &Container| {
        let status = c.status();
        let ended = matches!(status, Status::Exited | Status::Dead);
        // Nobody saw its end: that is none of its own.
        let code = if status == Status::Dead { 137 } else { c.record.exit_code };
        ended && c.record.restart.wants_resume(code, status == Status::Dead, c.is_halted())
    };
    let names: Vec<String> = Container::all(root).iter().filter(|c| wanted(c)).map(|c| c.name().to_owned()).collect();
    each(&names, |name| begin(Container::find(root, name)?))
}

/// Stops them and starts them again.
pub fn restart(args: &Restart, root: &Path) -> Outcome {
    each(&args.containers, |name| {
        let container = Container::find(root, name)?;
        life::stop(&container, args.time)?;
        begin(Container::find(root, container.id())?)?;
        container.say("restart", []);
        Ok(())
    })
}

/// Gives a container another name.
pub fn rename(args: &Rename, root: &Path) -> Outcome {
    Container::find(root, &args.container).and_then(|mut c| c.rename(&args.name)).map_err(boxed)?;
    Ok(0)
}
