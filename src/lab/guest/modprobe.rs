//! Loads modules by the index that was packed: finit_module(2), each after those it needs.
//!
//! The kernel runs the path in /proc/sys/kernel/modprobe as `modprobe -q -- NAME` when something
//! asks for a file system, a kind of link or a netfilter part that it does not have yet.

use crate::kernel::{OrSys, SysError};
use crate::lab::pack::MODULES;
use nix::kmod::{ModuleInitFlags, finit_module};
use std::fs::File;
use std::path::Path;

/// Loads what is asked for by `name`; ENOENT where the index does not know it.
pub fn load(name: &str) -> Result<(), SysError> {
    let index = std::fs::read_to_string(Path::new(MODULES).join("index")).or_sys("read the index of modules")?;
    let name = name.replace('-', "_");
    let line = index.lines().find_map(|l| l.strip_prefix(&name)?.strip_prefix(' '));
    let line = line.ok_or_else(|| SysError::new(format!("find the module {name}"), nix::errno::Errno::ENOENT))?;
    line.split(' ').try_for_each(insert)
}

/// The modules without which there is no channel and no disk.
pub(super) fn load_at_boot() -> Result<(), SysError> {
    let names = std::fs::read_to_string(Path::new(MODULES).join("at-boot")).or_sys("read which modules are loaded at boot")?;
    for name in names.lines() {
        match load(name) {
            // Built into this kernel.
            Err(e) if e.errno == nix::errno::Errno::ENOENT => {}
            other => other?,
        }
    }
    Ok(())
}

fn insert(name: &str) -> Result<(), SysError> {
    if Path::new("/sys/module").join(name).exists() {
        return Ok(());
    }
    let path = Path::new(MODULES).join(format!("{name}.ko"));
    let file = File::open(&path).or_sys_with(|| format!("open {}", path.display()))?;
    match finit_module(&file, c"", ModuleInitFlags::empty()) {
        Err(nix::errno::Errno::EEXIST) => Ok(()),
        other => other.or_sys_with(|| format!("load the module {name}")),
    }
}

/// The last argument of what the kernel runs.
pub fn main() -> u8 {
    let asked = std::env::args().next_back().unwrap_or_default();
    u8::from(load(&asked).is_err())
}
