//! A Debian for tests to build on: made once by debootstrap, kept in target/, imported into a skiff
//! root of its own, which each test gets as links of files that nobody writes.

use super::{Room, source, stdout};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A skiff root in `target/FOLDER` with the image `name` in it: the smallest Debian and these packages,
/// without the files that are `left_out`. `None` where it cannot be made.
pub fn root(folder: &str, name: &str, packages: &str, left_out: &[&str]) -> Option<PathBuf> {
    let folder = source().join("target").join(folder);
    let (rootfs, root) = (folder.join("rootfs"), folder.join("skiff"));
    if root.exists() {
        return Some(root);
    }
    fs::create_dir_all(&folder).ok()?;
    let whole = folder.join("made");
    if !whole.exists() {
        let _ = fs::remove_dir_all(&rootfs);
        let mut debootstrap = Command::new("debootstrap");
        debootstrap.args(["--variant=minbase", &format!("--include={packages}"), "stable"]).arg(&rootfs);
        debootstrap.output().ok().filter(|o| o.status.success())?;
        fs::write(&whole, packages).ok()?;
    }
    // Beside it, so that the root can be renamed.
    let room = Room::inside(&folder);
    let tar = room.path().join("rootfs.tar");
    // Documents and lists of packages are most of its files, and nobody reads them.
    let skip = ["./usr/share/doc/*", "./usr/share/locale/*", "./usr/share/man/*", "./var/cache/apt/*", "./var/lib/apt/lists/*"];
    let mut pack = Command::new("tar");
    pack.args(skip.iter().chain(left_out).map(|s| format!("--exclude={s}"))).arg("-C").arg(&rootfs).arg("-cf").arg(&tar).arg(".");
    stdout(&mut pack);
    stdout(&mut room.skiff(&["import", &tar.display().to_string(), name]));
    fs::rename(room.skiff_root(), &root).ok()?;
    Some(root)
}

/// A room beside that root, with a copy of it: links, a hundred times faster than to load the image again.
pub fn room(root: &Path) -> Room {
    let room = Room::inside(root.parent().expect("it lies in target/"));
    stdout(Command::new("cp").arg("-al").arg(root).arg(room.skiff_root()));
    room
}
