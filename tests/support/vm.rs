//! A small virtual machine for what this host cannot be: Debian's cloud kernel in QEMU, with an
//! initramfs written here. Never /dev/kvm: a build machine seldom lends it.
//!
//! `tests/run` unpacks the kernel into target/vm. The guest's init is the calling test binary, which
//! is static: the kernel's command line names the test that plays init.

use super::source;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The kernel that tests/run fetched and the overlay module that goes with it.
pub struct Kernel {
    image: PathBuf,
    overlay: PathBuf,
}

impl Kernel {
    /// `None` where it was not fetched.
    pub fn fetched() -> Option<Self> {
        let at = source().join("target/vm");
        let boot = std::fs::read_dir(at.join("boot")).ok()?.flatten();
        let image = boot.map(|e| e.path()).find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("vmlinuz-")))?;
        let version = image.file_name()?.to_str()?.strip_prefix("vmlinuz-")?.to_owned();
        let overlay = at.join("lib/modules").join(version).join("kernel/fs/overlayfs/overlay.ko");
        overlay.exists().then_some(Self { image, overlay })
    }
}

/// An initramfs in the making: the kernel's cpio "newc" format
/// (Documentation/driver-api/early-userspace/buffer-format).
#[derive(Default)]
pub struct Initramfs {
    bytes: Vec<u8>,
    inode: u32,
}

impl Initramfs {
    /// An empty folder.
    pub fn folder(&mut self, name: &str) {
        self.entry(name, 0o040_755, (0, 0), &[]);
    }

    /// A file that may be run, with what `from` holds.
    pub fn program(&mut self, name: &str, from: &Path) {
        let content = std::fs::read(from).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        self.entry(name, 0o100_755, (0, 0), &content);
    }

    /// A file with `content`.
    pub fn file(&mut self, name: &str, content: &[u8]) {
        self.entry(name, 0o100_644, (0, 0), content);
    }

    /// A symbolic link.
    pub fn link(&mut self, name: &str, to: &str) {
        self.entry(name, 0o120_777, (0, 0), to.as_bytes());
    }

    /// A character device; the kernel opens /dev/console for init before anything is mounted.
    pub fn device(&mut self, name: &str, number: (u32, u32)) {
        self.entry(name, 0o020_600, number, &[]);
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.inode += 1;
        let (size, name_size) = (content.len(), name.len() + 1);
        // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
        let fields = [self.inode, mode, 0, 0, 1, 0, u32::try_from(size).expect("below 4 GiB"), 0, 0, device.0, device.1];
        self.bytes.extend(b"070701");
        for field in fields.into_iter().chain([u32::try_from(name_size).expect("a short name"), 0]) {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes().chain([0]));
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// The archive, closed by its trailer.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }
}

/// Boots a guest whose init is this very test binary, running the ignored test `init`; gives all
/// that it wrote on its console. `fill` adds to an initramfs that already holds init, the overlay
/// module as /overlay.ko, busybox with its links, and empty folders to mount on.
pub fn boot(kernel: &Kernel, room: &Path, init: &str, fill: impl FnOnce(&mut Initramfs)) -> String {
    let mut initramfs = Initramfs::default();
    for folder in ["dev", "proc", "sys", "tmp", "bin", "etc", "root", "run", "new", "var", "var/lib", "usr", "usr/bin"] {
        initramfs.folder(folder);
    }
    initramfs.device("dev/console", (5, 1));
    initramfs.device("dev/null", (1, 3));
    initramfs.program("init", &std::env::current_exe().expect("a test knows its file"));
    initramfs.program("overlay.ko", &kernel.overlay);
    let busybox = super::which("busybox").expect("busybox-static is installed");
    initramfs.program("bin/busybox", &busybox);
    for name in super::stdout(Command::new(&busybox).arg("--list")).lines().filter(|n| *n != "busybox") {
        initramfs.link(&format!("bin/{name}"), "busybox");
    }
    initramfs.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n");
    initramfs.file("etc/group", b"root:x:0:\n");
    fill(&mut initramfs);
    let archive = room.join("initramfs");
    std::fs::write(&archive, initramfs.finish()).expect("the room is ours");

    let line = format!("console=ttyS0 quiet panic=-1 rdinit=/init -- {init} --exact --ignored --nocapture --test-threads=1");
    let guest = Command::new("timeout")
        .args(["120", "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "1536", "-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio"])
        .arg("-kernel").arg(&kernel.image).arg("-initrd").arg(&archive).args(["-append", &line])
        .stdin(Stdio::null())
        .output()
        .expect("qemu-system-x86_64 runs");
    let _ = std::fs::remove_file(&archive);
    String::from_utf8_lossy(&guest.stdout).replace('\r', "") + &String::from_utf8_lossy(&guest.stderr)
}
