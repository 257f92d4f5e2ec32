//! `skiff create` and `start`: a container that does not run yet, and one that runs again.
//!
//! A container that has ended keeps its writable layer and what was asked for (request.json). To start
//! it is to put config and plan together anew from that, join its networks anew, and carry the plan
//! out by the same steps: nothing of its last run is needed, so a reboot makes no difference.

use super::config::{self, Names};
use super::container::{Container, Record, Status};
use super::error::Error;
use super::host::Host;
use super::record::document;
use super::request::{Network, Request};
use super::run::{self, Made, Prepared};
use super::volume;
use crate::image::{Image, Store};
use crate::kernel::ns::Ns;
use std::fs;
use std::path::Path;

/// Makes a container that waits for its first start.
pub fn create(store: &Path, request: &Request, image: &Image, host: &Host) -> Result<Container, Error> {
    let record = run::blank(store, request, image)?;
    let (mounts, id) = (record.mounts.clone(), record.id.clone());
    made(store, record, request, image, host).inspect_err(|_| volume::attach::leave(store, &mounts, &id, true))
}

fn made(store: &Path, mut record: Record, request: &Request, image: &Image, host: &Host) -> Result<Container, Error> {
    record.status = Status::Created;
    let folder = store.join("containers").join(&record.id);
    // What cannot be is said now, not at the start.
    let spec = config::config(request, image, &Names { id: &record.id, folder: &folder, mounts: &record.mounts }, host.rootless)?;
    record.command = spec.process().as_ref().and_then(|p| p.args().clone()).unwrap_or_default();
    let mut made = run::create(store, record, request.name.is_some())?;
    run::keep_request(&made, request).and_then(|()| run::write_files(&made, &spec, request)).inspect_err(|_| made.remove_with(true))?;
    made.let_go();
    Ok(made)
}

/// What a container was asked to be.
pub fn request_of(container: &Container) -> Result<Request, Error> {
    let request: Request = document(&container.folder(), "request.json")?;
    // It may lie elsewhere by now.
    Ok(Request { program: crate::kernel::sealed::program()?, ..request })
}

/// Lets a container that does not run have the network of one that does, from its next start on.
pub fn share_network(container: &mut Container, other: &Container) -> Result<(), Error> {
    let path = Ns::Net.path(super::life::process(other)?.pid());
    let mut request = request_of(container)?;
    request.network = Network::At(path);
    request.lookup.like = Some(other.id().to_owned());
    run::keep_request(container, &request)?;
    container.change(|record| record.lookup = request.lookup.clone())
}

/// Takes a container that does not run and makes it ready to be started; `None` if it runs already.
pub fn again(mut container: Container, host: &Host) -> Result<Option<(Prepared, Request)>, Error> {
    match container.status() {
        Status::Running | Status::Restarting => return Ok(None),
        Status::Creating => return Err(Error::Running { name: container.name().to_owned() }),
        // Its cgroup, addresses and ports are still there.
        Status::Dead => container.release(),
        Status::Created | Status::Exited => {}
    }
    let request = request_of(&container)?;
    if container.lock().is_err() {
        // Somebody else was quicker.
        return Ok(None);
    }
    let folder = container.folder();
    drop(fs::remove_file(folder.join("halted")));
    container.record.restarts = 0;
    let made = ready(&mut container, &request, host).inspect_err(|e| run::abandon(&mut container, true, e))?;
    let prepared = Prepared { keep: true, ..made.of_container(container, request.told) };
    Ok(Some((prepared, request)))
}

/// Puts together what the next start of a container needs; its lock is ours.
pub(super) fn ready(container: &mut Container, request: &Request, host: &Host) -> Result<Made, Error> {
    let image = Store::open(container.store()).resolve(&container.record.image_digest)?;
    let mut record = Record { status: Status::Creating, pid: 0, error: String::new(), ..container.record.clone() };
    let made = Made::of(container.store(), &mut record, request, &image, host)?;
    // First, or the last run's would be taken for this one's.
    drop(fs::remove_file(container.folder().join("running")));
    container.change(|now| *now = Record { name: now.name.clone(), restart: now.restart, ..record })?;
    run::write_files(container, &made.spec, request)?;
    Ok(made)
}
