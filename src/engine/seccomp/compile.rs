//! An OCI `linux.seccomp` as a program of the classic BPF machine (seccomp(2), bpf in networking/filter).
//!
//! Mechanism: the kernel runs the program over `struct seccomp_data { nr, arch, ip, args[6] }` at
//! each system call. A list of three hundred comparisons would cost each call a microsecond; so
//! neighbours with the same verdict become ranges, and the ranges a binary search.
//! See it live: `drgn`/`bpftool` show a filter's code; `skiff run --dry-run` says how long it is.
//! Contract: pure. A call's first rule that fits decides; one without conditions comes before any
//! with; rules that say what the default says anyway are passed over, as runc does; several
//! conditions on one argument are alternatives, as runc reads them.
//! Left out: libseccomp's attributes, and translating one ABI's calls into another's
//! (socketcall(2) is decided as itself).

use super::syscalls::{Abi, Numbers};
use super::{Error, Filter, compare};
use crate::kernel::seccomp::{self as bpf, Insn};
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSyscall};
use std::collections::BTreeMap;

/// A call's rules in order: conditions that must all hold, and the verdict then.
type Rules = Vec<(Vec<LinuxSeccompArg>, u32)>;

/// What is decided about a run of numbers: a verdict, or rules and a verdict if none fits.
#[derive(Debug, Clone, PartialEq)]
enum Decision {
    Verdict(u32),
    Rules(Rules),
}

/// Compiles a decided profile.
pub fn compile(profile: &LinuxSeccomp) -> Result<Filter, Error> {
    let default = verdict(profile.default_action(), profile.default_errno_ret())?;
    let mut abis: Vec<Abi> = profile.architectures().iter().flatten().filter_map(|arch| Abi::from_oci(*arch)).collect();
    if abis.is_empty() {
        abis.push(Abi::NATIVE);
    }
    abis.sort_unstable();
    abis.dedup();
    let calls = profile.syscalls().as_deref().unwrap_or_default();
    let rules = calls.iter().map(|call| rules_of(call, default)).collect::<Result<Vec<_>, _>>()?;

    let mut code = vec![insn(bpf::LOAD, ARCH)];
    // x32 has x86-64's value and is told apart by the number, so the two share a section.
    for abi in abis.iter().filter(|abi| **abi != Abi::X32 || !abis.contains(&Abi::X86_64)) {
        let mut section = vec![insn(bpf::LOAD, NUMBER)];
        let mut numbers = BTreeMap::new();
        let family = [*abi, Abi::X32].into_iter().filter(|a| a == abi || (*abi == Abi::X86_64 && abis.contains(a)));
        family.for_each(|abi| collect(calls, &rules, abi, &mut numbers));
        section.extend(search(&ranges(numbers, default, edges(*abi, &abis)), default)?);
        // Not this architecture: past the section, which is longer than a conditional jump reaches.
        code.push(jump(bpf::JUMP_EQUAL, abi.audit(), 1, 0));
        code.push(insn(bpf::JUMP, section.len() as u32));
        code.extend(section);
    }
    code.push(insn(bpf::RETURN, bpf::KILL_PROCESS));
    if code.len() > LONGEST {
        return Err(Error::TooLong(code.len()));
    }
    let notifies = code.iter().any(|i| i.code == bpf::RETURN && i.value == bpf::USER_NOTIF);
    Ok(Filter { code, flags: flags(profile, notifies) })
}

/// The kernel's BPF_MAXINSNS.
const LONGEST: usize = 4096;
/// Offsets into `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;

pub(super) fn insn(code: u16, value: u32) -> Insn {
    Insn { code, jump_true: 0, jump_false: 0, value }
}

pub(super) fn jump(code: u16, value: u32, jump_true: u8, jump_false: u8) -> Insn {
    Insn { code, jump_true, jump_false, value }
}

/// An action as the kernel's return value.
pub(super) fn verdict(action: LinuxSeccompAction, data: Option<u32>) -> Result<u32, Error> {
    use LinuxSeccompAction as Action;
    let data = data.unwrap_or(nix::errno::Errno::EPERM as u32);
    if data > 0xffff {
        return Err(Error::Profile(format!("errnoRet is {data}; the kernel has 16 bits for it")));
    }
    Ok(match action {
        Action::ScmpActKill | Action::ScmpActKillThread => bpf::KILL_THREAD,
        Action::ScmpActKillProcess => bpf::KILL_PROCESS,
        Action::ScmpActTrap => bpf::TRAP,
        Action::ScmpActErrno => bpf::ERRNO | data,
        Action::ScmpActNotify => bpf::USER_NOTIF,
        Action::ScmpActTrace => bpf::TRACE | data,
        Action::ScmpActLog => bpf::LOG,
        Action::ScmpActAllow => bpf::ALLOW,
    })
}

