//! /proc/PID/mountinfo, parsed (proc_pid_mountinfo(5)).
//!
//! One line a mount: id, parent, device, the root of it within its file system, where it is mounted,
//! mount options, optional fields such as `shared:3`, a lone hyphen, type, source, super options.
//! Space, tab, newline and backslash stand as octal escapes.

use super::{OrSys, SysError};
use std::path::PathBuf;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mount {
    /// Unique as long as the mount lives.
    pub id: u64,
    /// The mount that it lies on.
    pub parent: u64,
    /// The file system's device, `major:minor`.
    pub device: String,
    /// Which part of its file system is shown; `/` unless it is a bind.
    pub root: PathBuf,
    /// Where it is, relative to the reading process's root.
    pub target: PathBuf,
    /// Options of the mount, such as `ro,nosuid`.
    pub options: Vec<String>,
    /// `shared:N`, `master:N`, …; empty when private.
    pub propagation: Vec<String>,
    /// File system type.
    pub fstype: String,
    /// What was mounted.
    pub source: String,
    /// Options of the file system, such as overlay's `lowerdir=…`.
    pub super_options: Vec<String>,
}

impl Mount {
    /// The value of a super option, such as `lowerdir`.
    pub fn super_option(&self, key: &str) -> Option<&str> {
        self.super_options.iter().find_map(|o| o.strip_prefix(key)?.strip_prefix('='))
    }
}

/// The mounts that process `pid` sees.
pub fn of(pid: i32) -> Result<Vec<Mount>, SysError> {
    let path = format!("/proc/{pid}/mountinfo");
    let text = std::fs::read_to_string(&path).or_sys_with(|| format!("read {path}"))?;
    Ok(parse(&text))
}

/// Parses the whole file; a line of another shape is left out.
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ');
    let mut right = right.split(' ');
    let list = |text: &str| text.split(',').map(unescape).collect::<Vec<_>>();
    let id = left.next()?.parse().ok()?;
    let parent = left.next()?.parse().ok()?;
    let device = left.next()?.to_owned();
    let root = PathBuf::from(unescape(left.next()?));
    let target = PathBuf::from(unescape(left.next()?));
    let options = list(left.next()?);
    Some(Mount {
        id,
        parent,
        device,
        root,
        target,
        options,
        propagation: left.map(String::from).collect(),
        fstype: right.next()?.to_owned(),
        source: unescape(right.next()?),
        super_options: list(right.next().unwrap_or_default()),
    })
}

/// Undoes `\040` and its like.
fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = (bytes[at] == b'\\').then(|| bytes.get(at + 1..at + 4)).flatten();
        let value = octal.and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u8::from_str_radix(d, 8).ok());
        match value {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_with_optional_fields_and_escapes_is_read_whole() {
        let text = r"36 35 98:0 /mnt1 /mnt\0402 rw,noatime shared:1 master:2 - overlay overlay rw,lowerdir=/a:/b,upperdir=/u";
        let mount = &parse(text)[0];
        assert_eq!((mount.device.as_str(), mount.target.as_path()), ("98:0", std::path::Path::new("/mnt 2")));
        assert_eq!(mount.propagation, ["shared:1", "master:2"]);
        assert_eq!(mount.super_option("lowerdir"), Some("/a:/b"));
    }

    #[test]
    fn this_process_has_a_root_mount() {
        assert!(of(std::process::id() as i32).unwrap().iter().any(|m| m.target == PathBuf::from("/")));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            parse(&text);
            unescape(&text);
        }
    }
}
