//! One file or folder in the views of two processes: device and inode are the same (inode(7)).
//!
//! That is what a volume is: the same directory, mounted in several trees. Copies that happen to
//! hold the same text have inodes of their own. Each path is resolved inside its process's root.

use super::Fact;
use crate::check::machine::Seen;
use crate::check::model::Same;
use crate::kernel::mount::open_in_root;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Device and inode; `None` where nothing is there.
type Place = Option<(u64, u64)>;

/// Is it the same?
pub(super) fn same(wanted: &Same, seen: &Seen, chosen: &BTreeMap<&str, &Seen>) -> Fact {
    let there = wanted.there.as_ref().unwrap_or(&wanted.path);
    let at = format!("/proc/{}/root{}", seen.pid(), wanted.path);
    let expected = format!("{} is {}{there} of {}", wanted.path, if wanted.not { "not " } else { "" }, wanted.with);
    let Some(other) = chosen.get(wanted.with.as_str()) else { return Fact::is(false, expected, format!("no {} was found", wanted.with), at) };
    let (Ok(here), Ok(far)) = (place(seen, &wanted.path), place(other, there)) else { return Fact::unknown(expected, "not readable", at) };
    let found = match (here, far) {
        (None, _) => format!("no {}", wanted.path),
        (_, None) => format!("no {there} in {}", wanted.with),
        (Some((device, inode)), Some((far_device, far_inode))) => format!("inode {inode} of device {device:#x}; there, {far_inode} of {far_device:#x}"),
    };
    let so = here.is_some() && far.is_some() && (here == far) != wanted.not;
    Fact::is(so, expected, found, at)
}

/// `Err` where this user may not look.
fn place(seen: &Seen, path: &str) -> Result<Place, ()> {
    let root = File::open(format!("/proc/{}/root", seen.pid())).map_err(drop)?;
    match open_in_root(&root, Path::new(path), libc::O_PATH, 0).map(File::from) {
        Ok(file) => file.metadata().map(|m| Some((m.dev(), m.ino()))).map_err(drop),
        Err(e) if matches!(e.errno, Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
        Err(_) => Err(()),
    }
}
