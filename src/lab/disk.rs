//! What is kept of a lab: one file, an ext4 of its own inside.
//!
//! It is sparse (it takes what is in it, `du`), at most [`SIZE`] long, and journalled: a lab that is
//! killed in the middle of a write has, the next time, what it had synced. mke2fs(8) makes it, on a
//! plain file and without root.

use super::{Error, Place};
use crate::kernel::OrSys;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Its greatest length, in bytes.
const SIZE: u64 = 4 << 30;

/// Makes it where it is not there yet: aside, then renamed, so that it is whole.
pub(super) fn make(place: &Place) -> Result<(), Error> {
    let path = place.disk();
    if path.exists() {
        return Ok(());
    }
    let mke2fs = ["/usr/sbin/mke2fs", "/sbin/mke2fs"].map(PathBuf::from).into_iter().find(|p| p.exists()).or_else(|| crate::kernel::trial::which("mke2fs"));
    let mke2fs = mke2fs.ok_or_else(|| Error::NoProgram { program: "mke2fs", try_this: "install e2fsprogs: it formats the file that keeps what you do in the lab".into() })?;
    let aside = path.with_extension(format!("new{}", std::process::id()));
    let _ = std::fs::remove_file(&aside);
    let made = (|| {
        let file = std::fs::File::options().create_new(true).write(true).mode(0o600).open(&aside).or_sys_with(|| format!("make {}", aside.display()))?;
        file.set_len(SIZE).or_sys_with(|| format!("make {}", aside.display()))?;
        // A small journal, and tables that are written when they are first used.
        let output = Command::new(&mke2fs)
            .args(["-q", "-F", "-t", "ext4", "-L", "lab", "-m", "0", "-J", "size=8", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"])
            .arg(&aside)
            .stdin(Stdio::null())
            .output()
            .or_sys_with(|| format!("run {}", mke2fs.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
            return Err(Error::Keeper { problem: format!("cannot format {}: {said}", aside.display()) });
        }
        std::fs::rename(&aside, &path).or_sys_with(|| format!("keep {}", path.display()))?;
        Ok(())
    })();
    if made.is_err() {
        let _ = std::fs::remove_file(&aside);
    }
    made
}

/// Bytes that it takes on the host; 0 where there is none.
pub fn taken(place: &Place) -> u64 {
    std::fs::metadata(place.disk()).map_or(0, |m| m.blocks() * 512)
}
