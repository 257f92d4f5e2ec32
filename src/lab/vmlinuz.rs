//! A kernel for the guest: the one that was named, one that was fetched, or the host's own.
//!
//! A distribution's kernel is a boot image and a folder of modules of the same release. An x86 image
//! tells its release itself (Documentation/arch/x86/boot.rst: `HdrS` at 0x202, the version's place at
//! 0x20e); on others the file's name does. See it live: `file /boot/vmlinuz-$(uname -r)`.

use super::modules::Modules;
use super::{Error, Place};
use std::path::{Path, PathBuf};

/// A kernel that can be booted.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    /// The boot image.
    pub(super) image: PathBuf,
    /// Its modules.
    pub(super) modules: Modules,
}

impl Kernel {
    /// The kernels that could be booted, the best first: `given` alone, else those that were fetched
    /// on purpose, else the host's own. Where none is good, the error tells why each was not.
    pub(super) fn find(place: &Place, given: Option<&Path>) -> Result<Vec<Self>, Error> {
        if let Some(image) = given {
            let kernel = Self::open(image).map_err(|problem| Error::BadKernel { image: image.to_owned(), problem })?;
            return Ok(vec![kernel]);
        }
        let (mut good, mut refused) = (Vec::new(), Vec::new());
        for image in fetched(place).into_iter().chain(own()) {
            match Self::open(&image) {
                Ok(kernel) => good.push(kernel),
                Err(problem) => refused.push(format!("{}: {problem}", image.display())),
            }
        }
        if good.is_empty() { Err(Error::NoKernel { refused }) } else { Ok(good) }
    }

    fn open(image: &Path) -> Result<Self, String> {
        let release = release_of(image)?;
        let mut places = vec![PathBuf::from("/lib/modules").join(&release)];
        // An unpacked package: boot/vmlinuz-REL and lib/modules/REL below one folder.
        let above = image.parent().and_then(Path::parent);
        places.extend(above.map(|a| a.join("lib/modules").join(&release)));
        places.extend(above.map(|a| a.join("usr/lib/modules").join(&release)));
        places.extend(image.parent().map(|p| p.join("modules")));
        let folder = places.iter().find(|p| p.join("kernel").is_dir());
        let folder = folder.ok_or_else(|| format!("its modules are neither in {} nor beside it", places[0].display()))?;
        let modules = Modules::read(folder)?;
        modules.has_what_the_lab_needs()?;
        Ok(Self { image: image.to_owned(), modules })
    }
}

/// The host's kernels that may be read, the running one first.
fn own() -> Vec<PathBuf> {
    let running = nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned()).unwrap_or_default();
    let mut images = vec![PathBuf::from("/lib/modules").join(&running).join("vmlinuz"), PathBuf::from(format!("/boot/vmlinuz-{running}"))];
    let installed = std::fs::read_dir("/boot").into_iter().flatten().flatten().map(|e| e.path());
    let mut others: Vec<PathBuf> = installed.filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("vmlinuz-"))).collect();
    others.sort();
    others.reverse();
    images.extend(others);
    images.retain(|image| std::fs::File::open(image).is_ok());
    images
}

/// Those in the cache, the newest release first.
fn fetched(place: &Place) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place.kernels()).into_iter().flatten().flatten().map(|e| e.path());
    let mut images: Vec<PathBuf> = entries.filter_map(|folder| super::fetch::image_in(&folder)).collect();
    images.sort_by_key(|i| i.file_name().map(|n| numbers(&n.to_string_lossy())));
    images.reverse();
    images
}

/// A release as numbers, so that 6.10 comes after 6.9.
fn numbers(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect()
}

/// The release that an image is of, or why it is none for this machine.
fn release_of(image: &Path) -> Result<String, String> {
    use std::io::Read;
    let mut start = Vec::new();
    let file = std::fs::File::open(image).map_err(|e| format!("it cannot be read: {e}"))?;
    file.take(128 << 10).read_to_end(&mut start).map_err(|e| format!("it cannot be read: {e}"))?;
    if cfg!(target_arch = "x86_64") { from_header(&start) } else { from_name(image) }
}

fn from_header(start: &[u8]) -> Result<String, String> {
    if start.get(0x202..0x206) != Some(b"HdrS") {
        return Err("it is no Linux boot image for x86_64 (no HdrS at 0x202)".into());
    }
    let at = start.get(0x20e..0x210).map_or(0, |b| usize::from(u16::from_le_bytes([b[0], b[1]]))) + 0x200;
    let text = start.get(at..).and_then(|t| t.split(|b| *b == 0).next()).unwrap_or_default();
    let release = String::from_utf8_lossy(text).split(' ').next().unwrap_or_default().to_owned();
    // It becomes part of a path.
    let plain = release.chars().all(|c| c.is_ascii_alphanumeric() || "._+-~".contains(c));
    if release.is_empty() || !plain || release.starts_with('.') { Err("it does not say its release".into()) } else { Ok(release) }
}

fn from_name(image: &Path) -> Result<String, String> {
    let name = image.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = image.parent().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
    let release = if name == "vmlinuz" { folder } else { name.strip_prefix("vmlinuz-").map(str::to_owned) };
    release.ok_or_else(|| format!("its name is not vmlinuz-RELEASE but {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_image_says_its_release_and_other_files_are_refused() {
        let mut image = vec![0; 0x400];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x20e..0x210].copy_from_slice(&0x100u16.to_le_bytes());
        image[0x300..0x310].copy_from_slice(b"6.1.0-9 (a@b) #1");
        assert_eq!(from_header(&image), Ok("6.1.0-9".to_owned()));
        image[0x300..0x304].copy_from_slice(b"../x");
        assert_eq!(from_header(&image), Err("it does not say its release".to_owned()));
        image.truncate(0x204);
        assert!(from_header(&image).is_err());
        assert!(from_header(b"").is_err());
    }

    #[test]
    fn releases_are_compared_as_numbers() {
        assert!(numbers("vmlinuz-6.10.0-2") > numbers("vmlinuz-6.9.12-1"));
    }
}
