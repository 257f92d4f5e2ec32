//! A folder of the host in the guest, by a file server beside QEMU (virtiofsd(1)): only where asked.
//!
//! Read-only is kept here and not in the guest, whose root could mount it anew: the server runs in a
//! mount namespace in which the folder is read-only. Left out: 9p, which Debian's cloud kernel lacks.

use super::qemu::Shared;
use super::{Error, Place};
use crate::kernel::session;
use nix::mount::MsFlags;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How many folders a lab can see.
const MOST: usize = 8;

/// A folder that is to be shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// On the host, absolute.
    pub folder: PathBuf,
    /// True if the guest may write.
    pub writable: bool,
    /// Its number; the guest sees it as /host/N.
    pub number: usize,
}

/// A share that is being served; dropped, its server ends.
pub(super) struct Served {
    socket: PathBuf,
    tag: String,
    server: Child,
}

impl Share {
    /// `DIR` or `DIR:rw`.
    pub fn parse(text: &str, number: usize) -> Result<Self, Error> {
        let (folder, writable) = text.strip_suffix(":rw").map_or((text.strip_suffix(":ro").unwrap_or(text), false), |f| (f, true));
        let given = PathBuf::from(folder);
        let folder = std::fs::canonicalize(&given).map_err(|e| Error::CannotShare { folder: given.clone(), problem: e.to_string() })?;
        if number >= MOST {
            return Err(Error::CannotShare { folder, problem: format!("a lab sees {MOST} folders at most") });
        }
        if !folder.is_dir() {
            return Err(Error::CannotShare { folder, problem: "it is no folder".into() });
        }
        Ok(Self { folder, writable, number })
    }

    pub(super) fn serve(&self, place: &Place) -> Result<Served, Error> {
        let refused = |problem: String| Error::CannotShare { folder: self.folder.clone(), problem };
        let program = server().ok_or_else(|| refused("virtiofsd is not installed, and nothing else here can; drydock lab cp copies instead".into()))?;
        let socket = place.run().join(format!("share{}", self.number));
        let _ = std::fs::remove_file(&socket);
        let mut command = Command::new(&program);
        command.arg(format!("--socket-path={}", socket.display()));
        if is_older(&program) {
            command.arg("-o").arg(format!("source={}", self.folder.display()));
        } else {
            command.arg(format!("--shared-dir={}", self.folder.display()));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        session::ends_with_us(&mut command);
        if !self.writable {
            session::sees_read_only(&mut command, &self.folder);
        }
        let mut server = command.spawn().map_err(|e| refused(format!("{} cannot be run: {e}", program.display())))?;
        if appears(&socket, &mut server) {
            return Ok(Served { socket, tag: format!("host{}", self.number), server });
        }
        let _ = server.kill();
        let said = server.wait_with_output().map(|o| String::from_utf8_lossy(&o.stderr).trim().replace('\n', "; ")).unwrap_or_default();
        Err(refused(format!("{} did not begin to serve: {said}", program.display())))
    }
}

impl Served {
    pub(super) fn shared(&self) -> Shared<'_> {
        Shared { socket: &self.socket, tag: self.tag.clone() }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn server() -> Option<PathBuf> {
    let places = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd"];
    crate::kernel::trial::which("virtiofsd").or_else(|| places.into_iter().map(PathBuf::from).find(|p| p.exists()))
}

/// QEMU's own server, of before 8.0, spells its options as mount(8) does.
fn is_older(program: &Path) -> bool {
    let help = Command::new(program).arg("--help").stdin(Stdio::null()).output();
    help.is_ok_and(|o| !String::from_utf8_lossy(&[o.stdout, o.stderr].concat()).contains("--shared-dir"))
}

/// Waits for the server's socket, or its end.
fn appears(socket: &Path, server: &mut Child) -> bool {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while std::time::Instant::now() < end {
        if socket.exists() {
            return true;
        }
        if !matches!(server.try_wait(), Ok(None)) {
            return false;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    false
}

/// Mounts in the guest what the host shares: /host/N.
pub(super) fn mount_in_guest() {
    // Device type 26 of virtio is a file system; without one there is nothing to ask for.
    let devices = std::fs::read_dir("/sys/bus/virtio/devices").into_iter().flatten().flatten();
    if !devices.filter_map(|d| std::fs::read_to_string(d.path().join("device")).ok()).any(|t| t.trim() == "0x001a") {
        return;
    }
    for number in 0..MOST {
        let at = format!("/host/{number}");
        let tag = format!("host{number}");
        let made = std::fs::create_dir_all(&at).is_ok();
        if !made || nix::mount::mount(Some(tag.as_str()), at.as_str(), Some("virtiofs"), MsFlags::MS_NODEV | MsFlags::MS_NOSUID, None::<&str>).is_err() {
            let _ = std::fs::remove_dir(&at);
            return;
        }
    }
}
