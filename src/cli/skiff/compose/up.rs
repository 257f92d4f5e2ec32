//! `skiff compose up` and `create`.

use super::super::{Outcome, boxed};
use super::follow::{Follower, Lines};
use super::image::{self, When};
use super::{Session, note};
use crate::compose::found::{Found, containers};
use crate::compose::model::Condition;
use crate::compose::up::{Recreate, Up};
use crate::compose::{Error, Project, stop, wait};
use crate::engine::host::Host;
use crate::image::Image;
use crate::kernel::Explain;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

// Options of `skiff compose up`.
#[derive(Debug, clap::Args)]
#[command(disable_version_flag = true)]
pub struct Args {
    /// Run the containers in the background
    #[arg(short, long)]
    detach: bool,
    /// Wait until they run, and are healthy; in the background
    #[arg(long)]
    wait: bool,
    /// At most so many seconds for that
    #[arg(long, value_name = "SECONDS")]
    wait_timeout: Option<u64>,
    /// Start nothing
    #[arg(long)]
    no_start: bool,
    /// Stop all when one has ended; its exit code is that of this command
    #[arg(long, conflicts_with_all = ["detach", "wait"])]
    abort_on_container_exit: bool,
    /// The same, with this service's exit code
    #[arg(long, value_name = "SERVICE", conflicts_with_all = ["detach", "wait"])]
    exit_code_from: Option<String>,
    /// No names before the lines of the output
    #[arg(long)]
    no_log_prefix: bool,
    /// The time before each line
    #[arg(long)]
    timestamps: bool,
    #[command(flatten)]
    how: How,
}

// What `up` and `create` have in common.
#[derive(Debug, clap::Args)]
pub struct How {
    /// Build images before
    #[arg(long)]
    build: bool,
    /// Build nothing, even if it is missing
    #[arg(long, conflicts_with = "build")]
    no_build: bool,
    /// always, missing, never: when a registry is asked
    #[arg(long, value_name = "WHEN", value_parser = ["always", "missing", "never", "build"])]
    pull: Option<String>,
    /// Replace containers that have not changed, too
    #[arg(long, conflicts_with = "no_recreate")]
    force_recreate: bool,
    /// Replace none, even if it has changed
    #[arg(long)]
    no_recreate: bool,
    /// New anonymous volumes for what is replaced, instead of the old ones
    #[arg(short = 'V', long)]
    renew_anon_volumes: bool,
    /// Remove containers of services that the file has no more
    #[arg(long)]
    remove_orphans: bool,
    /// So many containers of a service
    #[arg(long, value_name = "SERVICE=NUMBER")]
    scale: Vec<String>,
    /// Not what the named services depend on
    #[arg(long)]
    no_deps: bool,
    /// Seconds to wait before SIGKILL, for what is replaced
    #[arg(short, long, value_name = "SECONDS", allow_hyphen_values = true)]
    timeout: Option<i64>,
    /// The services; all
    services: Vec<String>,
}

// Options of `skiff compose create`.
#[derive(Debug, clap::Args)]
#[command(disable_version_flag = true)]
pub struct Create {
    #[command(flatten)]
    how: How,
}

/// What is needed to bring services up.
pub struct Ready {
    /// The project.
    pub project: Project,
    /// The services that are meant.
    pub services: BTreeSet<String>,
    images: BTreeMap<String, Image>,
    host: Host,
}

/// Loads the project and has its images ready.
pub fn ready(session: &Session<'_>, how: &How) -> Result<Ready, Box<dyn Explain>> {
    let project = session.load(&how.services)?;
    let services = project.selected(&how.services, !how.no_deps);
    let host = Host::read().map_err(boxed)?;
    if host.rootless {
        session.line("note: networks need root: the containers have none");
    }
    let when = When { build: how.build, no_build: how.no_build, pull: how.pull.clone() };
    let images = image::all(session, &project, &services, &when)?;
    Ok(Ready { project, services, images, host })
}

impl How {
    /// What `run` brings up before its own container: what the service needs.
    pub fn of_needs(services: Vec<String>, build: bool) -> Self {
        Self { build, no_build: false, pull: None, force_recreate: false, no_recreate: false, renew_anon_volumes: false, remove_orphans: false, scale: Vec::new(), no_deps: false, timeout: None, services }
    }

