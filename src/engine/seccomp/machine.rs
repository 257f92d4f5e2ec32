//! The classic BPF machine, as the kernel runs it, and a profile read by hand: compiled filters are
//! held against both. Test code.

use super::compile::{compile, verdict};
use super::syscalls::{Abi, Numbers, X32_BIT};
use super::{For, Profile, default_for, profile};
use crate::kernel::seccomp::{self as bpf, Insn};
use nix::errno::Errno;
use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompOperator as Op, LinuxSyscall};
use proptest::prelude::*;

/// `struct seccomp_data` without the instruction pointer.
#[derive(Debug, Clone, Copy)]
struct Call {
    arch: u32,
    number: u32,
    args: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.arch,
            _ => {
                let (arg, half) = ((offset - 16) / 8, (offset - 16) % 8);
                (self.args[arg as usize] >> (half * 8)) as u32
            }
        }
    }
}

/// Runs a program; also how many instructions it took.
fn run(code: &[Insn], call: Call) -> (u32, usize) {
    let (mut at, mut word, mut steps) = (0, 0u32, 0);
    loop {
        let insn = code[at];
        at += 1;
        steps += 1;
        let branch = |holds: bool| usize::from(if holds { insn.jump_true } else { insn.jump_false });
        match insn.code {
            bpf::LOAD => word = call.word(insn.value),
            bpf::AND => word &= insn.value,
            bpf::JUMP => at += insn.value as usize,
            bpf::JUMP_EQUAL => at += branch(word == insn.value),
            bpf::JUMP_GREATER => at += branch(word > insn.value),
            bpf::JUMP_GREATER_EQUAL => at += branch(word >= insn.value),
            bpf::RETURN => return (insn.value, steps),
            other => panic!("the kernel has no instruction {other:#x}"),
        }
    }
}

fn holds(arg: &LinuxSeccompArg, args: &[u64; 6]) -> bool {
    let given = args[arg.index()];
    match arg.op() {
        Op::ScmpCmpEq => given == arg.value(),
        Op::ScmpCmpNe => given != arg.value(),
        Op::ScmpCmpLt => given < arg.value(),
        Op::ScmpCmpLe => given <= arg.value(),
        Op::ScmpCmpGt => given > arg.value(),
        Op::ScmpCmpGe => given >= arg.value(),
        Op::ScmpCmpMaskedEq => given & arg.value() == arg.value_two().unwrap_or(0),
    }
}

/// The profile as a person would read it.
fn by_hand(profile: &LinuxSeccomp, call: Call) -> u32 {
    let default = verdict(profile.default_action(), profile.default_errno_ret()).expect("valid");
    let listed: Vec<Abi> = profile.architectures().iter().flatten().filter_map(|a| Abi::from_oci(*a)).collect();
    let is_x32 = call.arch == Abi::X32.audit() && call.number & X32_BIT != 0 && call.number != u32::MAX;
    let abi = listed.iter().find(|abi| abi.audit() == call.arch && is_x32 == (**abi == Abi::X32));
    let Some(abi) = abi else { return bpf::KILL_PROCESS };
    let name = Numbers::of(*abi).iter().find(|(_, number)| *number == call.number).map(|(name, _)| name);
    let rules: Vec<&LinuxSyscall> = profile
        .syscalls()
        .iter()
        .flatten()
        .filter(|rule| rule.names().iter().any(|n| Some(n.as_str()) == name))
        .filter(|rule| verdict(rule.action(), rule.errno_ret()).expect("valid") != default)
        .collect();
    let says = |rule: &&LinuxSyscall| verdict(rule.action(), rule.errno_ret()).expect("valid");
    let args = |rule: &LinuxSyscall| rule.args().clone().unwrap_or_default();
    if let Some(rule) = rules.iter().find(|rule| args(rule).is_empty()) {
        return says(rule);
    }
    let fits = |rule: &&&LinuxSyscall| {
        let args = args(rule);
        let twice = args.iter().enumerate().any(|(at, a)| args[..at].iter().any(|b| a.index() == b.index()));
        if twice { args.iter().any(|a| holds(a, &call.args)) } else { args.iter().all(|a| holds(a, &call.args)) }
    };
    rules.iter().find(fits).map_or(default, says)
}

