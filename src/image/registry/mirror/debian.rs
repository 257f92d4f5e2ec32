//! Layers of Debian's packages, without root and without installing any (apt-get(8), dpkg-deb(1)).
//!
//! apt is asked what a machine with no package at all would have to fetch, so the answer is the whole
//! closure whatever is installed here; it fetches and verifies (apt-secure(8)). Then `dpkg-deb
//! --fsys-tarfile` gives each package as a tar, and the tars become two layers: a small Debian that all
//! images share, and what the image is about. No package's own script runs; what those would have done,
//! users and links, is written here. Paths are moved below /usr, as Debian has them since 12.

use super::{Told, no_tag};
use super::recipes::Recipe;
use crate::image::layer::{Layer, LayerWriter};
use crate::image::registry::Error;
use crate::image::writer::Writer;
use crate::image::aside;
use crate::kernel::OrSys;
use crate::kernel::trial::which;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use tar::EntryType;

/// The small Debian below all of them.
pub(super) const BASE: &[&str] = &[
    "base-files", "bash", "coreutils", "dash", "debianutils", "findutils", "grep", "gzip", "hostname", "libc-bin", "mawk", "procps", "sed",
    "tar", "util-linux",
];

/// Needed by scripts that do not run here, or by nothing that a container does.
const WITHOUT: &[&str] = &[
    "adduser", "base-passwd", "debconf", "dpkg", "init-system-helpers", "libdebconfclient0", "libfile-find-rule-perl", "libgdbm-compat4",
    "libjson-perl", "libllvm14", "libnumber-compare-perl", "libtext-glob-perl", "libz3-4", "locales", "lsb-base", "passwd", "perl", "perl-base",
    "postgresql-client-common", "postgresql-common", "sensible-utils", "ssl-cert", "sysvinit-utils", "ucf", "usrmerge", "util-linux-extra",
];

/// Folders at the top that are links into /usr, and those that every system has.
const MOVED: &[&str] = &["bin", "lib", "lib32", "lib64", "libx32", "sbin"];
const FOLDERS: &[(&str, u32)] = &[
    ("dev", 0o755), ("etc", 0o755), ("home", 0o755), ("mnt", 0o755), ("opt", 0o755), ("proc", 0o755), ("root", 0o700), ("run", 0o755),
    ("srv", 0o755), ("sys", 0o755), ("tmp", 0o1777), ("usr", 0o755), ("usr/bin", 0o755), ("usr/lib", 0o755), ("usr/lib64", 0o755),
    ("usr/sbin", 0o755), ("usr/local", 0o755), ("usr/local/bin", 0o755), ("var", 0o755), ("var/tmp", 0o1777),
];

/// Read by people, not by programs in a container.
const LEFT_OUT: &[&str] = &["usr/share/doc/", "usr/share/info/", "usr/share/lintian/", "usr/share/locale/", "usr/share/man/", "var/run", "var/lock"];

/// A small Debian that was made already: of which files, and the layer.
pub(super) struct Base {
    files: BTreeSet<OsString>,
    layer: Layer,
}

/// Packages as files, gone when this is dropped.
pub(super) struct Fetched {
    folder: PathBuf,
    base: Vec<PathBuf>,
    own: Vec<PathBuf>,
    /// Upstream's part of the package's version: `15.20`.
    pub version: String,
}

