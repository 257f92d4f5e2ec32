//! QEMU: its command line, and whether KVM can be believed.
//!
//! The machine has no network card and no file of the host but its own disk; its ways out are the
//! console, which goes to a file, and the virtio ports, whose other ends are descriptors that QEMU
//! is born with: no path that a stranger could connect to, and all closed when the keeper dies.
//! /dev/kvm may be there and may hang all the same (a nested or filtered host), so an open device is
//! only a reason to try. See qemu-system(1), virtio 1.2 section 5.3.

use super::error::Error;
use super::place::Place;
use crate::kernel::trial::which;
use crate::kernel::{OrSys, session};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The PATH of everything in the guest.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How many sessions a lab can have at once.
pub const SESSIONS: usize = 8;

/// What carries out the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceleration {
    /// The processor itself, through /dev/kvm.
    Kvm,
    /// Software, one translated block after another (TCG).
    Tcg,
}

impl Acceleration {
    /// As QEMU spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// What is shared with the guest by a virtiofsd that listens on this socket.
pub(super) struct Shared<'a> {
    pub(super) socket: &'a Path,
    pub(super) tag: String,
}

/// A machine to start.
pub(super) struct Machine<'a> {
    pub(super) kernel: &'a Path,
    pub(super) initramfs: &'a Path,
    pub(super) disk: &'a Path,
    /// MiB.
    pub(super) memory: u32,
    pub(super) shared: Vec<Shared<'a>>,
}

/// A machine that was started.
pub(super) struct Running {
    pub(super) qemu: Child,
    /// The keeper's ends of the ports: the control port first, then one a session.
    pub(super) ports: Vec<UnixStream>,
}

/// The host's QEMU for its own architecture.
pub(super) fn program() -> Result<std::path::PathBuf, Error> {
    let name = match std::env::consts::ARCH {
        "aarch64" => "qemu-system-aarch64",
        _ => "qemu-system-x86_64",
    };
    which(name).ok_or_else(|| Error::NoProgram { program: name, try_this: format!("{} (then drydock lab again)", install()) })
}

/// How this machine's distribution installs QEMU.
fn install() -> &'static str {
    let arm = std::env::consts::ARCH == "aarch64";
    let commands = [
        ("apt-get", "sudo apt-get install --no-install-recommends qemu-system-x86", "sudo apt-get install --no-install-recommends qemu-system-arm"),
        ("dnf", "sudo dnf install qemu-system-x86-core", "sudo dnf install qemu-system-aarch64-core"),
        ("pacman", "sudo pacman -S qemu-system-x86", "sudo pacman -S qemu-system-aarch64"),
        ("apk", "sudo apk add qemu-system-x86_64", "sudo apk add qemu-system-aarch64"),
        ("zypper", "sudo zypper install qemu-x86", "sudo zypper install qemu-arm"),
    ];
    let found = commands.into_iter().find(|(client, ..)| which(client).is_some());
    found.map_or("install QEMU's system emulator for this machine's processor", |(_, x86, other)| if arm { other } else { x86 })
}

/// Is KVM worth a try? `Err` says why not.
pub(super) fn kvm(place: &Place) -> Result<(), String> {
    File::options().read(true).write(true).open("/dev/kvm").map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => "there is no /dev/kvm".to_owned(),
        _ => format!("/dev/kvm cannot be opened: {e}"),
    })?;
    let noted = std::fs::read_to_string(place.kvm_note()).unwrap_or_default();
    if noted == boot_id() { Err("a guest did not answer under /dev/kvm before".into()) } else { Ok(()) }
}

