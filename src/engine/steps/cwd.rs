//! The working directory, made if the image lacks it (`--workdir`).

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::kernel::{OrSys, mount};
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
            man: &["chdir(2)"],
            syscalls: &["mkdirat", "chdir"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        if inside.pivoted {
            mount::make_dir_in_root(inside.root()?, &self.path)?;
        }
        Ok(nix::unistd::chdir(&self.path).or_sys_with(|| format!("enter {}", self.path.display()))?)
    }
}