impl Drop for Fetched {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn cannot(recipe: &Recipe, problem: impl Into<String>) -> Error {
    Error::CannotMake { name: recipe.name.to_owned(), problem: problem.into() }
}

/// Fetches a recipe's packages and all that they need, if the version that they have is what `tag` means.
pub(super) fn fetch(recipe: &Recipe, tag: &str, told: &Told) -> Result<Fetched, Error> {
    for tool in ["apt-get", "dpkg-deb"] {
        which(tool).ok_or_else(|| cannot(recipe, format!("{tool} is not here, and it is made of Debian's packages")))?;
    }
    let folder = aside::fresh(&std::env::temp_dir());
    std::fs::create_dir(&folder).or_sys_with(|| format!("create {}", folder.display()))?;
    let mut fetched = Fetched { folder, base: Vec::new(), own: Vec::new(), version: String::new() };
    std::fs::write(fetched.folder.join("status"), "").or_sys("write a list of no packages")?;
    let base = closure(recipe, &fetched.folder, BASE)?;
    let wanted: Vec<&str> = [recipe.package].into_iter().chain(recipe.with.iter().copied()).collect();
    let own = closure(recipe, &fetched.folder, &wanted)?;
    let version = own.iter().find(|p| p.name == recipe.package).map(|p| upstream(&p.version));
    fetched.version = version.ok_or_else(|| cannot(recipe, format!("the package lists do not know {}", recipe.package)))?;
    let tags = recipe.tags(&fetched.version);
    if !tags.iter().any(|t| t == tag) {
        return Err(no_tag(recipe.name, tag, &tags));
    }
    let own: Vec<Package> = own.into_iter().filter(|p| !base.contains(p)).collect();
    told(&format!("fetching {} packages for {} (they will not be installed)", base.len() + own.len(), recipe.name));
    let names = base.iter().chain(&own).map(|p| format!("{}={}", p.name, p.version));
    run(recipe, Command::new("apt-get").args(["download", "-qq"]).args(names).current_dir(&fetched.folder))?;
    fetched.base = base.iter().map(|p| fetched.folder.join(&p.file)).collect();
    fetched.own = own.iter().map(|p| fetched.folder.join(&p.file)).collect();
    Ok(fetched)
}

#[derive(Debug, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
    file: String,
}

/// What a machine without any package would have to fetch.
fn closure(recipe: &Recipe, folder: &Path, wanted: &[&str]) -> Result<Vec<Package>, Error> {
    let mut command = Command::new("apt-get");
    command.args(["install", "--print-uris", "-qq", "--no-install-recommends", "-o", "Debug::NoLocking=1"]);
    command.arg("-o").arg(format!("Dir::State::status={}", folder.join("status").display())).args(wanted);
    let text = run(recipe, &mut command)?;
    let package = |line: &str| {
        // 'http://…' name_version_architecture.deb size hash
        let file = line.split_whitespace().nth(1)?.to_owned();
        let mut parts = file.strip_suffix(".deb")?.split('_');
        let (name, version) = (parts.next()?.to_owned(), parts.next()?.replace("%3a", ":"));
        Some(Package { name, version, file })
    };
    let packages = text.lines().filter_map(package).filter(|p| !left_out(&p.name));
    Ok(packages.collect())
}

fn left_out(name: &str) -> bool {
    WITHOUT.contains(&name) || name.starts_with("perl-modules-") || name.starts_with("libperl5")
}

/// `15.20` of `15.20-0+deb12u1`, `7.0.15` of `5:7.0.15-1~deb12u10`.
fn upstream(version: &str) -> String {
    let version = version.split_once(':').map_or(version, |(_, v)| v);
    let version = version.rsplit_once('-').map_or(version, |(v, _)| v);
    version.split(['+', '~']).next().unwrap_or(version).to_owned()
}