/// One entry's rules: none if it repeats the default.
fn rules_of(call: &LinuxSyscall, default: u32) -> Result<Rules, Error> {
    let verdict = verdict(call.action(), call.errno_ret())?;
    let args = call.args().clone().unwrap_or_default();
    if let Some(arg) = args.iter().find(|arg| arg.index() > 5) {
        return Err(Error::Profile(format!("{} has no argument {}; the first is 0 and the last 5", call.names().join(", "), arg.index())));
    }
    if verdict == default {
        return Ok(Vec::new());
    }
    let twice = args.iter().enumerate().any(|(at, arg)| args[..at].iter().any(|other| other.index() == arg.index()));
    Ok(if twice { args.into_iter().map(|arg| (vec![arg], verdict)).collect() } else { vec![(args, verdict)] })
}

/// Adds one ABI's numbers. A name that it has not got is passed over: profiles name calls of all.
fn collect(calls: &[LinuxSyscall], rules: &[Rules], abi: Abi, numbers: &mut BTreeMap<u32, Rules>) {
    let known = Numbers::of(abi);
    for (call, rules) in calls.iter().zip(rules).filter(|(_, rules)| !rules.is_empty()) {
        for number in call.names().iter().filter_map(|name| known.get(name)) {
            numbers.entry(number).or_default().extend(rules.iter().cloned());
        }
    }
}

/// Where numbers end that mean something: on x86-64, x32's begin at bit 30, and are another ABI's.
fn edges(abi: Abi, abis: &[Abi]) -> Option<u32> {
    (abi == Abi::X86_64 && !abis.contains(&Abi::X32)).then_some(super::syscalls::X32_BIT)
}

/// All numbers from 0 as runs of the same decision, each by its first number.
fn ranges(numbers: BTreeMap<u32, Rules>, default: u32, foreign_from: Option<u32>) -> Vec<(u32, Decision)> {
    let mut list: Vec<(u32, Decision)> = vec![(0, Decision::Verdict(default))];
    let mut push = |from: u32, decision: Decision| {
        if list.last().is_some_and(|(last, _)| *last == from) {
            list.pop();
        }
        if list.last().is_none_or(|(_, last)| *last != decision) {
            list.push((from, decision));
        }
    };
    let mut next = 0;
    for (number, rules) in numbers {
        if number > next {
            push(next, Decision::Verdict(default));
        }
        let always = rules.iter().find(|(args, _)| args.is_empty()).map(|(_, verdict)| *verdict);
        push(number, always.map_or(Decision::Rules(rules), Decision::Verdict));
        next = number + 1;
    }
    push(next, Decision::Verdict(default));
    if let Some(from) = foreign_from {
        push(from, Decision::Verdict(bpf::KILL_PROCESS));
        // A tracer that skips a call sets its number to -1, which is nobody's.
        push(u32::MAX, Decision::Verdict(default));
    }
    list
}

/// Binary search: half of the ranges follow at once, the other half after them.
fn search(ranges: &[(u32, Decision)], default: u32) -> Result<Vec<Insn>, Error> {
    match ranges {
        [] => Ok(vec![insn(bpf::RETURN, default)]),
        [(_, Decision::Verdict(verdict))] => Ok(vec![insn(bpf::RETURN, *verdict)]),
        [(_, Decision::Rules(rules))] => rule_chain(rules, default),
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            let (below, above) = (search(low, default)?, search(high, default)?);
            let mut code = match u8::try_from(below.len()) {
                Ok(length) => vec![jump(bpf::JUMP_GREATER_EQUAL, high[0].0, length, 0)],
                Err(_) => vec![jump(bpf::JUMP_GREATER_EQUAL, high[0].0, 0, 1), insn(bpf::JUMP, below.len() as u32)],
            };
            code.extend(below);
            code.extend(above);
            Ok(code)
        }
    }
}

/// One after the other, each leaving for the next as soon as a condition fails.
fn rule_chain(rules: &Rules, default: u32) -> Result<Vec<Insn>, Error> {
    let mut code = Vec::new();
    for (args, verdict) in rules {
        code.extend(compare::all_hold(args));
        code.push(insn(bpf::RETURN, *verdict));
    }
    code.push(insn(bpf::RETURN, default));
    Ok(code)
}

fn flags(profile: &LinuxSeccomp, notifies: bool) -> u32 {
    use LinuxSeccompFilterFlag as Flag;
    let named = profile.flags().iter().flatten().map(|flag| match flag {
        Flag::SeccompFilterFlagLog => bpf::FLAG_LOG,
        Flag::SeccompFilterFlagTsync => bpf::FLAG_TSYNC,
        Flag::SeccompFilterFlagSpecAllow => bpf::FLAG_SPEC_ALLOW,
        Flag::SeccompFilterFlagWaitKillableRecv => bpf::FLAG_WAIT_KILLABLE,
    });
    named.fold(if notifies { bpf::FLAG_NEW_LISTENER } else { 0 }, |all, flag| all | flag)
}
