//! A kernel's modules: which there are, what each needs before it, what each is asked for by.
//!
//! A module says so in its own ELF section `.modinfo`: `depends=`, `softdep=`, `alias=` (modinfo(8)).
//! So no modules.dep is needed, which packages leave to depmod(8). The guest's kernel loads most of
//! them at first use: it runs /sbin/modprobe with a name such as `fs-overlay` or `rtnl-link-veth`,
//! and the guest looks that up in the index that is written here.

use goblin::elf::Elf;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What must be there before anything can be: the channel and the disk.
pub(super) const AT_BOOT: &[&str] = &["virtio_pci", "virtio_console", "virtio_blk"];

/// What the course's labs need; the kernel asks for them at first use.
const LATER: &[&str] = &["ext4", "overlay", "veth", "bridge", "nf_tables"];

/// What makes more possible, where the kernel has it.
const IF_THERE: &[&str] = &[
    "br_netfilter", "crc32c_generic", "crc32c_intel", "dummy", "fuse", "inet_diag", "ipvlan", "loop", "macvlan", "nf_conntrack", "nf_conntrack_netlink", "nf_nat",
    "nfnetlink", "nft_chain_nat", "nft_compat", "nft_ct", "nft_fib", "nft_fib_inet", "nft_fib_ipv4", "nft_fib_ipv6", "nft_log", "nft_masq",
    "nft_nat", "nft_redir", "nft_reject", "nft_reject_inet", "nft_reject_ipv4", "squashfs", "tcp_diag", "tun", "unix_diag", "virtiofs",
    "virtio_rng", "vxlan", "xt_MASQUERADE", "xt_addrtype", "xt_comment", "xt_conntrack", "xt_mark", "xt_nat", "xt_tcpudp",
];

/// The modules of one kernel.
#[derive(Debug, Clone)]
pub(super) struct Modules {
    files: BTreeMap<String, PathBuf>,
    builtin: BTreeSet<String>,
}

/// One module, read.
#[derive(Debug, Clone)]
pub(super) struct Module {
    /// Its name, with underscores.
    pub(super) name: String,
    /// Its ELF file, decompressed.
    pub(super) bytes: Vec<u8>,
    aliases: Vec<String>,
}

impl Modules {
    /// Lists a folder such as /lib/modules/6.1.0; reads no module yet.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let mut files = BTreeMap::new();
        list(&folder.join("kernel"), &mut files);
        let text = std::fs::read_to_string(folder.join("modules.builtin")).unwrap_or_default();
        let builtin = text.lines().filter_map(|line| name_of(Path::new(line))).collect();
        if files.is_empty() {
            return Err(format!("there is no module below {}", folder.display()));
        }
        Ok(Self { files, builtin })
    }

    /// `Err` names what is neither a module nor built in.
    pub(super) fn has_what_the_lab_needs(&self) -> Result<(), String> {
        let needed = AT_BOOT.iter().chain(LATER);
        let missing: Vec<&str> = needed.copied().filter(|n| !self.files.contains_key(*n) && !self.builtin.contains(*n)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("it lacks {}", missing.join(", "))) }
    }

    /// Every module that the guest takes along, read, with what it depends on, in the order in which
    /// they can be loaded; and the index, one line a name: the name, then the files to load.
    pub(super) fn packed(&self) -> Result<(Vec<Module>, String), String> {
        let mut packed = Packed { modules: Vec::new(), needs: BTreeMap::new() };
        for name in AT_BOOT.iter().chain(LATER).chain(IF_THERE) {
            packed.take(self, name)?;
        }
        let index = packed.index();
        Ok((packed.modules, index))
    }
}

/// What was taken so far.
struct Packed {
    modules: Vec<Module>,
    /// All that a module needs before it, and itself last.
    needs: BTreeMap<String, Vec<String>>,
}

