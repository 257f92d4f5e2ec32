//! The working directory, made if the image lacks it (`--workdir`).

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::{OrSys, SysError, mount};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The `cwd` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cwd {
    /// Absolute, inside the container.
    pub path: PathBuf,
}

impl Carry for Cwd {
    fn about(&self) -> About {
        About {
            name: "cwd",
            what: format!("enter {}", self.path.display()),
            why: "the command starts there; a directory of the host that was still open would be a way out",
            man: &["chdir(2)", "openat2(2)"],
            syscalls: &["mkdirat", "openat2(RESOLVE_IN_ROOT)", "fchdir"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        let shown = || format!("enter {}", self.path.display());
        if !inside.pivoted {
            return Ok(nix::unistd::chdir(&self.path).or_sys_with(shown)?);
        }
        // By the descriptor that was looked up, not by its path once more: what runs in the container
        // could put a link to /proc/self/fd/N there in between (CVE-2024-21626).
        let joined = inside.joined;
        let root = inside.root()?;
        if !joined {
            return Ok(nix::unistd::fchdir(mount::make_dir_in_root(root, &self.path)?).or_sys_with(shown)?);
        }
        // In a container that runs already nothing is made.
        let folder = mount::open_in_root(root, &self.path, libc::O_PATH | libc::O_DIRECTORY, 0).map_err(|e| {
            StepError::from(SysError::new(shown(), e.errno)).because("the container has no such directory").try_this("skiff exec CONTAINER mkdir -p DIR")
        })?;
        Ok(nix::unistd::fchdir(folder).or_sys_with(shown)?)
    }
}