/// Remembers, until the host boots again, that a guest under KVM did not answer.
pub(super) fn kvm_hung(place: &Place) {
    let _ = std::fs::write(place.kvm_note(), boot_id());
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

/// Starts the machine. QEMU dies with its parent's thread: call it from the keeper's main thread.
pub(super) fn start(machine: &Machine<'_>, acceleration: Acceleration, console: &Path, log: &Path) -> Result<Running, Error> {
    let mut command = Command::new(program()?);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..=SESSIONS {
        let (mine, its) = UnixStream::pair().or_sys("make a port for the lab")?;
        ours.push(mine);
        theirs.push(OwnedFd::from(its));
    }
    arguments(&mut command, machine, acceleration);
    let (said, console_end) = UnixStream::pair().or_sys("make the lab's console")?;
    command.arg("-chardev").arg(format!("socket,id=console,fd={}", console_end.as_raw_fd()));
    theirs.push(OwnedFd::from(console_end));
    for (number, end) in theirs[..=SESSIONS].iter().enumerate() {
        command.arg("-chardev").arg(format!("socket,id=port{number},fd={}", end.as_raw_fd()));
        command.arg("-device").arg(format!("virtserialport,chardev=port{number},name=drydock.{number},nr={}", number + 1));
    }
    let log_file = File::create(log).or_sys_with(|| format!("write {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(log_file.try_clone().or_sys("keep the lab's log")?).stderr(log_file);
    for end in &theirs {
        // Kept over exec; this process has one thread still, so no other child inherits it.
        fcntl(end, FcntlArg::F_SETFD(FdFlag::empty())).or_sys("hand a port to QEMU")?;
    }
    // A group of its own: Ctrl-C at the terminal that began the lab is not for it.
    session::ends_with_us(command.process_group(0));
    let qemu = command.spawn().or_sys_with(|| format!("run {}", command.get_program().to_string_lossy()))?;
    keep_console(said, console)?;
    Ok(Running { qemu, ports: ours })
}

/// The most that is kept of what the guest's kernel says, in bytes: whoever is root in there could
/// fill the host's disk otherwise.
const CONSOLE_KEPT: u64 = 1 << 20;

/// Writes the console's beginning to a file, and reads the rest for nothing.
fn keep_console(mut said: UnixStream, to: &Path) -> Result<(), Error> {
    let mut file = File::create(to).or_sys_with(|| format!("write {}", to.display()))?;
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut (&mut said).take(CONSOLE_KEPT), &mut file);
        let _ = std::io::copy(&mut said, &mut std::io::sink());
    });
    Ok(())
}

fn arguments(command: &mut Command, machine: &Machine<'_>, acceleration: Acceleration) {
    let arm = std::env::consts::ARCH == "aarch64";
    command.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-name", "drydock-lab"]);
    command.args(match (acceleration, arm) {
        (Acceleration::Kvm, _) => ["-accel", "kvm", "-cpu", "host"],
        (Acceleration::Tcg, _) => ["-accel", "tcg,thread=multi", "-cpu", "max"],
    });
    if arm {
        command.args(["-machine", "virt"]);
    }
    // In software a second processor makes the boot a third longer.
    let processors = if acceleration == Acceleration::Tcg { 1 } else { std::thread::available_parallelism().map_or(1, |n| n.get().min(4)) };
    command.arg("-smp").arg(processors.to_string()).arg("-m").arg(format!("{}M", machine.memory));
    command.arg("-kernel").arg(machine.kernel).arg("-initrd").arg(machine.initramfs);
    let console_device = if arm { "ttyAMA0" } else { "ttyS0" };
    // After a panic the kernel reboots at once, and QEMU ends (-no-reboot). ACPI's routing of
    // interrupts takes a tenth of a second a device in software; without it there is no controller
    // that message-signalled ones could go to. NAME=VALUE goes to init.
    let routing = if acceleration == Acceleration::Tcg && !arm { " acpi=noirq pci=nomsi" } else { "" };
    let init = format!("rdinit={} HOME=/root USER=root PATH={PATH}", super::pack::INIT);
    command.arg("-append").arg(format!("console={console_device} quiet panic=-1{routing} {init}"));
    command.args(["-serial", "chardev:console"]);
    // A full host gives the guest an error instead of stopping it.
    command.arg("-drive").arg(format!("file={},if=virtio,format=raw,cache=writeback,discard=unmap,werror=report", escaped(machine.disk)));
    command.arg("-device").arg(format!("virtio-serial-pci,max_ports={}", SESSIONS + 2));
    if !machine.shared.is_empty() {
        // A file server sees the guest's memory through a shared descriptor of it.
        command.arg("-object").arg(format!("memory-backend-memfd,id=memory,size={}M,share=on", machine.memory));
        command.args(["-numa", "node,memdev=memory"]);
    }
    for (number, share) in machine.shared.iter().enumerate() {
        command.arg("-chardev").arg(format!("socket,id=share{number},path={}", escaped(share.socket)));
        command.arg("-device").arg(format!("vhost-user-fs-pci,chardev=share{number},tag={}", share.tag));
    }
}

/// A comma in a value of QEMU's options is written twice.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}
