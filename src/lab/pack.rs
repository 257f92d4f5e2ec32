//! The initramfs: the guest's whole root, written from what is on this machine.
//!
//! In this order, later over earlier: the files of the image `base`; a few of the host's own tools
//! with their libraries, where they are richer than busybox's (bash, unshare, nsenter); drydock and
//! skiff; the kernel's modules with their index; `base` itself as an archive, so that skiff in the
//! guest has the very image that it has here. Nothing personal goes in.

use super::cpio::{Archive, Node};
use super::modules::AT_BOOT;
use super::vmlinuz::Kernel;
use super::{Error, Place};
use crate::image::{Store, base, layer, save};
use crate::kernel::{OrSys, SysError};
use goblin::elf::Elf;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// The path of the guest's init; its name tells the program what it is to be.
pub(super) const INIT: &str = "/sbin/drydock-init";

/// The path that the guest's kernel runs to load a module.
pub(super) const MODPROBE: &str = "/sbin/drydock-modprobe";

/// Where modules lie in the guest, and the index of what to load for what.
pub(super) const MODULES: &str = "/usr/lib/drydock/modules";

/// Tools of the host that the lessons use, and a shell with an editable line. Each megabyte here costs
/// the boot five thousandths of a second in software; `lab cp` brings in what else one wants.
const TOOLS: &[&str] = &[
    "sh", "bash", "bwrap", "capsh", "findmnt", "ip", "lsns", "mount", "nft", "nsenter", "pivot_root", "prlimit", "ps", "setpriv", "umount", "unshare",
];

/// Terminals whose description goes along, where the host has it.
const TERMINALS: &[&str] = &["linux", "screen", "screen-256color", "tmux", "tmux-256color", "vt100", "xterm", "xterm-256color", "xterm-kitty"];

/// Writes the initramfs for `kernel` to `to`; gives its length in bytes.
pub(super) fn pack(place: &Place, kernel: &Kernel, to: &Path) -> Result<u64, Error> {
    let what = || format!("write {}", to.display());
    let file = File::create(to).or_sys_with(what)?;
    let mut archive = Archive::new(BufWriter::with_capacity(1 << 20, file));
    folders(&mut archive).or_sys_with(what)?;
    root(place, &mut archive)?;
    programs(&mut archive)?;
    modules(kernel, &mut archive)?;
    Ok(archive.finish().or_sys_with(what)?)
}

fn folders(archive: &mut Archive<impl Write>) -> io::Result<()> {
    // What is mounted on; the rest is made as files come.
    for folder in ["dev", "disk", "host", "proc", "root", "run", "sys", "var/lib/skiff"] {
        archive.add(folder, 0o755, Node::Folder)?;
    }
    // The kernel opens these for init before anything is mounted.
    archive.add("dev/console", 0o600, Node::Device(5, 1))?;
    archive.add("dev/null", 0o666, Node::Device(1, 3))
}

/// The files of `base`, the tools, and `base` as an archive.
fn root(place: &Place, archive: &mut Archive<impl Write>) -> Result<(), Error> {
    let store = Store::open(&place.images());
    let image = store.obtain(base::NAME, &mut |_| {})?;
    for descriptor in image.manifest.layers() {
        from_tar(layer::tar_of(store.blob(descriptor.digest())?)?, archive).or_sys("unpack the image base into the lab")?;
    }
    let there = archive.names_in(&["bin", "sbin", "usr/bin", "usr/sbin"]);
    let tools = base::programs_with_libraries(TOOLS, &there)?;
    from_tar(tools.as_slice(), archive).or_sys("pack this machine's tools into the lab")?;
    let mut shipped = Vec::new();
    save::save(&store, &[(image, Some(base::NAME.to_owned()))], &mut shipped)?;
    add(archive, base::SHIPPED, 0o644, Node::File(&shipped))?;
    for terminal in TERMINALS {
        let path = format!("{}/{terminal}", terminal.chars().next().unwrap_or('x'));
        let found = ["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"].iter().find_map(|f| std::fs::read(Path::new(f).join(&path)).ok());
        if let Some(bytes) = found {
            add(archive, &format!("/etc/terminfo/{path}"), 0o644, Node::File(&bytes))?;
        }
    }
    Ok(())
}

