//! Which device nodes the processes of a cgroup may use (cgroup-v1 "devices", cgroup-v2 "Device
//! controller", bpf(2)).
//!
//! Mechanism: v1 has `devices.deny` and `devices.allow`. v2 asks a BPF program of type
//! BPF_PROG_TYPE_CGROUP_DEVICE at each mknod(2) and open(2) of a node; this file writes one from the
//! rules, loads it and attaches it to the cgroup's directory.
//! See it live: `cat /sys/fs/cgroup/devices/skiff/ID/devices.list`, `bpftool cgroup show DIR`.
//! Contract: of several rules that fit, the last one counts; what no rule names stays allowed.
//! Left out: replacing the program of a running container, as runc's `update` does.

#![allow(unsafe_code)]

use super::group::{Cgroup, write_file};
use super::{Controller, Error};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What kind of node a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Every node.
    All,
    /// Character devices.
    Char,
    /// Block devices.
    Block,
}

/// One rule; `None` stands for every number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Allows, or denies.
    pub allow: bool,
    /// Which nodes.
    pub kind: Kind,
    /// Their major number.
    pub major: Option<u32>,
    /// Their minor number.
    pub minor: Option<u32>,
    /// Some of [`READ`], [`WRITE`] and [`MKNOD`].
    pub access: u32,
}

/// Making the node (`m`); the kernel's BPF_DEVCG_ACC_MKNOD.
pub const MKNOD: u32 = 1;
/// Opening it for reading (`r`).
pub const READ: u32 = 2;
/// Opening it for writing (`w`).
pub const WRITE: u32 = 4;

impl Rule {
    /// The access behind letters such as `rwm`; letters that mean nothing are `None`.
    pub fn access(letters: &str) -> Option<u32> {
        letters.chars().try_fold(0, |access, letter| {
            Some(access | match letter {
                'r' => READ,
                'w' => WRITE,
                'm' => MKNOD,
                _ => return None,
            })
        })
    }

    /// As v1's files spell it: `c 1:3 rwm`.
    pub fn v1_text(&self) -> String {
        let number = |n: Option<u32>| n.map_or("*".to_string(), |n| n.to_string());
        let kind = match self.kind {
            Kind::All => "a",
            Kind::Char => "c",
            Kind::Block => "b",
        };
        let letters: String = [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')]
            .into_iter()
            .filter(|(bit, _)| self.access & bit != 0)
            .map(|(_, letter)| letter)
            .collect();
        format!("{kind} {}:{} {letters}", number(self.major), number(self.minor))
    }

    fn is_everything(&self) -> bool {
        self.kind == Kind::All && self.major.is_none() && self.minor.is_none()
    }
}

impl Cgroup {
    /// Makes the kernel hold this cgroup's processes to `rules`.
    ///
    /// # Errors
    /// [`Error::NoBpf`] when v2's program may not be loaded; then CAP_MKNOD must go instead.
    pub fn allow_devices(&self, rules: &[Rule]) -> Result<(), Error> {
        if let Some(at) = self.directory(Controller::Devices) {
            for rule in rules {
                let file = at.join(if rule.allow { "devices.allow" } else { "devices.deny" });
                let text = if rule.is_everything() { "a".to_string() } else { rule.v1_text() };
                write_file(&file, &text)?;
            }
            return Ok(());
        }
        let Some(at) = self.unified() else {
            let (what, controller) = ("devices", Controller::Devices);
            return Err(Error::NoController { what, controller, at: self.name().to_string() });
        };
        let directory = File::open(at).or_sys_with(|| format!("open {}", at.display()))?;
        match load(&program(rules)).and_then(|program| attach(&program, &directory)) {
            Err(error) if matches!(error.errno, Errno::EPERM | Errno::EACCES) => Err(Error::NoBpf(at.into())),
            done => Ok(done?),
        }
    }
}

/// One instruction of the kernel's eBPF machine (bpf(2), `struct bpf_insn`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Insn {
    code: u8,
    registers: u8,
    offset: i16,
    value: i32,
}

const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xb7;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const JUMP: u8 = 0x05;
const JUMP_IF_NOT_EQUAL: u8 = 0x55;
const JUMP_IF_SET: u8 = 0x45;
const EXIT: u8 = 0x95;

/// Registers: the answer, the context, then what is taken from it.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

fn insn(code: u8, to: u8, from: u8, offset: i16, value: i32) -> Insn {
    // The two registers share a byte; which half comes first follows the machine's byte order.
    let registers = if cfg!(target_endian = "little") { from << 4 | to } else { to << 4 | from };
    Insn { code, registers, offset, value }
}

