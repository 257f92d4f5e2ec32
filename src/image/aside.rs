//! Files that are whole or not there: written aside, synced, renamed (rename(2), fsync(2), flock(2)).
//!
//! Each writer has a folder of its own below an `.aside`, and holds a flock(2) on it. The kernel lets
//! go of that lock when the process ends, however it ends: a folder that can be locked is a dead
//! writer's, and whoever comes next removes it.

use super::error::at;
use super::Error;
use crate::kernel::OrSys;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
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

/// A folder to work in, held by a lock for as long as this lives, and gone afterwards.
#[derive(Debug)]
pub(super) struct Workspace {
    path: PathBuf,
    _held: File,
}

impl Workspace {
    /// Makes the folder `name` below `parent`, which is made too. Of two that ask for one name at
    /// once, the second gets none. The caller holds the lock that all of `parent`'s users take first.
    pub(super) fn make(parent: &Path, name: &str) -> Result<Option<Self>, Error> {
        let path = parent.join(name);
        // Another's last folder may go meanwhile, and take `parent` along.
        while let Err(e) = fs::create_dir_all(&path) {
            if e.kind() != io::ErrorKind::NotFound {
                return Err(e).or_sys_with(|| at("create", &path)).map_err(Into::into);
            }
        }
        let held = File::open(&path).or_sys_with(|| at("open", &path))?;
        // Made only once it is held: what is dropped is removed.
        Ok(held.try_lock().is_ok().then(|| Self { path, _held: held }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = remove_tree(&self.path);
        // The last one takes the folder above along; it stays if it is not empty.
        let _ = self.path.parent().map(fs::remove_dir);
    }
}

/// Waits until whoever works in this folder has ended, one way or the other.
pub(super) fn wait_for(workspace: &Path) -> Result<(), Error> {
    match File::open(workspace) {
        Ok(folder) => Ok(folder.lock().or_sys_with(|| at("wait for", workspace))?),
        Err(_) => Ok(()),
    }
}

/// Removes the folders of writers that died; says whether there was one. The caller holds the lock
/// that all of `parent`'s users take first.
pub(super) fn bury(parent: &Path) -> Result<bool, Error> {
    let mut died = false;
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let held = File::open(entry.path());
        if held.is_ok_and(|folder| folder.try_lock().is_ok()) {
            remove_tree(&entry.path())?;
            died = true;
        }
    }
    let _ = fs::remove_dir(parent);
    Ok(died)
}

/// Removes a file, or a directory with all that is in it, also where it may not be written by its own owner.
pub(super) fn remove_tree(path: &Path) -> Result<(), Error> {
    fn open_up(dir: &Path) {
        let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                open_up(&entry.path());
            }
        }
    }
    let removed = match fs::remove_dir_all(path) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path);
            fs::remove_dir_all(path)
        }
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    Ok(removed.or_sys_with(|| at("remove", path))?)
}

/// A path in `dir` that nothing else uses, in this process or another.
pub(super) fn fresh(dir: &Path) -> PathBuf {
    dir.join(fresh_name())
}

/// A name that nothing else has, in this process or another.
pub(super) fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{}-{now:x}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
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

    /// Syncs what was written so far: a later [`Aside::keep`] has less to wait for.
    pub(super) fn sync(&self) -> Result<(), Error> {
        Ok(self.file.sync_all().or_sys_with(|| at("write", &self.path))?)
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