fn from_tar(tar: impl Read, archive: &mut Archive<impl Write>) -> io::Result<()> {
    let mut bytes = Vec::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().trim_end_matches('/').to_owned();
        let mode = entry.header().mode()?;
        if entry.header().entry_type().is_dir() {
            archive.add(&path, mode, Node::Folder)?;
        } else if let Some(to) = entry.link_name()? {
            archive.add(&path, mode, Node::Link(&to.to_string_lossy()))?;
        } else {
            bytes.clear();
            entry.read_to_end(&mut bytes)?;
            archive.add(&path, mode, Node::File(&bytes))?;
        }
    }
    Ok(())
}

fn programs(archive: &mut Archive<impl Write>) -> Result<(), Error> {
    let own = std::env::current_exe().or_sys("find this program's own file")?;
    let bytes = std::fs::read(&own).or_sys_with(|| format!("read {}", own.display()))?;
    add(archive, "/usr/bin/drydock", 0o755, Node::File(&loaded(bytes)))?;
    add(archive, "/usr/bin/skiff", 0o777, Node::Link("drydock"))?;
    add(archive, INIT, 0o777, Node::Link("/usr/bin/drydock"))?;
    add(archive, MODPROBE, 0o777, Node::Link("/usr/bin/drydock"))
}

/// What the kernel loads of a program; the sections behind it are for debuggers.
fn loaded(mut bytes: Vec<u8>) -> Vec<u8> {
    let Ok(elf) = Elf::parse(&bytes) else { return bytes };
    let end = elf.program_headers.iter().map(|p| p.p_offset + p.p_filesz).max().unwrap_or(0) as usize;
    if elf.is_64 && elf.little_endian && end > 64 && end < bytes.len() {
        bytes.truncate(end);
        // e_shoff; e_shnum and e_shstrndx (elf(5)): no sections any more.
        bytes[0x28..0x30].fill(0);
        bytes[0x3c..0x40].fill(0);
    }
    bytes
}

fn modules(kernel: &Kernel, archive: &mut Archive<impl Write>) -> Result<(), Error> {
    let broken = |problem| Error::BadKernel { image: kernel.image.clone(), problem };
    let (modules, index) = kernel.modules.packed().map_err(broken)?;
    for module in &modules {
        add(archive, &format!("{MODULES}/{}.ko", module.name), 0o644, Node::File(&module.bytes))?;
    }
    add(archive, &format!("{MODULES}/index"), 0o644, Node::File(index.as_bytes()))?;
    add(archive, &format!("{MODULES}/at-boot"), 0o644, Node::File(AT_BOOT.join("\n").as_bytes()))
}

fn add(archive: &mut Archive<impl Write>, path: &str, mode: u32, node: Node<'_>) -> Result<(), Error> {
    let path = path.trim_start_matches('/');
    Ok(archive.add(path, mode, node).or_sys_with(|| format!("pack {path} into the lab"))?)
}

/// The least memory, in MiB, that a guest with such an archive can start with: the archive, its
/// files, the kernel, and room to work in.
pub(super) fn least_memory(archive: u64) -> u32 {
    u32::try_from(archive.div_ceil(1 << 20) * 2).unwrap_or(u32::MAX).saturating_add(128)
}

/// Where a new one goes.
pub(super) fn path(place: &Place) -> PathBuf {
    place.run().join("initramfs")
}

/// Takes it away again; QEMU has read it.
pub(super) fn forget(place: &Place) -> Result<(), SysError> {
    match std::fs::remove_file(path(place)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).or_sys("remove the lab's initramfs"),
        _ => Ok(()),
    }
}
