//! Fill a new volume with what the image has at the volume's place.
//!
//! A volume covers what lies below it, as any mount does. So that an image's data directory is not
//! empty the first time, an empty volume gets a copy of it, with its owners and modes, before it is
//! mounted: afterwards the image's files could not be seen. It is done by the process that becomes the
//! container, in its user namespace, so that rootless owners come out right, and through the root that
//! was mounted just now, so that no link leads outside. See it live: `ls -ln VOLUME/_data`.
//!
//! A copy that was interrupted is begun again: the file `filling` lies beside the content meanwhile.

use crate::engine::inside::Inside;
use crate::engine::step::{About, Carry, StepError};
use crate::engine::volume::copy;
use crate::kernel::ns::Ns;
use crate::kernel::{OrSys, SysError, mount};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The `copy-up` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyUp {
    /// The volume's name.
    pub volume: String,
    /// Where it will be mounted, inside the root.
    pub target: PathBuf,
}

impl Carry for CopyUp {
    fn about(&self) -> About {
        let short = self.volume.get(..12).filter(|_| self.volume.len() == 64).unwrap_or(&self.volume);
        About {
            name: "copy-up",
            what: format!("if the volume {short} is empty, copy what the image has at {} into it", self.target.display()),
            why: "a mount covers what lies below it; so a new volume begins with the image's files, and keeps its own from then on",
            man: &["mount(2)", "xattr(7)"],
            syscalls: &["flock", "openat2(RESOLVE_IN_ROOT)", "copy_file_range", "fchown", "fchmod", "fsetxattr"],
        }
    }

    fn carry_out(&self, inside: &mut Inside) -> Result<(), StepError> {
        inside.must_own(Ns::Mnt, "fill a volume")?;
        let place = inside.store.join("volumes").join(&self.volume);
        let (data, filling) = (place.join("_data"), place.join("filling"));
        // Two containers may start with the same new volume: the second waits until it is whole.
        let folder = File::open(&place).or_sys_with(|| format!("open the volume {}", self.volume))?;
        let _turn = Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, e)| SysError::new("wait for the volume", e))?;
        if filling.exists() {
            empty(&data)?;
        } else if !is_empty(&data)? {
            return Ok(());
        }
        let from = match mount::open_in_root(inside.root()?, &self.target, libc::O_RDONLY | libc::O_DIRECTORY, 0) {
            Err(e) if matches!(e.errno, Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
            other => other?,
        };
        let note = |e: std::io::Result<()>| e.or_sys_with(|| format!("write in {}", place.display()));
        note(File::create(&filling).map(drop))?;
        let to: OwnedFd = File::open(&data).or_sys_with(|| format!("open {}", data.display()))?.into();
        copy::tree(from, to)?;
        note(fs::remove_file(&filling))?;
        Ok(())
    }
}

fn is_empty(data: &Path) -> Result<bool, SysError> {
    Ok(fs::read_dir(data).or_sys_with(|| format!("read {}", data.display()))?.next().is_none())
}

/// Removes what an interrupted copy left.
fn empty(data: &Path) -> Result<(), SysError> {
    for entry in fs::read_dir(data).or_sys_with(|| format!("read {}", data.display()))?.flatten() {
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        let removed = if is_dir { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        removed.or_sys_with(|| format!("remove {}", entry.path().display()))?;
    }
    Ok(())
}
