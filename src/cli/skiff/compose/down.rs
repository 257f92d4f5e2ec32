//! `skiff compose down` and `rm`.

use super::super::images::remove::{Rmi, rmi};
use super::super::{Outcome, boxed};
use super::Session;
use crate::compose::found::{self, Found, Tell, containers};
use crate::compose::{Error, Project, stop};
use crate::image::Store;
use clap::Args;
use std::collections::BTreeSet;
use std::io::IsTerminal;

// Options of `skiff compose down`.
#[derive(Debug, Args)]
pub struct Down {
    /// Also the project's volumes, with what is in them
    #[arg(short, long)]
    volumes: bool,
    /// Also the images of the services: local for those without a name of their own, all
    #[arg(long, value_name = "WHICH", value_parser = ["local", "all"])]
    rmi: Option<String>,
    /// Also containers of services that the file has no more
    #[arg(long)]
    remove_orphans: bool,
    /// Seconds to wait before SIGKILL [default: the container's own, or 10]
    #[arg(short, long, value_name = "SECONDS", allow_hyphen_values = true)]
    timeout: Option<i64>,
    /// Only these services; networks and volumes stay
    services: Vec<String>,
}

// Options of `skiff compose rm`.
#[derive(Debug, Args)]
pub struct Rm {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Stop them first if they run
    #[arg(short, long)]
    stop: bool,
    /// Also their anonymous volumes
    #[arg(short, long)]
    volumes: bool,
    /// The services; all
    services: Vec<String>,
}

/// Stops and removes.
pub fn down(session: &Session<'_>, args: &Down) -> Outcome {
    let (name, project) = session.name()?;
    session.known(&name, project.as_ref(), &args.services)?;
    let _turn = session.turn(&name)?;
    let known = |f: &Found| project.as_ref().is_none_or(|p| p.services.contains_key(&f.service) || p.asleep.contains_key(&f.service));
    let meant = |f: &Found| if args.services.is_empty() { known(f) || args.remove_orphans } else { args.services.contains(&f.service) };
    let (all, left): (Vec<Found>, Vec<Found>) = containers(session.root, &name).into_iter().partition(meant);
    let to = |event: &_| session.event(event);
    let images: BTreeSet<String> = all.iter().map(|f| f.container.record.image.clone()).collect();
    if all.is_empty() && project.is_none() && left.is_empty() {
        session.line(&format!("warning: no resource found for project {name:?}"));
    }
    stop::remove(all, args.timeout, args.volumes, &to).map_err(boxed)?;
    if !args.services.is_empty() {
        return Ok(0);
    }
    if !left.is_empty() {
        let names: Vec<&str> = left.iter().map(|f| f.container.name()).collect();
        session.line(&format!("warning: Found orphan containers ([{}]) for this project; --remove-orphans removes them too.", names.join(" ")));
    }
    // What the file calls another's is, whoever made it once.
    let external = |p: &Project| p.networks.values().filter(|n| n.external).map(|n| n.name.clone()).collect::<Vec<_>>();
    let kept = project.as_ref().map(external).unwrap_or_default();
    stop::networks(session.root, &name, &kept.iter().map(String::as_str).collect(), &to).map_err(boxed)?;
    if args.volumes {
        volumes(session, &name, project.as_ref(), &to).map_err(boxed)?;
    }
    let Some(which) = &args.rmi else { return Ok(0) };
    let mut going = images;
    for (service, of) in project.iter().flat_map(|p| &p.services) {
        going.insert(of.image_name(&name, service));
    }
    let local: BTreeSet<String> = project.iter().flat_map(|p| &p.services).filter(|(_, s)| s.image.is_none()).map(|(n, s)| s.image_name(&name, n)).collect();
    let store = Store::open(session.root);
    // `base` is this machine's own, and no project's.
    let going: Vec<String> = going.into_iter().filter(|i| (which == "all" || local.contains(i)) && i != "base" && store.resolve(i).is_ok()).collect();
    if going.is_empty() { Ok(0) } else { rmi(&Rmi::of(going), session.root) }
}

/// Removes the volumes that the file has, or all of the project where there is no file. One that the file
/// calls external is another's, whoever made it once; one that it does not know any more is told of.
fn volumes(session: &Session<'_>, name: &str, project: Option<&Project>, to: Tell<'_>) -> Result<(), Error> {
    let mut all = found::volumes(session.root, name);
    if let Some(project) = project {
        let of_file = |name: &str, external| project.volumes.values().any(|v| v.name == name && v.external == external);
        all.retain(|v| !of_file(&v.name, true));
        let (meant, left): (Vec<_>, Vec<_>) = all.into_iter().partition(|v| of_file(&v.name, false));
        for volume in left {
            session.line(&format!("warning: the volume {} is of this project and not in its file: it stays; skiff volume rm {} removes it.", volume.name, volume.name));
        }
        all = meant;
    }
    stop::volumes(session.root, &all, to)
}

/// Removes containers that have ended.
pub fn rm(session: &Session<'_>, args: &Rm) -> Outcome {
    let to = |event: &_| session.event(event);
    let name = session.name()?.0;
    let turn = session.turn(&name)?;
    let mut all = session.containers(&args.services, true)?;
    if args.stop {
        stop::stop(&all.iter().collect::<Vec<_>>(), None, &to).map_err(boxed)?;
        all = session.containers(&args.services, true)?;
    }
    all.retain(|f| !f.is_live());
    if all.is_empty() {
        session.line("No stopped containers");
        return Ok(0);
    }
    // Who is asked may think for long.
    drop(turn);
    if !args.force {
        let names: Vec<&str> = all.iter().map(|f| f.container.name()).collect();
        println!("Going to remove {}", names.join(", "));
        if !std::io::stdin().is_terminal() {
            println!("Nothing was removed: there is no terminal to ask at. Use --force.");
            return Ok(0);
        }
        if !crate::cli::out::agreed("Are you sure?") {
            return Ok(0);
        }
    }
    let _turn = session.turn(&name)?;
    stop::remove(all, None, args.volumes, &to).map_err(boxed)?;
    Ok(0)
}
