//! Checks again when the kernel's state changes.

use crate::check::{Check, Scene, Verdict, examine};
use crate::kernel::SysError;
use crate::kernel::cgroup::Layout;
use crate::kernel::watch::Watch;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// After a change, wait this long for the ones that come with it: a container is many changes.
const SETTLE: Duration = Duration::from_millis(15);
/// Look again after this long without an event: what raises none is found so.
const SWEEP: Duration = Duration::from_secs(2);
/// The same where process events are not to be had.
const SWEEP_DEAF: Duration = Duration::from_millis(500);

/// Calls `told` with each verdict that differs from the last, until it answers false.
pub fn watch(checks: &[Check], scene: &Scene, mut told: impl FnMut(&Verdict, Duration) -> bool) -> Result<(), SysError> {
    let tops: Vec<PathBuf> = Layout::read()
        .map(|l| l.unified.into_iter().chain(l.v1).flat_map(|h| [h.mount.clone(), h.mount.join("skiff")]).collect())
        .unwrap_or_default();
    let watch = Watch::new(tops.iter().map(PathBuf::as_path))?;
    let sweep = if watch.hears_processes() { SWEEP } else { SWEEP_DEAF };
    let mut last = None;
    loop {
        let began = Instant::now();
        let verdict = examine(checks, scene);
        if last.as_ref() != Some(&verdict) {
            if !told(&verdict, began.elapsed()) {
                return Ok(());
            }
            last = Some(verdict);
        }
        if watch.wait(sweep)? {
            // Let the burst pass, but look at least every 60 ms while it lasts.
            let until = Instant::now() + Duration::from_millis(60);
            while Instant::now() < until && watch.wait(SETTLE)? {}
        }
    }
}