    fn scale(&self, project: &Project) -> Result<BTreeMap<String, u32>, Error> {
        let one = |text: &String| {
            let bad = |reason: &str| Error::Option { option: "--scale", value: text.clone(), reason: reason.to_owned() };
            let (name, number) = text.split_once('=').ok_or_else(|| bad("it is SERVICE=NUMBER"))?;
            if !project.services.contains_key(name) {
                return Err(Error::NoService { name: name.to_owned(), known: project.services.keys().cloned().collect() });
            }
            Ok((name.to_owned(), number.parse().map_err(|_| bad("it is SERVICE=NUMBER"))?))
        };
        self.scale.iter().map(one).collect()
    }
}

/// Does something with all that is needed to bring services up.
pub fn with<T>(session: &Session<'_>, ready: &Ready, how: &How, act: impl FnOnce(&Up<'_>) -> Result<T, Error>) -> Result<T, Error> {
    let recreate = match (how.force_recreate, how.no_recreate) {
        (true, _) => Recreate::Always,
        (_, true) => Recreate::Never,
        _ => Recreate::Changed,
    };
    let up = Up {
        root: session.root,
        project: &ready.project,
        host: &ready.host,
        images: &ready.images,
        services: ready.services.clone(),
        recreate,
        scale: how.scale(&ready.project)?,
        timeout: how.timeout,
        renew: how.renew_anon_volumes,
        tell: &|event| session.event(event),
        notes: Some(note),
        replaced: RefCell::default(),
        halted: RefCell::default(),
    };
    act(&up)
}

/// Containers of services that the file does not have any more.
fn orphans(session: &Session<'_>, project: &Project, how: &How) -> Result<(), Error> {
    let known = |f: &Found| project.services.contains_key(&f.service) || project.asleep.contains_key(&f.service);
    let strange: Vec<Found> = containers(session.root, &project.name).into_iter().filter(|f| !f.oneoff && !known(f)).collect();
    if how.remove_orphans {
        return stop::remove(strange, how.timeout, false, &|event| session.event(event));
    }
    if !strange.is_empty() {
        let names: Vec<&str> = strange.iter().map(|f| f.container.name()).collect();
        session.line(&format!(
            "warning: Found orphan containers ([{}]) for this project. If you removed or renamed this service in your compose file, you can run this command with the --remove-orphans flag to clean it up.",
            names.join(" ")
        ));
    }
    Ok(())
}

/// Makes them.
pub fn create(session: &Session<'_>, args: &Create) -> Outcome {
    let ready = ready(session, &args.how)?;
    with(session, &ready, &args.how, |up| up.create()).map_err(boxed)?;
    orphans(session, &ready.project, &args.how).map_err(boxed)?;
    Ok(0)
}

/// Makes and starts them.
pub fn up(session: &Session<'_>, args: &Args) -> Outcome {
    let ready = ready(session, &args.how)?;
    let wanted_code = args.exit_code_from.clone();
    if let Some(service) = wanted_code.as_ref().filter(|s| !ready.services.contains(*s)) {
        return Err(boxed(Error::NoService { name: service.clone(), known: ready.services.iter().cloned().collect() }));
    }
    orphans(session, &ready.project, &args.how).map_err(boxed)?;
    let followed = !(args.detach || args.wait || args.no_start);
    let mut lines = Lines::new(args.no_log_prefix, args.timestamps);
    with(session, &ready, &args.how, |up| {
        up.create()?;
        if args.no_start {
            return Ok(());
        }
        up.start(&mut |found| {
            let quiet = ready.project.services.get(&found.service).is_some_and(|s| s.attach == Some(false));
            if followed && !quiet { lines.add_from_now(found) } else { Ok(()) }
        })
    })
    .map_err(boxed)?;
    if args.wait {
        let within = args.wait_timeout.map(Duration::from_secs);
        let to = |event: &_| session.event(event);
        wait::until_up(session.root, &ready.project.name, &ready.services, &jobs(&ready.project), within, &to).map_err(boxed)?;
    }
    if !followed {
        return Ok(0);
    }
    let abort = args.abort_on_container_exit || wanted_code.is_some();
    Follower { session, lines, abort, code_from: wanted_code, grace: args.how.timeout, stops: true }.follow()
}

/// Services that others wait for to end.
fn jobs(project: &Project) -> BTreeSet<String> {
    let all = project.services.values().flat_map(|s| &s.depends_on);
    all.filter(|(_, d)| d.condition == Condition::ServiceCompletedSuccessfully).map(|(name, _)| name.clone()).collect()
}