fn run(recipe: &Recipe, command: &mut Command) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.env("LC_ALL", "C").stdin(Stdio::null()).output().or_sys_with(|| format!("run {program}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = text.lines().rfind(|l| l.starts_with("E:")).or(text.lines().last()).unwrap_or_default();
    Err(cannot(recipe, format!("no package source has what it needs: {program}: {}", last.trim_start_matches("E:").trim())))
}

/// Two layers: Debian, and the image's own.
pub(super) fn layers(writer: &Writer<'_>, recipe: &Recipe, fetched: &Fetched, base: &mut Option<Base>, told: &Told) -> Result<Vec<Layer>, Error> {
    told(&format!("making {} of {} {}", recipe.name, recipe.package, fetched.version));
    let files: BTreeSet<OsString> = fetched.base.iter().filter_map(|p| p.file_name()).map(OsString::from).collect();
    let below = match base.as_ref().filter(|b| b.files == files) {
        Some(there) if writer.has(there.layer.descriptor.digest())? => there.layer.clone(),
        _ => debian(writer, recipe, fetched)?,
    };
    *base = Some(Base { files, layer: below.clone() });
    let mut own = Merge::new(writer)?;
    for deb in &fetched.own {
        own.package(recipe, deb)?;
    }
    if let Some(user) = recipe.user {
        accounts(&mut own, Some(user))?;
    }
    for folder in recipe.folders {
        own.folder(folder, 0o755, recipe.user.map_or(0, |(_, id, _)| id))?;
    }
    for (path, mode, text) in recipe.files {
        own.file(path, *mode, text)?;
    }
    for (path, to) in recipe.links {
        own.link(path, to)?;
    }
    Ok(vec![below, own.finish()?])
}

/// The layer that all of them share.
fn debian(writer: &Writer<'_>, recipe: &Recipe, fetched: &Fetched) -> Result<Layer, Error> {
    let mut base = Merge::new(writer)?;
    for (path, mode) in FOLDERS {
        base.folder(path, *mode, 0)?;
    }
    for name in MOVED {
        base.link(name, &format!("usr/{name}"))?;
    }
    base.link("var/run", "/run")?;
    base.link("var/lock", "/run/lock")?;
    for deb in &fetched.base {
        base.package(recipe, deb)?;
    }
    for (path, to) in [("usr/bin/sh", "dash"), ("usr/bin/awk", "mawk")] {
        base.link(path, to)?;
    }
    accounts(&mut base, None)?;
    base.finish()
}

/// Users and groups: Debian's first ones, and the image's.
fn accounts(to: &mut Merge, user: Option<(&str, u32, &str)>) -> Result<(), Error> {
    let mut passwd = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nmail:x:8:8:mail:/var/mail:/usr/sbin/nologin\n\
        www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        .to_owned();
    let mut group = "root:x:0:\ndaemon:x:1:\nadm:x:4:\ntty:x:5:\nmail:x:8:\nwww-data:x:33:\nstaff:x:50:\nusers:x:100:\nnogroup:x:65534:\n".to_owned();
    if let Some((name, id, home)) = user {
        passwd.push_str(&format!("{name}:x:{id}:{id}:{name}:{home}:/bin/sh\n"));
        group.push_str(&format!("{name}:x:{id}:\n"));
    }
    to.file("etc/passwd", 0o644, &passwd)?;
    to.file("etc/group", 0o644, &group)
}

/// Several tars on their way into one layer; the first entry of a name stays.
struct Merge {
    tar: tar::Builder<LayerWriter>,
    seen: BTreeSet<PathBuf>,
}

impl Merge {
    fn new(writer: &Writer<'_>) -> Result<Self, Error> {
        Ok(Self { tar: tar::Builder::new(writer.layer()?), seen: BTreeSet::new() })
    }

    fn header(kind: EntryType, mode: u32, owner: u32, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner.into());
        header.set_gid(owner.into());
        header.set_mtime(0);
        header.set_size(size);
        header
    }

    fn folder(&mut self, path: &str, mode: u32, owner: u32) -> Result<(), Error> {
        // One that a package brought may belong to somebody else here: the later entry counts.
        self.seen.insert(path.into());
        let mut header = Self::header(EntryType::Directory, mode, owner, 0);
        Ok(self.tar.append_data(&mut header, format!("{path}/"), std::io::empty()).or_sys("write a layer")?)
    }

    fn file(&mut self, path: &str, mode: u32, text: &str) -> Result<(), Error> {
        if !self.seen.insert(path.into()) {
            return Ok(());
        }
        let mut header = Self::header(EntryType::Regular, mode, 0, text.len() as u64);
        Ok(self.tar.append_data(&mut header, path, text.as_bytes()).or_sys("write a layer")?)
    }

    fn link(&mut self, path: &str, to: &str) -> Result<(), Error> {
        if !self.seen.insert(path.into()) {
            return Ok(());
        }
        let mut header = Self::header(EntryType::Symlink, 0o777, 0, 0);
        Ok(self.tar.append_link(&mut header, path, to).or_sys("write a layer")?)
    }

    /// All files of a package that a container needs.
    fn package(&mut self, recipe: &Recipe, deb: &Path) -> Result<(), Error> {
        let broken = |e: std::io::Error| cannot(recipe, format!("{} cannot be read: {e}", deb.display()));
        let mut child = Command::new("dpkg-deb").arg("--fsys-tarfile").arg(deb).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(broken)?;
        let pipe = child.stdout.take().ok_or_else(|| cannot(recipe, "dpkg-deb has no output"))?;
        let mut archive = tar::Archive::new(pipe);
        let merged = archive.entries().map_err(broken).and_then(|entries| {
            for entry in entries {
                self.entry(recipe, entry.map_err(broken)?)?;
            }
            Ok(())
        });
        // To its end, or dpkg-deb is killed by its own pipe.
        let _ = std::io::copy(&mut archive.into_inner(), &mut std::io::sink());
        let status = child.wait().map_err(broken)?;
        merged?;
        if status.success() { Ok(()) } else { Err(cannot(recipe, format!("dpkg-deb cannot read {}", deb.display()))) }
    }

    fn entry(&mut self, recipe: &Recipe, entry: tar::Entry<'_, impl Read>) -> Result<(), Error> {
        let Some(path) = moved(&entry.path().or_sys("read a package")?) else { return Ok(()) };
        let is_left_out = |start: &&str| path.as_os_str().as_bytes().starts_with(start.as_bytes());
        let kind = entry.header().entry_type();
        if LEFT_OUT.iter().chain(recipe.leave_out).any(is_left_out) || !self.seen.insert(path.clone()) {
            return Ok(());
        }
        let mut header = entry.header().clone();
        let link = entry.link_name().or_sys("read a package")?.map(|l| l.into_owned());
        let written = match (kind, link) {
            (EntryType::Symlink, Some(to)) => self.tar.append_link(&mut header, path, to),
            (EntryType::Link, Some(to)) => self.tar.append_link(&mut header, path, moved(&to).unwrap_or(to)),
            (EntryType::Directory, _) => self.tar.append_data(&mut header, path.join(""), std::io::empty()),
            _ => self.tar.append_data(&mut header, path, entry),
        };
        Ok(written.or_sys("write a layer")?)
    }

    fn finish(self) -> Result<Layer, Error> {
        let mut layer = self.tar.into_inner().or_sys("write a layer")?;
        layer.flush().or_sys("write a layer")?;
        Ok(layer.finish()?)
    }
}

