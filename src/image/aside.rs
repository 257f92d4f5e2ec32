//! Files that are whole or not there: written aside, synced, renamed (rename(2), fsync(2), flock(2)).

use super::error::at;
use super::Error;
use crate::kernel::OrSys;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A lock between processes. The kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until no other process holds the lock at `path`, and makes its file if needed.
    pub(super) fn exclusive(path: &Path) -> Result<Self, Error> {
        let file = File::options().create(true).append(true).open(path).or_sys_with(|| at("open", path))?;
        file.lock().or_sys_with(|| at("lock", path))?;
        Ok(Self { _file: file })
    }
}

/// A path in `dir` that nothing else uses, in this process or another.
pub(super) fn fresh(dir: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    dir.join(format!("{}-{now:x}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
}

/// A file being written aside. Gone again when dropped, unless it was [`Aside::keep`]t.
#[derive(Debug)]
pub(super) struct Aside {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Aside {
    /// An empty file in `dir`, which must be on the filesystem that the file shall end on.
    pub(super) fn new(dir: &Path) -> Result<Self, Error> {
        let path = fresh(dir);
        let file = File::options().read(true).write(true).create_new(true).open(&path).or_sys_with(|| at("create a file in", dir))?;
        Ok(Self { file, path, kept: false })
    }

    /// Syncs it and gives it its name, over whatever was there.
    pub(super) fn keep(mut self, to: &Path) -> Result<(), Error> {
        self.file.sync_all().or_sys_with(|| at("write", to))?;
        fs::rename(&self.path, to).or_sys_with(|| at("create", to))?;
        self.kept = true;
        sync_parent(to)
    }
}

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes a rename last: the name itself is written to disk.
pub(super) fn sync_parent(path: &Path) -> Result<(), Error> {
    // A bare name lies in the working directory, and its parent is the empty path.
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = File::open(dir).or_sys_with(|| at("open", dir))?;
    file.sync_all().or_sys_with(|| at("write", dir))?;
    Ok(())
}

/// Writes a small file whole.
pub(super) fn write_whole(dir: &Path, to: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut aside = Aside::new(dir)?;
    aside.write_all(bytes).or_sys_with(|| at("write", to))?;
    aside.keep(to)
}
