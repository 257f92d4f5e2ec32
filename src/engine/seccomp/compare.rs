//! Conditions on a call's arguments as BPF (seccomp(2)).
//!
//! Mechanism: arguments have 64 bits, the machine's accumulator 32. A comparison looks at the high
//! words first, and at the low ones only where those are equal.
//! See it live: `strace -e clone sh -c true` under `skiff run`, with and without CAP_SYS_ADMIN.
//! Contract: pure; what comes out falls through when all conditions hold, and else skips one
//! instruction behind itself: the verdict.
//! Left out: comparing two arguments with each other, which no profile format can say.

use super::compile::{insn, jump};
use crate::kernel::seccomp::{self as bpf, Insn};
use oci_spec::runtime::{LinuxSeccompArg, LinuxSeccompOperator};

/// Where the arguments lie in `struct seccomp_data`.
const ARGS: u32 = 16;

/// The code that goes on if every condition holds.
pub fn all_hold(args: &[LinuxSeccompArg]) -> Vec<Insn> {
    let mut tests: Vec<Test> = args.iter().flat_map(tests).collect();
    let length = tests.len();
    for (at, test) in tests.iter_mut().enumerate() {
        // From here to behind the verdict. Six conditions have 36 instructions at most.
        test.resolve((length - at) as u8);
    }
    tests.into_iter().map(|test| test.insn).collect()
}

/// An instruction of a condition whose jumps may lead out of the rule.
struct Test {
    insn: Insn,
    fail_if_true: bool,
    fail_if_false: bool,
}

impl Test {
    fn plain(insn: Insn) -> Self {
        Self { insn, fail_if_true: false, fail_if_false: false }
    }

    /// Holds when the comparison does.
    fn want(code: u16, value: u32) -> Self {
        Self { insn: jump(code, value, 0, 0), fail_if_true: false, fail_if_false: true }
    }

    /// Holds when the comparison does not.
    fn refuse(code: u16, value: u32) -> Self {
        Self { insn: jump(code, value, 0, 0), fail_if_true: true, fail_if_false: false }
    }

    fn resolve(&mut self, out: u8) {
        if self.fail_if_true {
            self.insn.jump_true = out;
        }
        if self.fail_if_false {
            self.insn.jump_false = out;
        }
    }
}

/// One condition on a 64-bit argument, by a machine of 32 bits: the high word first.
fn tests(arg: &LinuxSeccompArg) -> Vec<Test> {
    use LinuxSeccompOperator as Op;
    let at = ARGS + 8 * arg.index() as u32;
    let (low_at, high_at) = if cfg!(target_endian = "little") { (at, at + 4) } else { (at + 4, at) };
    let (low, high) = (arg.value() as u32, (arg.value() >> 32) as u32);
    let load = |at| Test::plain(insn(bpf::LOAD, at));
    match arg.op() {
        Op::ScmpCmpEq => {
            vec![load(high_at), Test::want(bpf::JUMP_EQUAL, high), load(low_at), Test::want(bpf::JUMP_EQUAL, low)]
        }
        Op::ScmpCmpNe => vec![
            load(high_at),
            Test::plain(jump(bpf::JUMP_EQUAL, high, 0, 2)), // other high words: it holds already
            load(low_at),
            Test::refuse(bpf::JUMP_EQUAL, low),
        ],
        Op::ScmpCmpGe | Op::ScmpCmpGt => vec![
            load(high_at),
            Test::plain(jump(bpf::JUMP_GREATER, high, 3, 0)), // a greater high word: it holds already
            Test::want(bpf::JUMP_EQUAL, high),
            load(low_at),
            Test::want(if arg.op() == Op::ScmpCmpGe { bpf::JUMP_GREATER_EQUAL } else { bpf::JUMP_GREATER }, low),
        ],
        Op::ScmpCmpLt | Op::ScmpCmpLe => vec![
            load(high_at),
            Test::refuse(bpf::JUMP_GREATER, high),
            Test::plain(jump(bpf::JUMP_EQUAL, high, 0, 2)), // a lesser high word: it holds already
            load(low_at),
            Test::refuse(if arg.op() == Op::ScmpCmpLt { bpf::JUMP_GREATER_EQUAL } else { bpf::JUMP_GREATER }, low),
        ],
        Op::ScmpCmpMaskedEq => {
            let wanted = arg.value_two().unwrap_or(0);
            vec![
                load(high_at),
                Test::plain(insn(bpf::AND, high)),
                Test::want(bpf::JUMP_EQUAL, (wanted >> 32) as u32),
                load(low_at),
                Test::plain(insn(bpf::AND, low)),
                Test::want(bpf::JUMP_EQUAL, wanted as u32),
            ]
        }
    }
}
