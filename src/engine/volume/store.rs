//! The volumes of a skiff root: made, found, removed, and who has them.

use super::{Error, Volume, device};
use crate::engine::container::remove_tree;
use crate::engine::events::{self, Event};
use crate::engine::find;
use crate::kernel::{OrSys, SysError};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than it takes from a container's first volume to its folder.
const MAKING: Duration = Duration::from_secs(10);

/// The volumes of one skiff root.
#[derive(Debug, Clone)]
pub struct Volumes {
    root: PathBuf,
}

impl Volumes {
    /// Those under `root`. Nothing is made until something is written.
    pub fn open(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn folder(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// A volume's own folder.
    pub fn place(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Where its content lies.
    pub fn data(&self, name: &str) -> PathBuf {
        self.place(name).join("_data")
    }

    /// All of them, by name. One whose record is damaged is there all the same: its content is what counts.
    pub fn all(&self) -> Vec<Volume> {
        let entries = fs::read_dir(self.folder()).into_iter().flatten().flatten();
        let names = entries.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|n| !n.starts_with('.'));
        let mut found: Vec<Volume> = names.map(|name| read(&self.place(&name)).unwrap_or_else(|_| Volume::new(&name))).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// The one of that name.
    pub fn find(&self, name: &str) -> Result<Volume, Error> {
        if check_name(name).is_ok() && self.place(name).is_dir() {
            return read(&self.place(name));
        }
        let near = self.all().into_iter().map(|v| (strsim::damerau_levenshtein(&v.name, name), v.name)).min();
        let nearest = near.filter(|(distance, near)| *distance <= 1 + near.len() / 3).map(|(_, near)| near);
        Err(Error::NotFound { name: name.to_owned(), nearest })
    }

    /// Makes a volume; the one that has the name already, as Docker does.
    pub fn create(&self, wanted: &Volume) -> Result<Volume, Error> {
        let _turn = self.lock()?;
        self.ensure(wanted)
    }

    /// The same, in the turn of the caller.
    fn ensure(&self, wanted: &Volume) -> Result<Volume, Error> {
        check_name(&wanted.name)?;
        device::check(wanted)?;
        if self.place(&wanted.name).exists() {
            return read(&self.place(&wanted.name));
        }
        let aside = self.folder().join(".new");
        if aside.exists() {
            remove_tree(&aside);
        }
        let made = (|| {
            for part in ["_data", "users"] {
                fs::create_dir_all(aside.join(part))?;
                fs::set_permissions(aside.join(part), Permissions::from_mode(0o755))?;
            }
            fs::write(aside.join("volume.json"), serde_json::to_vec_pretty(wanted)?)?;
            fs::rename(&aside, self.place(&wanted.name))
        })();
        made.or_sys_with(|| format!("make the volume {}", wanted.name))?;
        self.say("create", &wanted.name);
        Ok(wanted.clone())
    }

    /// Gives a volume to the container `id`; makes it if it is not there.
    pub(super) fn take(&self, wanted: &Volume, id: &str) -> Result<Volume, Error> {
        let _turn = self.lock()?;
        let volume = self.ensure(wanted)?;
        let user = self.place(&volume.name).join("users").join(id);
        File::create(&user).or_sys_with(|| format!("use the volume {}", volume.name))?;
        Ok(volume)
    }

    /// The container `id` has it no more.
    pub(super) fn give_back(&self, name: &str, id: &str) {
        let _ = fs::remove_file(self.place(name).join("users").join(id));
    }

    /// The ids of the containers that have it.
    pub fn users(&self, name: &str) -> Vec<String> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(self.place(name).join("users")).into_iter().flatten().flatten() {
            let id = entry.file_name().to_string_lossy().into_owned();
            // A container takes its volumes a moment before it has a folder.
            let fresh = || entry.metadata().and_then(|m| m.modified()).is_ok_and(|t| t.elapsed().is_ok_and(|age| age < MAKING));
            if self.root.join("containers").join(&id).exists() || fresh() {
                ids.push(id);
            } else {
                let _ = fs::remove_file(entry.path());
            }
        }
        ids.sort();
        ids
    }

    /// Removes a volume with its content. Refused while a container has it. The bytes that it took.
    pub fn remove(&self, name: &str) -> Result<u64, Error> {
        let _turn = self.lock()?;
        self.find(name).map(drop).or_else(|e| if matches!(e, Error::Damaged { .. }) { Ok(()) } else { Err(e) })?;
        let containers = self.users(name);
        if !containers.is_empty() {
            return Err(Error::InUse { name: name.to_owned(), containers });
        }
        device::unmount(&self.data(name))?;
        let (bytes, gone) = (size(&self.data(name)), self.folder().join(format!(".gone-{name}")));
        fs::rename(self.place(name), &gone).or_sys_with(|| format!("remove the volume {name}"))?;
        remove_tree(&gone);
        self.say("destroy", name);
        Ok(bytes)
    }

    fn say(&self, action: &str, name: &str) {
        events::note(&self.root, &[Event::new(events::Kind::Volume, action, name, events::attributes([("driver", "local")]))]);
    }

    /// What a killed `skiff` left: volumes half made or half removed, mounts that nobody uses.
    pub fn sweep(&self) -> Result<(), Error> {
        if !self.folder().exists() {
            return Ok(());
        }
        let _turn = self.lock()?;
        for entry in fs::read_dir(self.folder()).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == ".new" || name.starts_with(".gone-") {
                remove_tree(&entry.path());
            }
        }
        for volume in self.all().iter().filter(|v| !v.options.is_empty()) {
            device::idle(&self.root, volume)?;
        }
        Ok(())
    }

    /// One writer at a time.
    pub(super) fn lock(&self) -> Result<Flock<File>, Error> {
        let folder = self.folder();
        if !folder.exists() {
            fs::create_dir_all(&folder).or_sys_with(|| format!("make {}", folder.display()))?;
            // A setuid file in a volume is not there for other users of the host.
            fs::set_permissions(&folder, Permissions::from_mode(0o700)).or_sys_with(|| format!("protect {}", folder.display()))?;
        }
        let file = File::create(folder.join(".lock")).or_sys_with(|| format!("open {}", folder.display()))?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, e)| SysError::new("wait for the volumes", e).into())
    }
}

/// Letters, digits, and `_.-` after the first, two at least.
pub fn check_name(name: &str) -> Result<(), Error> {
    match find::check_name(name) {
        Ok(()) => Ok(()),
        Err(_) if name.len() == 1 && name.bytes().all(|b| b.is_ascii_alphanumeric()) => Err(Error::ShortName { name: name.to_owned() }),
        Err(_) => Err(Error::BadName { name: name.to_owned() }),
    }
}

fn read(place: &Path) -> Result<Volume, Error> {
    let path = place.join("volume.json");
    let damaged = |reason: String| Error::Damaged { path: path.clone(), reason };
    let text = fs::read(&path).map_err(|e| damaged(e.to_string()))?;
    serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))
}

/// Bytes of all files below a folder.
pub fn size(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(m) if m.is_dir() => fs::read_dir(path).into_iter().flatten().flatten().map(|e| size(&e.path())).sum(),
        Ok(m) => m.len(),
        Err(_) => 0,
    }
}