fn action() -> impl Strategy<Value = LinuxSeccompAction> {
    use LinuxSeccompAction::*;
    prop::sample::select(vec![
        ScmpActAllow, ScmpActErrno, ScmpActKillProcess, ScmpActKillThread, ScmpActTrap, ScmpActLog, ScmpActTrace, ScmpActNotify,
    ])
}

/// Few enough values that comparisons are often between equals, on either side of 32 bits.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        prop::sample::select(vec![0, 1, 2, 40, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, u64::MAX, 0x7e02_0000]),
        any::<u64>(),
    ]
}

fn arg() -> impl Strategy<Value = LinuxSeccompArg> {
    let op = prop::sample::select(vec![
        Op::ScmpCmpEq, Op::ScmpCmpNe, Op::ScmpCmpLt, Op::ScmpCmpLe, Op::ScmpCmpGt, Op::ScmpCmpGe, Op::ScmpCmpMaskedEq,
    ]);
    (0usize..6, word(), word(), op).prop_map(|(index, value, two, op)| {
        let arg = LinuxSeccompArgBuilder::default().index(index).value(value).value_two(two & value).op(op);
        arg.build().expect("nothing is missing")
    })
}

const NAMES: [&str; 12] = [
    "read", "write", "open", "clone", "clone3", "socket", "personality", "futex_waitv", "execve", "ioctl", "no_such_call", "sendmsg",
];

fn rule() -> impl Strategy<Value = LinuxSyscall> {
    let names = prop::collection::vec(prop::sample::select(NAMES.to_vec()), 1..4);
    (names, action(), prop::option::of(1u32..200), prop::collection::vec(arg(), 0..4)).prop_map(|(names, action, errno, args)| {
        let mut rule = LinuxSyscall::default();
        rule.set_names(names.into_iter().map(String::from).collect());
        rule.set_action(action);
        rule.set_errno_ret(errno);
        rule.set_args(Some(args));
        rule
    })
}

fn seccomp() -> impl Strategy<Value = LinuxSeccomp> {
    let arches = prop::sample::subsequence(vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32, Arch::ScmpArchAarch64], 1..=4)
        // x32 alone is no machine's: it comes with x86-64.
        .prop_map(|mut list| {
            if list.contains(&Arch::ScmpArchX32) && !list.contains(&Arch::ScmpArchX86_64) {
                list.push(Arch::ScmpArchX86_64);
            }
            list
        });
    (action(), arches, prop::collection::vec(rule(), 0..12)).prop_map(|(default, arches, rules)| {
        let mut profile = LinuxSeccomp::default();
        profile.set_default_action(default);
        profile.set_architectures(Some(arches));
        profile.set_syscalls(Some(rules));
        profile
    })
}

fn abi() -> impl Strategy<Value = Abi> {
    prop::sample::select(vec![Abi::X86_64, Abi::I386, Abi::X32, Abi::Aarch64])
}

fn call() -> impl Strategy<Value = Call> {
    let number = prop_oneof![
        4 => (abi(), prop::sample::select(NAMES.to_vec())).prop_map(|(abi, name)| Numbers::of(abi).get(name).unwrap_or(9999)),
        1 => 0u32..600,
        1 => prop::sample::select(vec![X32_BIT, X32_BIT | 520, X32_BIT - 1, u32::MAX, u32::MAX - 1]),
    ];
    let arch = prop_oneof![4 => abi().prop_map(Abi::audit), 1 => Just(0x4000_0028u32)];
    (arch, number, prop::array::uniform6(word())).prop_map(|(arch, number, args)| Call { arch, number, args })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn a_compiled_filter_says_what_the_profile_says(profile in seccomp(), calls in prop::collection::vec(call(), 40)) {
        let filter = compile(&profile).expect("valid");
        for call in calls {
            prop_assert_eq!(run(&filter.code, call).0, by_hand(&profile, call), "{:x?}", call);
        }
    }
}

