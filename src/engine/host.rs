//! What this machine can do, read once. Planning looks here and nowhere else.
//!
//! Rootless or root, which ids may be mapped, which control groups there are. `drydock doctor` tries
//! the real operations; this only reads what a plan depends on.

use crate::kernel::SysError;
use crate::kernel::cgroup::Layout;
use crate::kernel::userns::{IdRange, granted_range};
use nix::unistd::{getegid, geteuid};
use std::path::Path;
use std::sync::OnceLock;

/// The facts that a plan depends on.
#[derive(Debug, Clone)]
pub struct Host {
    /// True when this is not real root: a user namespace is needed for everything.
    pub rootless: bool,
    /// Our user id.
    pub uid: u32,
    /// Our group id.
    pub gid: u32,
    /// Uid and gid ranges granted in /etc/subuid and /etc/subgid, with the programs to write them.
    pub granted: Option<(IdRange, IdRange)>,
    /// Where the control groups are; `None` where there are none to be seen.
    pub cgroups: Option<Layout>,
}

impl Host {
    /// Reads this machine.
    pub fn read() -> Result<Self, SysError> {
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let rootless = !crate::kernel::userns::is_host_root();
        Ok(Self { rootless, uid, gid, granted: if rootless { granted(uid) } else { None }, cgroups: layout().ok() })
    }

    /// The maps of a rootless container: its root is us; more ids where they are granted.
    pub fn maps(&self) -> (Vec<IdRange>, Vec<IdRange>) {
        let own = |outside| IdRange { inside: 0, outside, count: 1 };
        let mut uids = vec![own(self.uid)];
        let mut gids = vec![own(self.gid)];
        if let Some((more_uids, more_gids)) = self.granted {
            uids.push(more_uids);
            gids.push(more_gids);
        }
        (uids, gids)
    }
}

/// Where the control groups are, read once: they do not move during a run.
pub fn layout() -> Result<Layout, crate::kernel::cgroup::Error> {
    static LAYOUT: OnceLock<Layout> = OnceLock::new();
    if let Some(known) = LAYOUT.get() {
        return Ok(known.clone());
    }
    let read = Layout::read()?;
    Ok(LAYOUT.get_or_init(|| read).clone())
}

fn granted(uid: u32) -> Option<(IdRange, IdRange)> {
    let tools = ["newuidmap", "newgidmap"].iter().all(|t| ["/usr/bin", "/bin", "/usr/local/bin"].iter().any(|d| Path::new(d).join(t).exists()));
    if !tools {
        return None;
    }
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = text.lines().find_map(|l| {
        let mut fields = l.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse::<u32>().ok()? == uid).then(|| name.to_owned())
    });
    let name = name.unwrap_or_default();
    let range = |file| granted_range(file, &name, uid).map(|(outside, count)| IdRange { inside: 1, outside, count });
    Some((range("/etc/subuid")?, range("/etc/subgid")?))
}