/// The rules as a program: the last rule is tried first, the first that fits answers.
fn program(rules: &[Rule]) -> Vec<Insn> {
    // struct bpf_cgroup_dev_ctx { u32 access_type (access << 16 | kind), major, minor }
    let mut code = vec![
        insn(LOAD_WORD, KIND, CONTEXT, 0, 0),
        insn(LOAD_WORD, ACCESS, CONTEXT, 0, 0),
        insn(AND, KIND, 0, 0, 0xffff),
        insn(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        insn(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        insn(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules.iter().rev() {
        let answer = rule_code(rule);
        let always = answer.len() == 2;
        code.extend(answer);
        if always {
            // It fits every access: the kernel refuses a program that goes on where nothing gets to.
            return code;
        }
    }
    code.extend([insn(MOVE, ANSWER, 0, 0, 1), insn(EXIT, 0, 0, 0, 0)]);
    code
}

/// One rule: tests that jump past its end, then its answer.
fn rule_code(rule: &Rule) -> Vec<Insn> {
    let mut tests = Vec::new();
    match rule.kind {
        Kind::All => {}
        Kind::Block => tests.push(insn(JUMP_IF_NOT_EQUAL, KIND, 0, 0, 1)),
        Kind::Char => tests.push(insn(JUMP_IF_NOT_EQUAL, KIND, 0, 0, 2)),
    }
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        if let Some(number) = number {
            tests.push(insn(JUMP_IF_NOT_EQUAL, register, 0, 0, number as i32));
        }
    }
    let (all, access) = (READ | WRITE | MKNOD, rule.access & (READ | WRITE | MKNOD));
    if rule.allow && access != all {
        // An open for reading and writing is allowed only where both are.
        tests.push(insn(JUMP_IF_SET, ACCESS, 0, 0, (all & !access) as i32));
    } else if !rule.allow && access != all {
        // It is denied where either is: hop over the jump away.
        tests.push(insn(JUMP_IF_SET, ACCESS, 0, 1, access as i32));
        tests.push(insn(JUMP, 0, 0, 0, 0));
    }
    let length = tests.len();
    for (at, test) in tests.iter_mut().enumerate() {
        if test.offset == 0 {
            test.offset = (length - at - 1 + 2) as i16;
        }
    }
    tests.extend([insn(MOVE, ANSWER, 0, 0, rule.allow.into()), insn(EXIT, 0, 0, 0, 0)]);
    tests
}

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
/// Programs of the cgroups above stay in force beside this one.
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The part of `union bpf_attr` that loading reads.
#[repr(C)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

/// The part of it that attaching reads.
#[repr(C)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

fn load(code: &[Insn]) -> Result<OwnedFd, SysError> {
    let attr = LoadAttr {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: code.len() as u32,
        insns: code.as_ptr() as u64,
        license: c"MIT".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
    };
    // SAFETY: the attributes and what they point to outlive the call, and the size is theirs.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const attr, size_of::<LoadAttr>()) };
    let fd = Errno::result(fd).or_sys("load the device rules into the kernel")?;
    // SAFETY: the kernel has just made this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn attach(program: &OwnedFd, directory: &File) -> Result<(), SysError> {
    let attr = AttachAttr {
        target_fd: directory.as_raw_fd() as u32,
        attach_bpf_fd: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: the attributes outlive the call, and the size is theirs.
    let done = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const attr, size_of::<AttachAttr>()) };
    Errno::result(done).or_sys("attach the device rules to the cgroup").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs the program as the kernel's machine does; 64-bit registers, of which these rules use the low half.
    fn run(code: &[Insn], kind: u32, access: u32, major: u32, minor: u32) -> bool {
        let (mut registers, mut at) = ([0u32; 6], 0usize);
        loop {
            let insn = code[at];
            at += 1;
            let to = (insn.registers & 15) as usize;
            let value = insn.value as u32;
            let mut jump_if = |holds: bool| at += if holds { insn.offset as usize } else { 0 };
            match insn.code {
                LOAD_WORD => registers[to] = [access << 16 | kind, major, minor][insn.offset as usize / 4],
                MOVE => registers[to] = value,
                AND => registers[to] &= value,
                SHIFT_RIGHT => registers[to] >>= value,
                JUMP => jump_if(true),
                JUMP_IF_NOT_EQUAL => jump_if(registers[to] != value),
                JUMP_IF_SET => jump_if(registers[to] & value != 0),
                EXIT => return registers[0] == 1,
                other => panic!("not an instruction: {other:#x}"),
            }
        }
    }

    fn by_hand(rules: &[Rule], kind: u32, access: u32, major: u32, minor: u32) -> bool {
        let fits = |rule: &&Rule| {
            let kind_fits = match rule.kind {
                Kind::All => true,
                Kind::Block => kind == 1,
                Kind::Char => kind == 2,
            };
            let number_fits = rule.major.is_none_or(|n| n == major) && rule.minor.is_none_or(|n| n == minor);
            let access_fits = if rule.allow { access & !rule.access == 0 } else { access & rule.access != 0 };
            kind_fits && number_fits && access_fits
        };
        rules.iter().rev().find(fits).is_none_or(|rule| rule.allow)
    }

    fn rule() -> impl Strategy<Value = Rule> {
        let kind = prop::sample::select(vec![Kind::All, Kind::Char, Kind::Block]);
        (any::<bool>(), kind, prop::option::of(0u32..4), prop::option::of(0u32..4), 1u32..8)
            .prop_map(|(allow, kind, major, minor, access)| Rule { allow, kind, major, minor, access })
    }

    proptest! {
        #[test]
        fn the_program_decides_as_the_rules_say(rules in prop::collection::vec(rule(), 0..6)) {
            let code = program(&rules);
            for (kind, access, major, minor) in (1..3).flat_map(|k| (1..8).flat_map(move |a| (0..4).flat_map(move |x| (0..4).map(move |y| (k, a, x, y))))) {
                prop_assert_eq!(run(&code, kind, access, major, minor), by_hand(&rules, kind, access, major, minor));
            }
        }
    }

    #[test]
    fn rules_are_spelled_as_v1_reads_them() {
        let rule = Rule { allow: true, kind: Kind::Char, major: Some(136), minor: None, access: READ | WRITE | MKNOD };
        assert_eq!(rule.v1_text(), "c 136:* rwm");
        assert_eq!(Rule::access("mr"), Some(MKNOD | READ));
        assert_eq!(Rule::access("rx"), None);
    }
}
