//! `skiff compose start`, `stop`, `restart`, `kill`, `pause` and `unpause`: containers that there are.

use super::super::{Outcome, boxed};
use super::Session;
use crate::compose::found::{Found, told};
use crate::compose::turn::Turn;
use crate::compose::up::{begin, share};
use crate::compose::{Error, Project, stop as halt, wait};
use crate::engine::container::Container;
use crate::engine::host::Host;
use crate::engine::{life, pause as still};
use clap::Args;
use std::collections::BTreeSet;

// Options of `skiff compose start`.
#[derive(Debug, Args)]
pub struct Start {
    /// The services; all
    services: Vec<String>,
}

// Options of `skiff compose stop`.
#[derive(Debug, Args)]
pub struct Stop {
    /// Seconds to wait before SIGKILL [default: the container's own, or 10]
    #[arg(short, long, value_name = "SECONDS", allow_hyphen_values = true)]
    timeout: Option<i64>,
    /// The services; all
    services: Vec<String>,
}

// Options of `skiff compose restart`.
#[derive(Debug, Args)]
pub struct Restart {
    /// Seconds to wait before SIGKILL [default: the container's own, or 10]
    #[arg(short, long, value_name = "SECONDS", allow_hyphen_values = true)]
    timeout: Option<i64>,
    /// Not what is to be restarted with them (`depends_on`, `restart: true`)
    #[arg(long)]
    no_deps: bool,
    /// The services; all
    services: Vec<String>,
}

// Options of `skiff compose kill`.
#[derive(Debug, Args)]
pub struct Kill {
    /// The signal, by name or number
    #[arg(short, long, default_value = "SIGKILL")]
    signal: String,
    /// The services; all
    services: Vec<String>,
}

/// The services that `skiff compose pause` and `unpause` are given.
#[derive(Debug, Args)]
pub struct Named {
    /// The services; all
    services: Vec<String>,
}

/// Starts what does not run, each after what it depends on.
pub fn start(session: &Session<'_>, args: &Start) -> Outcome {
    let project = session.load(&args.services)?;
    let all = session.containers(&args.services, false)?;
    if all.is_empty() {
        return Err(boxed(Error::NoContainers { project: project.name }));
    }
    begin_in_order(session, &project, all.into_iter().filter(|f| !f.is_live()).collect(), true).map_err(boxed)?;
    Ok(0)
}

/// Starts them; those that were started with them are `waited` for, as each depends on them.
fn begin_in_order(session: &Session<'_>, project: &Project, mut all: Vec<Found>, waited: bool) -> Result<(), Error> {
    let order = project.order()?;
    let started: BTreeSet<String> = all.iter().filter(|_| waited).map(|f| f.service.clone()).collect();
    all.sort_by_key(|f| order.iter().position(|name| *name == f.service).unwrap_or(usize::MAX));
    let host = Host::read()?;
    for found in all {
        let mut container = Container::find(session.root, found.container.id())?;
        if let Some(service) = project.services.get(&found.service) {
            let conditions: Vec<_> = service.depends_on.iter().filter(|(of, _)| started.contains(*of)).map(|(of, d)| (of.clone(), d.condition, d.required)).collect();
            wait::for_all(session.root, &project.name, &conditions, None, &|event| session.event(event))?;
        }
        let _turn = Turn::wait(session.root, &project.name)?;
        if let Some(service) = project.services.get(&found.service) {
            share(session.root, &project.name, service, &mut container)?;
        }
        begin(container, &host, &|event| session.event(event))?;
    }
    Ok(())
}

/// Stops what runs.
pub fn stop(session: &Session<'_>, args: &Stop) -> Outcome {
    let all = session.containers(&args.services, false)?;
    halt::stop(&all.iter().collect::<Vec<_>>(), args.timeout, &|event| session.event(event)).map_err(boxed)?;
    Ok(0)
}

/// Stops them, and starts them again.
pub fn restart(session: &Session<'_>, args: &Restart) -> Outcome {
    let project = session.load(&args.services)?;
    let mut wanted = args.services.clone();
    if !args.no_deps && !wanted.is_empty() {
        let with = |s: &crate::compose::model::Service| s.depends_on.iter().any(|(name, d)| d.restart && args.services.contains(name));
        wanted.extend(project.services.iter().filter(|(_, s)| with(s)).map(|(name, _)| name.clone()));
    }
    let all = session.containers(&wanted, false)?;
    if all.is_empty() {
        return Err(boxed(Error::NoContainers { project: project.name }));
    }
    halt::stop(&all.iter().collect::<Vec<_>>(), args.timeout, &|event| session.event(event)).map_err(boxed)?;
    begin_in_order(session, &project, all, false).map_err(boxed)?;
    Ok(0)
}

/// Signals them.
pub fn kill(session: &Session<'_>, args: &Kill) -> Outcome {
    let signal = life::signal_number(&args.signal).map_err(boxed)?;
    each(session, &args.services, ("Killing", "Killed"), |container| life::kill(container, signal))
}

/// Stands them still.
pub fn pause(session: &Session<'_>, args: &Named) -> Outcome {
    each(session, &args.services, ("Pausing", "Paused"), still::pause)
}

/// Lets them go on.
pub fn unpause(session: &Session<'_>, args: &Named) -> Outcome {
    each(session, &args.services, ("Unpausing", "Unpaused"), still::unpause)
}

/// Does something with each that runs.
fn each(session: &Session<'_>, services: &[String], states: (&'static str, &'static str), act: impl Fn(&Container) -> Result<(), crate::engine::Error>) -> Outcome {
    for found in session.containers(services, false)?.iter().filter(|f| f.is_live()) {
        told(&|event| session.event(event), "Container", found.container.name(), states, || act(&found.container)).map_err(boxed)?;
    }
    Ok(0)
}
