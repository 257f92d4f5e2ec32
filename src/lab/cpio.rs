//! An initramfs: the kernel's cpio format "newc", uncompressed
//! (Documentation/driver-api/early-userspace/buffer-format).
//!
//! Uncompressed on purpose: unpacking a compressed one under software emulation takes longer than
//! reading the bytes. A later entry of the same path replaces an earlier one.

use std::collections::BTreeSet;
use std::io::{self, Write};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node<'a> {
    /// A folder.
    Folder,
    /// A file's content.
    File(&'a [u8]),
    /// A symbolic link, and where it leads.
    Link(&'a str),
    /// A character device: major, minor.
    Device(u32, u32),
}

/// An archive being written.
pub struct Archive<W: Write> {
    to: W,
    inode: u32,
    written: u64,
    known: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    /// An empty one.
    pub fn new(to: W) -> Self {
        Self { to, inode: 0, written: 0, known: BTreeSet::new() }
    }

    /// Adds an entry, owned by root, after the folders above it, without which the kernel would leave
    /// it out. `path` has no slash before it; `mode` is the permissions.
    pub fn add(&mut self, path: &str, mode: u32, node: Node<'_>) -> io::Result<()> {
        if let Some((above, _)) = path.rsplit_once('/')
            && !self.known.contains(above)
        {
            self.add(above, 0o755, Node::Folder)?;
        }
        self.known.insert(path.to_owned());
        let (kind, content, device) = match node {
            Node::Folder => (0o040_000, &[][..], (0, 0)),
            Node::File(content) => (0o100_000, content, (0, 0)),
            Node::Link(to) => (0o120_000, to.as_bytes(), (0, 0)),
            Node::Device(major, minor) => (0o020_000, &[][..], (major, minor)),
        };
        let too_long = |_| io::Error::new(io::ErrorKind::FileTooLarge, format!("{path} is larger than 4 GiB"));
        self.inode += 1;
        let size = u32::try_from(content.len()).map_err(too_long)?;
        let name_size = u32::try_from(path.len() + 1).map_err(too_long)?;
        // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
        let fields = [self.inode, kind | mode & 0o7777, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        let head: String = fields.iter().map(|f| format!("{f:08x}")).collect();
        self.put(b"070701")?;
        self.put(head.as_bytes())?;
        self.put(path.as_bytes())?;
        self.put(&[0])?;
        self.pad()?;
        self.put(content)?;
        self.pad()
    }

    /// The names of what was added right below one of those folders.
    pub(super) fn names_in(&self, folders: &[&str]) -> BTreeSet<String> {
        let split = self.known.iter().filter_map(|path| path.rsplit_once('/'));
        split.filter(|(above, _)| folders.contains(above)).map(|(_, name)| name.to_owned()).collect()
    }

    /// Closes the archive and tells its length in bytes.
    pub fn finish(mut self) -> io::Result<u64> {
        self.add("TRAILER!!!", 0, Node::File(&[]))?;
        self.to.flush()?;
        Ok(self.written)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.to.write_all(bytes)
    }

    fn pad(&mut self) -> io::Result<()> {
        let missing = self.written.next_multiple_of(4) - self.written;
        self.put(&[0; 3][..missing as usize])
    }
}