fn ask(profile: &LinuxSeccomp, name: &str, args: [u64; 6]) -> u32 {
    let number = Numbers::of(Abi::X86_64).get(name).expect("x86-64 has it");
    run(&compile(profile).expect("valid").code, Call { arch: Abi::X86_64.audit(), number, args }).0
}

fn decided(capabilities: u64) -> LinuxSeccomp {
    Profile::parse(profile::DEFAULT).expect("ours").decide(For { capabilities, kernel: "6.1.0", abi: Abi::X86_64 }).expect("ours")
}

const EPERM: u32 = bpf::ERRNO | Errno::EPERM as u32;
const ENOSYS: u32 = bpf::ERRNO | Errno::ENOSYS as u32;

/// Facts from Docker's documentation, "Significant syscalls blocked by the default profile".
#[test]
fn the_default_profile_decides_as_docker_documents() {
    let profile = decided(crate::engine::defaults::capability_mask());
    let first = |value| [value, 0, 0, 0, 0, 0];
    for name in [
        "acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "create_module", "delete_module", "finit_module", "init_module",
        "ioperm", "iopl", "io_uring_setup", "io_uring_enter", "kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie",
        "mbind", "mount", "move_pages", "move_mount", "fsopen", "open_by_handle_at", "perf_event_open", "pivot_root", "quotactl",
        "reboot", "request_key", "set_mempolicy", "setns", "settimeofday", "swapon", "swapoff", "umount2", "unshare",
        "userfaultfd", "syslog", "vhangup", "nfsservctl", "_sysctl", "uselib", "ustat", "sysfs", "get_kernel_syms",
    ] {
        let denied = ask(&profile, name, [0; 6]);
        if name == "clock_adjtime" {
            assert_eq!(denied, bpf::ALLOW, "reading the clock's state needs no capability");
        } else {
            assert_eq!(denied, EPERM, "{name}");
        }
    }
    for name in ["read", "execve", "ptrace", "process_vm_readv", "chroot", "mknod", "futex", "seccomp", "arch_prctl", "landlock_restrict_self"] {
        assert_eq!(ask(&profile, name, [0; 6]), bpf::ALLOW, "{name}");
    }
    assert_eq!(ask(&profile, "clone3", [0; 6]), ENOSYS);
    for (family, verdict) in [(1, bpf::ALLOW), (2, bpf::ALLOW), (37, bpf::ALLOW), (38, EPERM), (39, bpf::ALLOW), (40, EPERM), (41, bpf::ALLOW)] {
        assert_eq!(ask(&profile, "socket", first(family)), verdict, "address family {family}");
    }
    for (persona, verdict) in [(0, bpf::ALLOW), (8, bpf::ALLOW), (0x20000, bpf::ALLOW), (0x20008, bpf::ALLOW), (0xffff_ffff, bpf::ALLOW), (0x0040_0000, EPERM)] {
        assert_eq!(ask(&profile, "personality", first(persona)), verdict, "{persona:#x}");
    }
    let thread = (libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND) as u64;
    assert_eq!(ask(&profile, "clone", first(thread)), bpf::ALLOW);
    for flag in [libc::CLONE_NEWNS, libc::CLONE_NEWUTS, libc::CLONE_NEWIPC, libc::CLONE_NEWUSER, libc::CLONE_NEWPID, libc::CLONE_NEWNET, libc::CLONE_NEWCGROUP] {
        assert_eq!(ask(&profile, "clone", first(thread | flag as u64)), EPERM, "{flag:#x}");
    }
}

#[test]
fn the_default_filter_is_short_and_quick() {
    let code = compile(&decided(0)).expect("ours").code;
    let numbers = Numbers::of(Abi::X86_64);
    let call = |number| Call { arch: Abi::X86_64.audit(), number, args: [0; 6] };
    let most = numbers.iter().map(|(_, number)| run(&code, call(number)).1).max();
    assert!(code.len() < 800, "{} instructions", code.len());
    assert!(most.is_some_and(|most| most < 40), "{most:?} instructions for one call");
}

#[test]
fn every_default_is_compiled_for_this_machine() {
    assert!(compile(&default_for(crate::kernel::caps::ALL, "6.18.44").expect("ours")).is_ok());
}
