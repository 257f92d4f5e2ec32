//! One at a time makes, starts or removes the containers of a project, so that each finds what the one
//! before it left: of two `up` at once the second has nothing to do.
//!
//! The lock is fcntl(2)'s (F_SETLKW), which belongs to a process: a container's monitor, forked meanwhile,
//! does not inherit it as it would flock(2)'s, and it goes with a process that is killed. A process holds
//! one turn at most: to close the file ends it, however often it is open. Nobody waits for health, or for
//! another service's end, in his turn. See it live: `/proc/locks`.

use crate::kernel::{OrSys, SysError};
use nix::fcntl::{FcntlArg, fcntl};
use std::fs::File;
use std::path::Path;

/// A turn; it ends when this goes.
#[derive(Debug)]
pub struct Turn {
    _file: File,
}

impl Turn {
    /// Waits for it.
    pub fn wait(root: &Path, project: &str) -> Result<Self, SysError> {
        let folder = root.join("compose");
        std::fs::create_dir_all(&folder).or_sys_with(|| format!("make {}", folder.display()))?;
        let path = folder.join(format!("{project}.lock"));
        let file = File::create(&path).or_sys_with(|| format!("open {}", path.display()))?;
        let whole = nix::libc::flock { l_type: nix::libc::F_WRLCK as i16, l_whence: nix::libc::SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 };
        fcntl(&file, FcntlArg::F_SETLKW(&whole)).or_sys_with(|| format!("wait for {}", path.display()))?;
        Ok(Self { _file: file })
    }
}