/// A package's path as it is in the image: from the root, and below /usr.
fn moved(path: &Path) -> Option<PathBuf> {
    let path: PathBuf = path.components().filter(|c| matches!(c, Component::Normal(_))).collect();
    let first = path.components().next()?;
    // The folder itself is a link here.
    if MOVED.iter().any(|m| path == Path::new(m)) {
        return None;
    }
    Some(if MOVED.iter().any(|m| first.as_os_str() == *m) { Path::new("usr").join(path) } else { path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_upstreams_part_and_its_tags_are_true() {
        for (debian, expected) in [("15.20-0+deb12u1", "15.20"), ("5:7.0.15-1~deb12u10", "7.0.15"), ("18.20.4+dfsg-1~deb12u3", "18.20.4"), ("3.11.2-1+b1", "3.11.2")] {
            assert_eq!(upstream(debian), expected);
        }
        let python = super::super::recipes::find("python").unwrap();
        assert_eq!(python.tags("3.11.2"), ["latest", "3", "3.11", "3.11.2"]);
    }

    #[test]
    fn paths_move_below_usr_and_never_climb() {
        let moved = |p: &str| moved(Path::new(p)).map(|p| p.display().to_string());
        assert_eq!(moved("./bin/ls").unwrap(), "usr/bin/ls");
        assert_eq!(moved("./lib64/ld.so").unwrap(), "usr/lib64/ld.so");
        assert_eq!(moved("./usr/bin/ls").unwrap(), "usr/bin/ls");
        assert_eq!(moved("./lib/"), None);
        assert_eq!(moved("../../etc/passwd").unwrap(), "etc/passwd");
        assert_eq!(moved("./"), None);
    }
}
