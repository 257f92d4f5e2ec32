//! The way down: containers are stopped in the reverse order of their start, those of one level side by
//! side, then removed; then the networks and volumes. All by labels: the file may have changed, or be gone.

use super::error::Error;
use super::found::{self, Found, Tell, tell, told};
use super::graph::{self, Needs};
use crate::engine::life;
use crate::engine::network::Networks;
use crate::engine::volume::{Volume, Volumes};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Stops them, and those that depend on others first. Negative is without end; `None` is each one's own time.
pub fn stop(all: &[&Found], grace: Option<i64>, to: Tell<'_>) -> Result<(), Error> {
    for level in levels(all) {
        let live: Vec<&Found> = level.into_iter().filter(|f| f.is_live()).collect();
        live.iter().for_each(|f| tell(to, "Container", f.container.name(), "Stopping"));
        // Each may take its whole time of grace; nothing is forked meanwhile.
        let ended: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = live.iter().map(|f| scope.spawn(|| life::stop(&f.container, grace))).collect();
            threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        for (found, ended) in live.iter().zip(ended) {
            ended.or_else(|e| unless_gone(found, e))?;
            tell(to, "Container", found.container.name(), "Stopped");
        }
    }
    Ok(())
}

/// Stops and removes them; with `volumes_too` their anonymous volumes go along.
pub fn remove(all: Vec<Found>, grace: Option<i64>, volumes_too: bool, to: Tell<'_>) -> Result<(), Error> {
    stop(&all.iter().collect::<Vec<_>>(), grace, to)?;
    for found in &all {
        told(to, "Container", found.container.name(), ("Removing", "Removed"), || life::remove(&found.container, true, volumes_too).or_else(|e| unless_gone(found, e)))?;
    }
    Ok(())
}

/// What somebody else removed meanwhile is as it is to be.
fn unless_gone(found: &Found, error: crate::engine::Error) -> Result<(), crate::engine::Error> {
    match found::by_id(found.container.store(), found.container.id()) {
        Some(_) => Err(error),
        None => Ok(()),
    }
}

/// By how far they stand from those that nobody depends on: those first.
fn levels<'f>(all: &[&'f Found]) -> Vec<Vec<&'f Found>> {
    let needs: Needs = all.iter().map(|f| (f.service.clone(), f.depends_on())).collect();
    let depths = depths(&needs);
    let mut by_depth: BTreeMap<usize, Vec<&'f Found>> = BTreeMap::new();
    for found in all {
        by_depth.entry(depths.get(found.service.as_str()).copied().unwrap_or(0)).or_default().push(found);
    }
    by_depth.into_values().rev().collect()
}

/// For each service the longest way down to one without needs. Each is gone through once: there may be
/// very many ways. A circle, which no file makes, has all of its services on one level.
fn depths(needs: &Needs) -> BTreeMap<&str, usize> {
    let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
    for name in graph::order(needs).unwrap_or_default() {
        let Some((name, of)) = needs.get_key_value(&name) else { continue };
        let below = of.iter().filter(|n| needs.contains_key(*n)).filter_map(|n| depths.get(n.as_str())).max();
        let depth = below.map_or(0, |below| below + 1);
        depths.insert(name, depth);
    }
    depths
}

/// Removes the networks of a project, but not those that are to be `kept`. One that others use still is
/// left, and told of.
pub fn networks(root: &Path, project: &str, kept: &BTreeSet<&str>, to: Tell<'_>) -> Result<(), Error> {
    for network in found::networks(root, project)?.into_iter().filter(|n| !kept.contains(n.name.as_str())) {
        tell(to, "Network", &network.name, "Removing");
        match Networks::open(root).remove(&network) {
            Err(crate::engine::network::Error::InUse { .. }) => tell(to, "Network", &network.name, "Resource is still in use"),
            // Somebody else did meanwhile.
            Err(_) if !found::networks(root, project)?.iter().any(|n| n.id == network.id) => tell(to, "Network", &network.name, "Removed"),
            other => {
                other?;
                tell(to, "Network", &network.name, "Removed");
            }
        }
    }
    Ok(())
}

/// Removes these volumes of a project, with what is in them.
pub fn volumes(root: &Path, all: &[Volume], to: Tell<'_>) -> Result<(), Error> {
    for volume in all {
        tell(to, "Volume", &volume.name, "Removing");
        match Volumes::open(root).remove(&volume.name) {
            Err(crate::engine::volume::Error::InUse { .. }) => tell(to, "Volume", &volume.name, "Resource is still in use"),
            Err(crate::engine::volume::Error::NotFound { .. }) => tell(to, "Volume", &volume.name, "Removed"),
            other => {
                other?;
                tell(to, "Volume", &volume.name, "Removed");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_that_all_need_all_before_them_are_soon_in_order() {
        let name = |n: usize| format!("s{n:02}");
        let needs: Needs = (0..60).map(|n| (name(n), (0..n).map(name).chain(["gone".to_owned()]).collect())).collect();
        assert!(depths(&needs).into_iter().eq((0..60).map(name).collect::<Vec<_>>().iter().map(String::as_str).zip(0..)));
    }
}
