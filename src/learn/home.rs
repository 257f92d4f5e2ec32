//! Where a learner's state is, and whose it is.
//!
//! With `sudo drydock check` it is still the learner's own folder, found by SUDO_UID, and what is
//! written there is given to them: root must not leave files that they cannot change.

use super::Error;
use crate::kernel::{OrSys, SysError};
use std::path::{Path, PathBuf};

/// A learner's folder.
#[derive(Debug, Clone)]
pub struct Home {
    /// The folder.
    pub folder: PathBuf,
    /// The learner's user and group id, where root acts for them.
    owner: Option<(u32, u32)>,
}

impl Home {
    /// DRYDOCK_HOME; else, under sudo, the invoking user's; else XDG's state folder.
    pub fn find() -> Result<Self, Error> {
        let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u32>().ok());
        let is_root = nix::unistd::geteuid().is_root();
        let owner = if is_root { number("SUDO_UID").filter(|u| *u != 0).zip(number("SUDO_GID")) } else { None };
        let folder = match (var("DRYDOCK_HOME"), owner) {
            (Some(folder), _) => folder,
            (None, Some((uid, _))) => home_of(uid).ok_or(Error::NoHome)?.join(".local/state/drydock"),
            (None, None) => match (var("XDG_STATE_HOME"), var("HOME")) {
                (Some(state), _) => state.join("drydock"),
                (None, Some(home)) => home.join(".local/state/drydock"),
                (None, None) => return Err(Error::NoHome),
            },
        };
        Ok(Self { folder: std::path::absolute(&folder).unwrap_or(folder), owner })
    }

    /// The learner's user id.
    pub fn learner(&self) -> u32 {
        self.owner.map_or_else(|| nix::unistd::getuid().as_raw(), |(uid, _)| uid)
    }

    /// The learner's user and group id, where root acts for them (under sudo).
    pub fn owner(&self) -> Option<(u32, u32)> {
        self.owner
    }

    /// Makes a folder below, with all above it.
    pub fn make(&self, folder: &Path) -> Result<(), SysError> {
        let mut missing: Vec<&Path> = folder.ancestors().take_while(|p| !p.exists()).collect();
        missing.reverse();
        for path in missing {
            match std::fs::create_dir(path) {
                // Another drydock was quicker.
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => {}
                made => {
                    made.or_sys_with(|| format!("make {}", path.display()))?;
                    self.give(path);
                }
            }
        }
        Ok(())
    }

    /// Gives a file to the learner.
    pub fn give(&self, path: &Path) {
        if let Some((uid, gid)) = self.owner {
            // lchown: what somebody put there as a link must not be followed by root.
            let _ = std::os::unix::fs::lchown(path, Some(uid), Some(gid));
        }
    }

    /// Writes a file aside, syncs, renames: it is the old one or the new one, never half.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), SysError> {
        use std::io::Write;
        let what = || format!("write {}", path.display());
        self.make(path.parent().unwrap_or(&self.folder))?;
        let aside = path.with_extension(format!("new{}", std::process::id()));
        // What a killed process of the same number left.
        let _ = std::fs::remove_file(&aside);
        let fresh = std::fs::OpenOptions::new().write(true).create_new(true).open(&aside);
        let written = fresh.and_then(|mut f| f.write_all(bytes).and_then(|()| f.sync_all()));
        let written = written.and_then(|()| {
            self.give(&aside);
            std::fs::rename(&aside, path)
        });
        written.inspect_err(|_| drop(std::fs::remove_file(&aside))).or_sys_with(what)
    }

    /// Writes a file that an exercise starts with. The course that is built in knows no modes: a script is
    /// told by its first two bytes (execve(2)), and may be run.
    pub fn lay_out(&self, path: &Path, bytes: &[u8]) -> Result<(), SysError> {
        use std::os::unix::fs::PermissionsExt;
        self.write(path, bytes)?;
        if bytes.starts_with(b"#!") {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).or_sys_with(|| format!("make {} executable", path.display()))?;
        }
        Ok(())
    }
}

/// The home folder of a user, from /etc/passwd.
fn home_of(uid: u32) -> Option<PathBuf> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    text.lines().map(|l| l.split(':').collect::<Vec<_>>()).find(|f| f.len() > 5 && f[2].parse() == Ok(uid)).map(|f| PathBuf::from(f[5]))
}
