//! `skiff pause`: every process of a container stands still (cgroups(7), the freezer).
//!
//! Nothing is told to the processes and they can do nothing about it: they get no CPU until they are
//! let go on, and then notice only that time has passed. SIGSTOP would be seen by a parent, and
//! undone by anybody inside. A frozen process cannot die either: what kills one lets it go on first.
//! See it live: `cat /sys/fs/cgroup/skiff/ID/cgroup.freeze` (v1: freezer.state).

use super::container::Container;
use super::error::Error;
use super::host::layout;
use super::life;
use super::steps::cgroup;
use crate::kernel::cgroup::{Cgroup, Controller, Hierarchy};

/// Lets every process of the container stand still.
pub fn pause(container: &Container) -> Result<(), Error> {
    life::process(container)?;
    let Some(group) = group(container)? else { return Err(Error::NoCgroup { name: container.name().to_owned() }) };
    if group.is_frozen() {
        return Err(Error::Paused { name: container.name().to_owned() });
    }
    group.freeze(true)?;
    container.say("pause", []);
    Ok(())
}

/// Lets them go on.
pub fn unpause(container: &Container) -> Result<(), Error> {
    life::process(container)?;
    match group(container)?.filter(Cgroup::is_frozen) {
        Some(group) => {
            group.freeze(false)?;
            container.say("unpause", []);
            Ok(())
        }
        None => Err(Error::NotPaused { name: container.name().to_owned() }),
    }
}

/// Is it standing still?
pub fn is_paused(container: &Container) -> bool {
    group(container).ok().flatten().is_some_and(|group| group.is_frozen())
}

/// Lets it go on if it stands still: so that a signal arrives.
pub(super) fn thaw(container: &Container) {
    if let Some(group) = group(container).ok().flatten().filter(Cgroup::is_frozen) {
        // If it cannot be, the signal waits in the kernel, and whoever waits for the end says so.
        let _ = group.freeze(false);
    }
}

fn group(container: &Container) -> Result<Option<Cgroup>, Error> {
    let freezes = |hierarchy: &Hierarchy| !hierarchy.v1 || hierarchy.controllers.contains(&Controller::Freezer);
    Ok(Cgroup::open_in(&layout()?, &cgroup::name(container.id()), freezes)?)
}
