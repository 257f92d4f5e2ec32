//! The default filter, installed and asked: what a container's process hears from the kernel.
//!
//! A filter can never be taken off again, so this binary starts itself once more for it. Each call
//! has arguments with which it could do no harm if it were let through: the kernel would then
//! answer with the errno of the second column.
#![allow(unsafe_code, clippy::print_stdout)]

mod support;

use drydock::engine::defaults;
use drydock::engine::seccomp::{Filter, compile, default_for};
use drydock::kernel::seccomp;
use nix::errno::Errno;
use std::process::Command;

const ROLE: &str = "DRYDOCK_SECCOMP_ROLE";

/// A call, its arguments, and what it answers under the filter: an errno's number, 0 for success.
type Asked = (&'static str, libc::c_long, [u64; 5], i32);

const EPERM: i32 = Errno::EPERM as i32;

/// Without a filter, in the same order: EFAULT, EINVAL, EBADF, ENOTSUP and their like.
fn table() -> Vec<Asked> {
    let none = [0u64; 5];
    let first = |value: i32| [value as u64, 0, 0, 0, 0];
    let own_mounts = (libc::CLONE_NEWNS | libc::CLONE_FS) as u64;
    vec![
        ("unshare", libc::SYS_unshare, first(libc::CLONE_NEWUTS), EPERM),
        ("mount", libc::SYS_mount, none, EPERM),
        ("umount2", libc::SYS_umount2, none, EPERM),
        ("setns", libc::SYS_setns, first(-1), EPERM),
        ("keyctl", libc::SYS_keyctl, first(9999), EPERM),
        ("add_key", libc::SYS_add_key, none, EPERM),
        ("bpf", libc::SYS_bpf, first(9999), EPERM),
        ("perf_event_open", libc::SYS_perf_event_open, none, EPERM),
        ("io_uring_setup", libc::SYS_io_uring_setup, none, EPERM),
        ("userfaultfd", libc::SYS_userfaultfd, first(-1), EPERM),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, first(-1), EPERM),
        ("fsopen", libc::SYS_fsopen, none, EPERM),
        ("move_pages", libc::SYS_move_pages, first(-1), EPERM),
        ("clone with CLONE_NEWNS", libc::SYS_clone, [own_mounts, 0, 0, 0, 0], EPERM),
        ("clone3", libc::SYS_clone3, none, Errno::ENOSYS as i32),
        ("socket AF_VSOCK", libc::SYS_socket, [40, 1, 0, 0, 0], EPERM),
        ("socket AF_ALG", libc::SYS_socket, [38, 5, 0, 0, 0], EPERM),
        ("socket AF_UNIX", libc::SYS_socket, [1, 1, 0, 0, 0], 0),
        ("personality ADDR_NO_RANDOMIZE", libc::SYS_personality, first(0x0004_0000), EPERM),
        ("personality PER_LINUX", libc::SYS_personality, none, 0),
        ("ptrace", libc::SYS_ptrace, [9999, u64::MAX, 0, 0, 0], Errno::ESRCH as i32),
        ("chroot", libc::SYS_chroot, none, Errno::EFAULT as i32),
        ("no such call", 100_000, none, EPERM),
    ]
}

fn ask((_, number, args, _): &Asked) -> i32 {
    let [a, b, c, d, e] = *args;
    // SAFETY: no argument is a valid pointer, so that the kernel reads and writes nothing of ours.
    let answer = unsafe { libc::syscall(*number, a, b, c, d, e) };
    if answer < 0 { Errno::last_raw() } else { 0 }
}

/// Not a test of its own: what the others start under a filter.
#[test]
fn role() {
    match std::env::var(ROLE).as_deref() {
        Ok("default") => {
            let profile = default_for(defaults::capability_mask(), "6.1.0").expect("our own");
            install(&compile(&profile).expect("our own"));
            for asked in table() {
                println!("heard {} {}", asked.0, ask(&asked));
            }
        }
        Ok("without no_new_privs") => {
            drydock::kernel::caps::set(0, 0, 0).expect("lowers");
            let filter = compile(&default_for(0, "6.1.0").expect("our own")).expect("our own");
            let refused = seccomp::install(&filter.code, filter.flags).map(|_| ()).map_err(|e| e.errno);
            println!("heard {refused:?}");
        }
        Ok("twice") => {
            let filter = compile(&default_for(0, "6.1.0").expect("our own")).expect("our own");
            install(&filter);
            install(&filter);
            let status = std::fs::read_to_string("/proc/thread-self/status").expect("procfs");
            status.lines().filter(|l| l.starts_with("Seccomp")).for_each(|line| println!("heard {line}"));
        }
        _ => {}
    }
}

fn install(filter: &Filter) {
    nix::sys::prctl::set_no_new_privs().expect("anyone may");
    seccomp::install(&filter.code, filter.flags).expect("with no_new_privs anyone may");
}

/// What the child heard, line by line.
fn heard(role: &str) -> Vec<String> {
    let output = Command::new("/proc/self/exe")
        .args(["--exact", "role", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .output()
        .expect("this binary starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().filter_map(|line| Some(line.split_once("heard ")?.1.to_string())).collect()
}

#[test]
fn each_call_is_answered_as_dockers_default_profile_answers_it() {
    let expected: Vec<String> = table().iter().map(|(name, .., errno)| format!("{name} {errno}")).collect();
    assert_eq!(heard("default"), expected);
}

/// Otherwise the table above would prove nothing.
#[test]
fn without_the_filter_the_same_calls_are_answered_otherwise() {
    let of_the_filter = [EPERM, Errno::ENOSYS as i32];
    for asked in table().iter().filter(|asked| asked.3 == EPERM) {
        // These take effect if they are let through, or are refused to an ordinary user anyway.
        if ["unshare", "personality ADDR_NO_RANDOMIZE", "no such call", "mount", "umount2", "setns", "bpf", "io_uring_setup", "fsopen"].contains(&asked.0)
            || asked.0.starts_with("socket")
        {
            continue;
        }
        assert!(!of_the_filter.contains(&ask(asked)), "{}", asked.0);
    }
}

#[test]
fn without_privilege_and_without_no_new_privs_the_kernel_says_eacces() {
    assert_eq!(heard("without no_new_privs"), ["Err(EACCES)"]);
}

#[test]
fn filters_add_up() {
    assert_eq!(heard("twice"), ["Seccomp:\t2", "Seccomp_filters:\t2"]);
}
