//! `skiff cp`: files between the host and a container, by a tar stream between two processes.
//!
//! One of them sees the container's files as the container does, and nothing else of the host: of a
//! container that runs it enters the namespaces (`join`); of one that does not it takes the steps of
//! the container's plan up to its mounts, and makes that root its own (chroot(2)). Whatever links and
//! `..` a path has, they end in there, also when the container exchanges them at this very moment; so
//! a container cannot lead a copy out (CVE-2018-15664). This process keeps to the host's side.

pub mod pack;
pub mod place;

use super::container::{Container, Status};
use super::enter::config_of;
use super::error::Error;
use super::hold::Upstream;
use super::host::Host;
use super::inside::Inside;
use super::plan::{Place, Plan};
use super::relay;
use super::step::{Carry, Step, StepError};
use super::steps::{join::Join, rootfs::Source};
use crate::image::Store;
use crate::kernel::ns::Ns;
use crate::kernel::pidfd::{self, Fork, Pidfd};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// A process that sees a container's files, at work.
#[derive(Debug)]
pub struct Visit {
    process: Pidfd,
    told: OwnedFd,
}

/// What a visitor does inside; what it answers is told by [`Visit::end`].
pub type Work<'a> = Box<dyn FnOnce() -> Result<String, StepError> + 'a>;

impl Visit {
    /// Starts a process that sees the container's files and does this.
    pub fn begin(container: &Container, work: Work<'_>) -> Result<Self, Error> {
        let steps = steps(container, &Host::read()?)?;
        let (told, tell) = relay::pipe()?;
        match pidfd::fork()? {
            Fork::Child => {
                drop(told);
                let answer = match enter(container, &steps).and_then(|()| work()) {
                    Ok(answer) => format!("done {answer}"),
                    Err(error) => serde_json::to_string(&error).unwrap_or_default(),
                };
                relay::write_all(tell.as_fd(), answer.as_bytes());
                pidfd::exit_now(0)
            }
            Fork::Parent(pid) => {
                drop(tell);
                Ok(Self { process: Pidfd::open(pid)?, told })
            }
        }
    }

    /// Waits for it: its answer.
    pub fn end(self) -> Result<String, Error> {
        let mut text = String::new();
        File::from(self.told).read_to_string(&mut text).or_sys("hear from the process in the container")?;
        self.process.wait()?;
        match text.strip_prefix("done ") {
            Some(answer) => Ok(answer.to_owned()),
            None => Err(serde_json::from_str::<StepError>(&text).map_err(|_| SysError::new("copy", Errno::ECHILD))?.into()),
        }
    }
}

/// The steps to the container's files.
fn steps(container: &Container, host: &Host) -> Result<Vec<Step>, Error> {
    if container.status() == Status::Running {
        return Ok(vec![Step::Join(Join { pid: super::life::process(container)?.pid(), user: host.rootless })]);
    }
    let image = Store::open(container.store()).resolve(&container.record.image_digest)?;
    let below = |layer: &std::path::PathBuf| layer.strip_prefix(container.store()).map_or_else(|_| layer.clone(), Path::to_path_buf);
    let root = Source::Layers(image.dirs().iter().map(below).collect());
    let place = Place { id: container.id().to_owned(), root, endpoints: Vec::new(), tap: None, filter: None, bundle: None, no_pivot: false };
    let plan = Plan::from_config(&config_of(container)?, &place, host);
    let wanted = |step: &Step| match step {
        Step::UserNs(_) | Step::Private(_) | Step::Rootfs(_) => true,
        Step::Unshare(unshare) => unshare.ns == Ns::Mnt,
        // Its volumes and the host's folders; /proc and its like are the kernel's, not the container's.
        Step::Mount(mount) => mount.fstype == "bind",
        _ => false,
    };
    Ok(plan.steps.into_iter().filter(wanted).collect())
}

/// Takes the steps, and makes the container's root this process's.
fn enter(container: &Container, steps: &[Step]) -> Result<(), StepError> {
    let (socket, _other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).or_sys("make a pair of sockets")?;
    let mut inside = Inside::new(container.id(), container.store(), Upstream::new(socket));
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    steps.iter().try_for_each(|step| step.carry_out(&mut inside))?;
    if !inside.pivoted {
        nix::unistd::fchdir(inside.root()?).or_sys("enter the container's root")?;
        nix::unistd::chroot(".").or_sys("make the container's root ours")?;
    }
    Ok(nix::unistd::chdir("/").or_sys("enter the container's root")?)
}
