//! `--user NAME` looked up in the image's own /etc/passwd and /etc/group (passwd(5), group(5)).
//!
//! The files are read from the layers, topmost first, before anything is mounted; they are opened
//! as if the layer were the root, so that a link in an image cannot make us read the host's.

use super::error::Error;
use crate::kernel::mount::open_in_root;
use nix::sys::stat::{SFlag, fstat};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Who a command runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Further groups that list the user.
    pub groups: Vec<u32>,
    /// Home directory.
    pub home: String,
}

/// Resolves `user[:group]`; empty means root. Numbers need no entry.
pub fn resolve(wanted: &str, layers: &[PathBuf]) -> Result<Who, Error> {
    let (user, group) = wanted.split_once(':').map_or((wanted, None), |(u, g)| (u, Some(g)));
    let user = if user.is_empty() { "0" } else { user };
    let passwd = read(layers, "etc/passwd");
    let found = passwd.lines().map(|l| l.split(':').collect::<Vec<_>>()).find(|f| f.len() >= 6 && (f[0] == user || f[2] == user));
    let missing = |kind, name: &str| Error::NoUser { kind, name: name.to_owned() };
    let (uid, primary, home, name) = match &found {
        Some(f) => (number(f[2]), number(f[3]), f[5].to_owned(), f[0].to_owned()),
        None => (number(user), Some(0), "/".to_owned(), String::new()),
    };
    let uid = uid.ok_or_else(|| missing("user", user))?;
    let groups = read(layers, "etc/group");
    let entries: Vec<Vec<&str>> = groups.lines().map(|l| l.split(':').collect()).filter(|f: &Vec<&str>| f.len() >= 3).collect();
    let gid = match group {
        None => primary,
        Some(g) => entries.iter().find(|f| f[0] == g).and_then(|f| number(f[2])).or_else(|| number(g)),
    };
    let gid = gid.ok_or_else(|| missing("group", group.unwrap_or_default()))?;
    let member = |f: &&Vec<&str>| !name.is_empty() && f.len() > 3 && f[3].split(',').any(|m| m == name);
    // A group that was asked for stands alone, as in Docker; else all that list the user.
    let more = if group.is_some() { Vec::new() } else { entries.iter().filter(member).filter_map(|f| number(f[2])).collect() };
    Ok(Who { uid, gid, groups: more, home })
}

fn number(text: &str) -> Option<u32> {
    // -1 means "leave as it is" to setresuid(2): no id of anybody.
    text.parse().ok().filter(|n| *n != u32::MAX)
}

/// The text of a file as the topmost layer that has it shows it; empty when none has.
fn read(layers: &[PathBuf], path: &str) -> String {
    for layer in layers.iter().rev() {
        let Ok(root) = File::open(layer) else { continue };
        // Looked at before it is opened: root opens this on the host, where opening a FIFO waits for
        // ever and opening a device can do anything, such as start a watchdog.
        let Ok(found) = open_in_root(&root, Path::new(path), libc::O_PATH | libc::O_NOFOLLOW, 0) else { continue };
        let kind = fstat(&found).map(|s| SFlag::from_bits_truncate(s.st_mode & SFlag::S_IFMT.bits()));
        // A link is looked up in the layers below, which may have what it leads to under this name.
        if kind == Ok(SFlag::S_IFLNK) {
            continue;
        }
        let mut text = String::new();
        if kind == Ok(SFlag::S_IFREG) {
            // The very file that was looked at; and a hostile image may have one without end here.
            let file = File::open(format!("/proc/self/fd/{}", found.as_raw_fd()));
            let _ = file.and_then(|file| file.take(1 << 20).read_to_string(&mut text));
        }
        // Whatever else it is, a whiteout for one, hides those below.
        return text;
    }
    String::new()
}
