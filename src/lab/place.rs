//! Where a lab keeps its things: one folder below the learner's.
//!
//! ```text
//! lab/disk.img       what is kept: the learner's home and skiff's root, an ext4 of its own
//! lab/kernels/REL/   a fetched kernel: vmlinuz, modules/
//! lab/images/        the image base, made once
//! lab/run/           while it runs: lock, socket, initramfs, console; cut-off, of the last one
//! ```

use crate::kernel::{OrSys, SysError};
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The folder of a learner's lab.
#[derive(Debug, Clone)]
pub struct Place {
    folder: PathBuf,
}

/// The right to be this place's keeper; given up when it is dropped, also by death.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

impl Place {
    /// Below a learner's folder.
    pub fn below(home: &Path) -> Self {
        Self { folder: home.join("lab") }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The disk that is kept.
    pub fn disk(&self) -> PathBuf {
        self.folder.join("disk.img")
    }

    /// Where fetched kernels lie.
    pub fn kernels(&self) -> PathBuf {
        self.folder.join("kernels")
    }

    pub(super) fn images(&self) -> PathBuf {
        self.folder.join("images")
    }

    /// What is there only while it runs.
    pub fn run(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// What the guest's kernel says.
    pub fn console(&self) -> PathBuf {
        self.run().join("console")
    }

    /// There if the last lab did not power off by itself, but was switched off.
    fn cut_off(&self) -> PathBuf {
        self.run().join("cut-off")
    }

    /// Whether the last lab was switched off, and may have lost what it had not yet written.
    pub fn was_cut_off(&self) -> bool {
        self.cut_off().exists()
    }

    pub(super) fn note_cut_off(&self, was: bool) {
        let _ = if was { std::fs::write(self.cut_off(), "") } else { std::fs::remove_file(self.cut_off()) };
    }

    /// Why KVM was not used the last time, for this boot of the host.
    pub(super) fn kvm_note(&self) -> PathBuf {
        self.folder.join("kvm")
    }

    /// Makes the folders; nobody else may look into them.
    pub fn make(&self) -> Result<(), SysError> {
        let make = |path: &Path| std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).or_sys_with(|| format!("make {}", path.display()));
        make(&self.folder)?;
        make(&self.run())?;
        // One that was made by another way may be open to all.
        let only_ours = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&self.folder, only_ours).or_sys_with(|| format!("close {} to others", self.folder.display()))
    }

    /// Becomes the keeper; `None` while there is one.
    pub fn lock(&self) -> Result<Option<Lock>, SysError> {
        let path = self.run().join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path).or_sys_with(|| format!("open {}", path.display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Some(Lock { _file: file })),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(SysError::new(format!("lock {}", path.display()), errno)),
        }
    }

    /// Connects to the keeper, if one is there. The path of a socket may be 107 bytes long (unix(7)),
    /// and a home may be longer: so it is named through a descriptor of its folder.
    pub fn connect(&self) -> Option<UnixStream> {
        let folder = File::open(self.run()).ok()?;
        UnixStream::connect(through(&folder)).ok()
    }

    /// Nobody can connect any more; gives those who did just before.
    pub(super) fn close(&self, listener: &UnixListener) -> Vec<UnixStream> {
        let _ = std::fs::remove_file(self.run().join("socket"));
        let _ = listener.set_nonblocking(true);
        std::iter::from_fn(|| listener.accept().ok()).map(|(stream, _)| stream).collect()
    }

    /// Listens where [`Place::connect`] looks; what a dead keeper left is removed.
    pub(super) fn listen(&self) -> Result<UnixListener, SysError> {
        let _ = std::fs::remove_file(self.run().join("socket"));
        let folder = File::open(self.run()).or_sys("open the lab's folder")?;
        UnixListener::bind(through(&folder)).or_sys_with(|| format!("listen on {}", self.run().join("socket").display()))
    }
}

fn through(folder: &File) -> PathBuf {
    use std::os::fd::AsRawFd;
    PathBuf::from(format!("/proc/self/fd/{}/socket", folder.as_raw_fd()))
}
