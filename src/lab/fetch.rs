//! Fetches a distribution's kernel without root and without installing it.
//!
//! The package client downloads and verifies (apt-secure(8): the package's hash against a signed
//! list); dpkg-deb unpacks into the learner's own folder. For a virtual machine the cloud or virtual
//! flavour is right: virtio, and few other drivers. Other distributions keep their running kernel
//! where everybody may read it (/lib/modules/REL/vmlinuz), so nothing has to be fetched there.

use super::{Error, Place};
use crate::kernel::OrSys;
use crate::kernel::trial::which;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages that stand for the newest kernel for a virtual machine: Debian's, Ubuntu's.
const PACKAGES: &[&str] = match std::env::consts::ARCH.as_bytes() {
    b"aarch64" => &["linux-image-cloud-arm64", "linux-image-virtual", "linux-image-arm64"],
    _ => &["linux-image-cloud-amd64", "linux-image-virtual", "linux-image-amd64"],
};

/// Fetches a kernel into the place, unless that one is there already; gives its release.
pub fn fetch(place: &Place, said: &mut dyn FnMut(&str)) -> Result<String, Error> {
    let lacking = |what: &str| Error::CannotFetch { problem: format!("{what} is not here"), said: String::new() };
    for tool in ["apt-get", "apt-cache", "dpkg-deb"] {
        which(tool).ok_or_else(|| lacking(tool))?;
    }
    let names = PACKAGES.iter().find_map(|meta| newest(meta)).ok_or_else(|| Error::CannotFetch {
        problem: format!("the package lists name none of {}", PACKAGES.join(", ")),
        said: String::new(),
    })?;
    let release = names[0].trim_start_matches("linux-image-").trim_start_matches("unsigned-").to_owned();
    place.make()?;
    let to = place.kernels().join(&release);
    if image_in(&to).is_some() {
        return Ok(release);
    }
    let aside = place.kernels().join(format!(".aside-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&aside);
    std::fs::create_dir_all(aside.join("x")).or_sys_with(|| format!("make {}", aside.display()))?;
    let done = unpack(&names, &aside, said).and_then(|()| {
        image_in(&aside.join("x")).ok_or_else(|| Error::CannotFetch { problem: format!("{} holds no boot image", names[0]), said: String::new() })?;
        let _ = std::fs::remove_dir_all(&to);
        std::fs::rename(aside.join("x"), &to).or_sys_with(|| format!("keep the kernel as {}", to.display()))?;
        Ok(())
    });
    let _ = std::fs::remove_dir_all(&aside);
    done.map(|()| release)
}

/// The boot image in a folder of the cache.
pub(super) fn image_in(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder.join("boot")).ok()?.flatten().map(|e| e.path());
    entries.into_iter().find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("vmlinuz-")))
}

/// The packages with the image and, where they are apart (Ubuntu), its modules.
fn newest(meta: &str) -> Option<Vec<String>> {
    let depends = |package: &str| {
        let output = Command::new("apt-cache").args(["depends", "--important", package]).env("LC_ALL", "C").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Some(text.lines().filter_map(|l| l.trim().strip_prefix("Depends: ").map(str::to_owned)).collect::<Vec<_>>())
    };
    let image = depends(meta)?.into_iter().find(|d| d.starts_with("linux-image-"))?;
    let modules = depends(&image)?.into_iter().find(|d| d.starts_with("linux-modules-"));
    Some([image].into_iter().chain(modules).collect())
}

fn unpack(names: &[String], aside: &Path, said: &mut dyn FnMut(&str)) -> Result<(), Error> {
    for name in names {
        said(&format!("fetching {name} (it will be unpacked into your own folder, not installed)"));
        run(Command::new("apt-get").args(["download", "-q", name]).current_dir(aside))?;
    }
    let entries = std::fs::read_dir(aside).or_sys("read what was fetched")?.flatten().map(|e| e.path());
    for package in entries.filter(|p| p.extension().is_some_and(|e| e == "deb")) {
        run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(aside.join("x")))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<(), Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.env("LC_ALL", "C").output().or_sys_with(|| format!("run {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = text.lines().rfind(|l| l.starts_with("E:")).or(text.lines().last()).unwrap_or_default().to_owned();
    Err(Error::CannotFetch { problem: format!("{program} failed ({})", output.status), said: last })
}
