//! `skiff compose run`: one command in a new container of a service, beside those that serve.

use super::super::run::taken;
use super::super::{Outcome, boxed, clamp};
use super::up::{How, ready, with};
use super::{Session, note};
use super::image::{self, When};
use crate::compose::error::Error;
use crate::compose::labels;
use crate::compose::project::Project;
use crate::compose::service::Maker;
use crate::compose::turn::Turn;
use crate::compose::up::{make_bound, share};
use crate::engine::find::fresh_id;
use crate::engine::host::Host;
use crate::engine::keys::Keys;
use crate::engine::network::Published;
use crate::engine::request::{Network, Request};
use crate::engine::restart::Policy;
use crate::engine::run::Prepared;
use crate::engine::{monitor, run as engine, start};
use crate::image::Image;
use clap::Args;
use std::io::IsTerminal;
use std::path::PathBuf;

// Options of `skiff compose run`.
#[derive(Debug, Args)]
#[command(override_usage = "skiff compose run [OPTIONS] <SERVICE> [COMMAND]...")]
pub struct Run {
    /// Run it in the background and print its name
    #[arg(short, long)]
    detach: bool,
    /// Remove the container when it ends
    #[arg(long)]
    rm: bool,
    /// Do not start what the service depends on
    #[arg(long)]
    no_deps: bool,
    /// Build its image before
    #[arg(long)]
    build: bool,
    /// Publish the service's ports too
    #[arg(short = 'P', long)]
    service_ports: bool,
    /// Publish this port
    #[arg(short, long, value_name = "[HOSTPORT:]PORT")]
    publish: Vec<String>,
    /// Let it be found by the service's name as well
    #[arg(long)]
    use_aliases: bool,
    /// No terminal, even if there is one here
    #[arg(short = 'T', long)]
    no_tty: bool,
    /// Docker's word: standard input is open anyway
    #[arg(short, long)]
    interactive: bool,
    /// Its name
    #[arg(long)]
    name: Option<String>,
    /// Run this instead of the entrypoint
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Set an environment variable
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// A label
    #[arg(short, long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// User, and group, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Working directory inside
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// The service; what follows it is the command with its arguments, options and all
    #[arg(required = true, trailing_var_arg = true, value_name = "SERVICE")]
    words: Vec<String>,
}

/// Runs it.
pub fn run(session: &Session<'_>, args: Run) -> Outcome {
    let name = args.words.first().cloned().unwrap_or_default();
    let project = session.load(std::slice::from_ref(&name))?;
    let service = &project.services[&name];
    let needs: Vec<String> = project.needs().remove(&name).into_iter().flatten().collect();
    if !args.no_deps && !needs.is_empty() {
        let how = How::of_needs(needs.clone(), args.build);
        let ready = ready(session, &how)?;
        with(session, &ready, &how, |up| {
            up.create()?;
            up.start(&mut |_| Ok(()))
        })
        .map_err(boxed)?;
        let conditions: Vec<_> = service.depends_on.iter().map(|(of, d)| (of.clone(), d.condition, d.required)).collect();
        crate::compose::wait::for_all(session.root, &project.name, &conditions, None, &|event| session.event(event)).map_err(boxed)?;
    }
    let meant = std::iter::once(name.clone()).collect();
    let when = When { build: args.build, ..When::default() };
    let mut images = image::all(session, &project, &meant, &when)?;
    let host = Host::read().map_err(boxed)?;
    let Some(image) = images.remove(&name) else { return Err(boxed(Error::NoService { name, known: Vec::new() })) };
    let request = request(&args, &project, &name, &image, &host).map_err(boxed)?;
    parts(session, &project, &name, &image, &host)?;
    make_bound(&request).map_err(boxed)?;
    go(session, &project, &name, (request, &image, &host))
}

/// The networks and volumes that the service has.
fn parts(session: &Session<'_>, project: &Project, name: &str, image: &Image, host: &Host) -> Result<(), Box<dyn crate::kernel::Explain>> {
    let images = std::iter::once((name.to_owned(), image.clone())).collect();
    let up = crate::compose::up::Up {
        root: session.root,
        project,
        host,
        images: &images,
        services: std::iter::once(name.to_owned()).collect(),
        recreate: crate::compose::up::Recreate::Never,
        scale: std::collections::BTreeMap::new(),
        timeout: None,
        renew: false,
        tell: &|event| session.event(event),
        notes: Some(note),
        replaced: std::cell::RefCell::default(),
        halted: std::cell::RefCell::default(),
    };
    let _turn = Turn::wait(session.root, &project.name).map_err(|e| boxed(Error::from(e)))?;
    up.parts().map_err(boxed)
}

fn go(session: &Session<'_>, project: &Project, name: &str, (request, image, host): (Request, &Image, &Host)) -> Outcome {
    let service = &project.services[name];
    let mut container = start::create(session.root, &request, image, host).map_err(boxed)?;
    let maker = Maker { project, name, service, rootless: host.rootless };
    let written = maker.written().and_then(|files| Ok(crate::compose::place::write(&container, &files)?));
    written.and_then(|()| share(session.root, &project.name, service, &mut container)).inspect_err(|_| container.remove_with(true)).map_err(boxed)?;
    let shown = container.name().to_owned();
    let Some((prepared, request)) = start::again(container, host).map_err(boxed)? else { return Ok(0) };
    // One that cannot be started leaves nothing.
    let (prepared, request) = (Prepared { keep: false, ..prepared }, Request { told: Some(note), ..request });
    if request.detach {
        monitor::detached(prepared, &request).map_err(boxed)?;
        println!("{shown}");
        return Ok(0);
    }
    if engine::wants_monitor(&prepared, &request) {
        let input = request.interactive;
        return super::super::attach::accompany(prepared, &request, input, Keys::default(), true);
    }
    engine::foreground(prepared, &request).map(clamp).map_err(boxed)
}

/// The service's request, with what the command line says instead.
fn request(args: &Run, project: &Project, name: &str, image: &Image, host: &Host) -> Result<Request, Error> {
    let service = &project.services[name];
    let maker = Maker { project, name, service, rootless: host.rootless };
    let mut request = maker.request(1, image.id.as_ref())?;
    let own = &fresh_id()?[..12];
    request.name = Some(args.name.clone().unwrap_or_else(|| format!("{}-{name}-run-{own}", project.name)));
    request.labels.insert(labels::ONEOFF.into(), "True".into());
    request.labels.extend(args.label.iter().map(|text| super::super::settings::pair(text)));
    let command = &args.words[1..];
    if let Some(entrypoint) = &args.entrypoint {
        request.entrypoint = Some(entrypoint.clone());
        request.command = command.to_vec();
    } else if !command.is_empty() {
        // What followed the entrypoint's first word stays before it.
        let kept = service.entrypoint.as_ref().map_or(0, |e| e.len().saturating_sub(1));
        request.command.truncate(kept);
        request.command.extend(command.iter().cloned());
    }
    request.env.extend(args.env.iter().filter_map(|setting| taken(setting)));
    request.user = args.user.clone().or(request.user);
    request.workdir = args.workdir.clone().or(request.workdir);
    request.restart = Policy::No;
    request.remove = args.rm;
    request.detach = args.detach;
    request.interactive = !args.detach;
    request.tty = !args.no_tty && !args.detach && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if let Network::Joined(wish) = &mut request.network {
        if !args.service_ports {
            wish.ports.clear();
        }
        for text in &args.publish {
            wish.ports.extend(Published::parse(text)?);
        }
        if !args.use_aliases {
            wish.places.iter_mut().for_each(|place| place.aliases.clear());
        }
    }
    Ok(request)
}
