//! The way down: containers are stopped in the reverse order of their start, those of one level side by
//! side, then removed; then the networks and volumes. All by labels: the file may have changed, or be gone.

use super::error::Error;
use super::found::{self, Found, Tell, tell, told};
use crate::engine::life;
use crate::engine::network::Networks;
use crate::engine::volume::Volumes;
use std::collections::BTreeMap;
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
            ended?;
            tell(to, "Container", found.container.name(), "Stopped");
        }
    }
    Ok(())
}

/// Stops and removes them; with `volumes_too` their anonymous volumes go along.
pub fn remove(all: Vec<Found>, grace: Option<i64>, volumes_too: bool, to: Tell<'_>) -> Result<(), Error> {
    stop(&all.iter().collect::<Vec<_>>(), grace, to)?;
    for found in &all {
        told(to, "Container", found.container.name(), ("Removing", "Removed"), || life::remove(&found.container, true, volumes_too))?;
    }
    Ok(())
}

/// By how far they stand from those that nobody depends on: those first.
fn levels<'f>(all: &[&'f Found]) -> Vec<Vec<&'f Found>> {
    let needs: BTreeMap<&str, Vec<String>> = all.iter().map(|f| (f.service.as_str(), f.depends_on().into_iter().collect())).collect();
    // The longest way down to a service without needs; a circle, which no file makes, ends by its length.
    fn depth(name: &str, needs: &BTreeMap<&str, Vec<String>>, left: usize) -> usize {
        match needs.get(name) {
            Some(of) if left > 0 => of.iter().filter(|n| needs.contains_key(n.as_str())).map(|n| 1 + depth(n, needs, left - 1)).max().unwrap_or(0),
            _ => 0,
        }
    }
    let mut by_depth: BTreeMap<usize, Vec<&'f Found>> = BTreeMap::new();
    for found in all {
        by_depth.entry(depth(&found.service, &needs, needs.len().min(64))).or_default().push(found);
    }
    by_depth.into_values().rev().collect()
}

/// Removes the networks of a project. One that others use still is left, and told of.
pub fn networks(root: &Path, project: &str, to: Tell<'_>) -> Result<(), Error> {
    for network in found::networks(root, project)? {
        tell(to, "Network", &network.name, "Removing");
        match Networks::open(root).remove(&network) {
            Err(crate::engine::network::Error::InUse { .. }) => tell(to, "Network", &network.name, "Resource is still in use"),
            other => {
                other?;
                tell(to, "Network", &network.name, "Removed");
            }
        }
    }
    Ok(())
}

/// Removes the volumes of a project, with what is in them.
pub fn volumes(root: &Path, project: &str, to: Tell<'_>) -> Result<(), Error> {
    for volume in found::volumes(root, project) {
        tell(to, "Volume", &volume.name, "Removing");
        match Volumes::open(root).remove(&volume.name) {
            Err(crate::engine::volume::Error::InUse { .. }) => tell(to, "Volume", &volume.name, "Resource is still in use"),
            other => {
                other?;
                tell(to, "Volume", &volume.name, "Removed");
            }
        }
    }
    Ok(())
}