impl Packed {
    /// Takes a module after those it depends on. One that is built in, or not there, is no matter here.
    fn take(&mut self, all: &Modules, name: &str) -> Result<(), String> {
        let name = name.replace('-', "_");
        let Some(path) = all.files.get(&name).filter(|_| !self.needs.contains_key(&name)) else { return Ok(()) };
        let bytes = decompressed(path)?;
        let said = modinfo(&bytes).ok_or_else(|| format!("{} is no module", path.display()))?;
        // Against a circle: the name is known before its needs are followed.
        self.needs.insert(name.clone(), Vec::new());
        let mut before: Vec<String> = Vec::new();
        let soft = said.iter().filter_map(|(k, v)| (k == "softdep").then_some(v)).flat_map(|v| pre(v));
        let hard = said.iter().filter(|(k, _)| k == "depends").flat_map(|(_, v)| v.split(',').map(str::to_owned));
        for need in soft.chain(hard).filter(|n| !n.is_empty()) {
            self.take(all, &need)?;
            for part in self.needs.get(&need.replace('-', "_")).into_iter().flatten() {
                if !before.contains(part) {
                    before.push(part.clone());
                }
            }
        }
        before.push(name.clone());
        self.needs.insert(name.clone(), before);
        let aliases = said.into_iter().filter(|(k, v)| k == "alias" && !v.contains(['*', '?', '['])).map(|(_, v)| v).collect();
        self.modules.push(Module { name, bytes, aliases });
        Ok(())
    }

    fn index(&self) -> String {
        let mut lines = String::new();
        for module in &self.modules {
            let files = self.needs[&module.name].join(" ");
            for asked in std::iter::once(&module.name).chain(&module.aliases) {
                lines.push_str(&format!("{} {files}\n", asked.replace('-', "_")));
            }
        }
        lines
    }
}

/// The modules that a `softdep=` wants before: `pre: a b post: c`.
fn pre(text: &str) -> Vec<String> {
    let mut wanted = false;
    let mut names = Vec::new();
    for word in text.split_whitespace() {
        match word.strip_suffix(':') {
            Some(when) => wanted = when == "pre",
            None if wanted => names.push(word.to_owned()),
            None => {}
        }
    }
    names
}

/// The pairs of a module's `.modinfo`.
fn modinfo(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let elf = Elf::parse(bytes).ok()?;
    let section = elf.section_headers.iter().find(|s| elf.shdr_strtab.get_at(s.sh_name) == Some(".modinfo"))?;
    let text = bytes.get(section.file_range()?)?;
    let pairs = text.split(|b| *b == 0).filter_map(|pair| String::from_utf8_lossy(pair).split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())));
    Some(pairs.collect())
}

/// The bytes of a module: distributions ship them plain, or as .gz, .xz or .zst.
fn decompressed(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |e: &dyn std::fmt::Display| format!("{} cannot be read: {e}", path.display());
    let bytes = std::fs::read(path).map_err(|e| failed(&e))?;
    let mut plain = Vec::new();
    let kind = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
    match kind.as_str() {
        "gz" => flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).map_err(|e| failed(&e))?,
        "xz" => lzma_rust2::XzReader::new(bytes.as_slice(), true).read_to_end(&mut plain).map_err(|e| failed(&e))?,
        "zst" => {
            let mut from = ruzstd::decoding::StreamingDecoder::new(bytes.as_slice()).map_err(|e| failed(&e))?;
            from.read_to_end(&mut plain).map_err(|e| failed(&e))?
        }
        _ => return Ok(bytes),
    };
    Ok(plain)
}

fn list(folder: &Path, files: &mut BTreeMap<String, PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            list(&path, files);
        } else if let Some(name) = name_of(&path) {
            files.insert(name, path);
        }
    }
}

/// `kernel/net/xt_MASQUERADE.ko.xz` is xt_MASQUERADE; a dash and an underscore are the same in a name.
fn name_of(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let (name, rest) = file.split_once(".ko")?;
    ["", ".gz", ".xz", ".zst"].contains(&rest).then(|| name.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_paths_and_soft_needs_from_those_after() {
        assert_eq!(name_of(Path::new("kernel/crypto/crc32c-generic.ko.zst")), Some("crc32c_generic".into()));
        assert_eq!(name_of(Path::new("modules.dep")), None);
        assert_eq!(pre("pre: crc32c libcrc32c post: x"), ["crc32c", "libcrc32c"]);
    }
}
