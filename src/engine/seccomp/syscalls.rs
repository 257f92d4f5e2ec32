//! The numbers behind system calls' names, for each ABI that a filter must tell apart.
//!
//! Mechanism: `syscalls.txt`, a table of facts taken from the kernel's own.
//! See it live: `ausyscall --dump`, or `asm/unistd_64.h`.
//! Contract: pure; a name that an ABI has not got is `None` there.
//! Left out: every ABI but those of x86-64 and arm64 hosts; 32-bit ARM programs are refused.

use oci_spec::runtime::Arch;

/// A calling convention with numbers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Abi {
    /// 64-bit programs on x86-64.
    X86_64,
    /// 32-bit programs on x86-64.
    I386,
    /// 32-bit pointers in 64-bit mode: x86-64's own architecture value, numbers with bit 30 set.
    X32,
    /// 64-bit programs on arm64.
    Aarch64,
}

/// Bit 30 of the number marks an x32 call.
pub const X32_BIT: u32 = 0x4000_0000;

const TABLE: &str = include_str!("syscalls.txt");

impl Abi {
    /// The ABI this program itself was built for.
    pub const NATIVE: Self = if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 };

    /// What the kernel puts into `seccomp_data.arch` (linux/audit.h).
    pub fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::I386 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
        }
    }

    /// The ABI that an OCI architecture means; `None` for those this engine has no numbers of.
    pub fn from_oci(arch: Arch) -> Option<Self> {
        Some(match arch {
            Arch::ScmpArchNative => Self::NATIVE,
            Arch::ScmpArchX86_64 => Self::X86_64,
            Arch::ScmpArchX86 => Self::I386,
            Arch::ScmpArchX32 => Self::X32,
            Arch::ScmpArchAarch64 => Self::Aarch64,
            _ => return None,
        })
    }

    /// How Docker's profiles call the machine: Go's names.
    pub fn go_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::I386 => "x86",
            Self::X32 => "x32",
            Self::Aarch64 => "arm64",
        }
    }
}

/// Every name with its number in one ABI, sorted by name.
#[derive(Debug)]
pub struct Numbers(Vec<(&'static str, u32)>);

impl Numbers {
    /// Reads the table for one ABI.
    pub fn of(abi: Abi) -> Self {
        let rows = TABLE.lines().filter(|line| !line.starts_with('#'));
        let column = abi as usize;
        let bit = if abi == Abi::X32 { X32_BIT } else { 0 };
        Self(
            rows.filter_map(|row| {
                let mut fields = row.split(' ');
                let name = fields.next()?;
                Some((name, fields.nth(column)?.parse::<u32>().ok()? | bit))
            })
            .collect(),
        )
    }

    /// The number of a call.
    pub fn get(&self, name: &str) -> Option<u32> {
        let at = self.0.binary_search_by_key(&name, |(known, _)| known).ok()?;
        Some(self.0[at].1)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u32)> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_agrees_with_libc() {
        let native = Numbers::of(Abi::NATIVE);
        assert!(native.0.is_sorted_by_key(|(name, _)| *name));
        let known = [
            ("read", libc::SYS_read), ("clone", libc::SYS_clone), ("clone3", libc::SYS_clone3), ("bpf", libc::SYS_bpf),
            ("openat2", libc::SYS_openat2), ("mount", libc::SYS_mount), ("unshare", libc::SYS_unshare),
            ("keyctl", libc::SYS_keyctl), ("ptrace", libc::SYS_ptrace), ("socket", libc::SYS_socket),
            ("io_uring_setup", libc::SYS_io_uring_setup), ("statx", libc::SYS_statx), ("setns", libc::SYS_setns),
            ("newfstatat", libc::SYS_newfstatat), ("futex_waitv", libc::SYS_futex_waitv), ("mseal", libc::SYS_mseal),
            ("personality", libc::SYS_personality), ("pivot_root", libc::SYS_pivot_root), ("umount2", libc::SYS_umount2),
        ];
        for (name, number) in known {
            assert_eq!(native.get(name), Some(number as u32), "{name}");
        }
        assert_eq!(native.get("no_such_call"), None);
    }

    #[test]
    fn each_abi_has_its_own_numbers() {
        let number = |abi, name| Numbers::of(abi).get(name);
        assert_eq!(number(Abi::X86_64, "execve"), Some(59));
        assert_eq!(number(Abi::I386, "execve"), Some(11));
        assert_eq!(number(Abi::X32, "execve"), Some(X32_BIT | 520));
        assert_eq!(number(Abi::Aarch64, "execve"), Some(221));
        assert_eq!(number(Abi::Aarch64, "open"), None);
        assert_eq!(number(Abi::Aarch64, "mmap"), Some(222));
        assert_eq!(number(Abi::X86_64, "socketcall"), None);
        assert_eq!(number(Abi::I386, "socketcall"), Some(102));
    }
}
