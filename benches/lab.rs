//! Measures the lab beside a bare boot of the same kernel, by turns: `cargo bench --bench lab`.
//!
//! The bare boot has the options that the lab gives QEMU, and an init that prints one line: this very
//! program, which is static. Its time ends with that line; the lab's ends with the first output of a
//! command in it, so packing, the disk and the session are in it. `-- short` takes one turn only.
#![allow(clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
#[allow(unused)]
mod support;

use drydock::lab::cpio::{Archive, Node};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::vm::{self, Lab};

fn main() {
    if std::process::id() == 1 {
        return be_init();
    }
    if support::which("qemu-system-x86_64").is_none() || vm::kernel().is_none() {
        println!("not measured: the lab needs QEMU, and a kernel that tests/run fetches");
        return;
    }
    let turns = if std::env::args().any(|a| a == "short") { 1 } else { 7 };
    let lab = Lab::new();
    lab.start();
    let options = options_of(lab.processes()[1]);
    let boot_only = || lab.status().expect("it runs")["boot"].as_u64().expect("milliseconds");
    let mut figures = Figures::default();
    let initramfs = lab.room.path().join("bare");
    write_bare(&initramfs);
    for _ in 0..turns {
        support::stdout(&mut lab.command(&["stop"]));
        figures.bare.push(bare(&options, &initramfs));
        let begun = Instant::now();
        lab.start();
        figures.packed.push(begun.elapsed().saturating_sub(Duration::from_millis(boot_only())));
        support::stdout(&mut lab.command(&["stop"]));
        figures.lab.push(first_output(&mut lab.run(&["echo", "ready"])));
        // The last terminal ended it; `stop` waits until it has, and says no if it was quicker.
        let _ = lab.command(&["stop"]).output();
        lab.start();
    }
    figures.print();
    let disk = lab.room.path().join("drydock/lab/disk.img");
    let blocks = std::os::unix::fs::MetadataExt::blocks(&disk.metadata().expect("the lab has a disk"));
    println!("the lab's disk: {:.1} MiB (at most 100 MB)", blocks as f64 * 512.0 / f64::from(1 << 20));
}

#[derive(Default)]
struct Figures {
    bare: Vec<Duration>,
    lab: Vec<Duration>,
    packed: Vec<Duration>,
}

impl Figures {
    fn print(mut self) {
        let median = |all: &mut Vec<Duration>| {
            all.sort();
            all[all.len() / 2].as_secs_f64()
        };
        let (bare, lab, packed) = (median(&mut self.bare), median(&mut self.lab), median(&mut self.packed));
        println!("lab, typed to first output / bare QEMU boot to init's first line: {:.2} x ({lab:.2} / {bare:.2} s), at most 1.3 x", lab / bare);
        println!("of that, before QEMU starts (packing): {packed:.2} s, at most 1 s");
    }
}

/// Process 1 of the bare machine: one line, and off.
fn be_init() {
    let _ = std::io::stdout().write_all(b"up\n");
    let _ = nix::sys::reboot::reboot(nix::sys::reboot::RebootMode::RB_POWER_OFF);
}

fn write_bare(to: &Path) {
    let mut archive = Archive::new(std::fs::File::create(to).expect("the room is ours"));
    let own = std::fs::read(std::env::current_exe().expect("a program knows its file")).expect("it can be read");
    archive.add("dev/console", 0o600, Node::Device(5, 1)).expect("there is room");
    archive.add("init", 0o755, Node::File(&own)).expect("there is room");
    archive.finish().expect("there is room");
}

/// The command line of the lab's QEMU.
fn options_of(qemu: i32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{qemu}/cmdline")).expect("it runs");
    bytes.split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned()).filter(|w| !w.is_empty()).collect()
}

/// The same without the ports, with another initramfs, and the console on a pipe.
fn bare(options: &[String], initramfs: &Path) -> Duration {
    let mut command = Command::new(&options[0]);
    for pair in pairs(&options[1..]) {
        match pair {
            [flag, value] if value.contains("id=port") || value.starts_with("virtserialport") || flag == "-drive" => {}
            [flag, _] if flag == "-initrd" => drop(command.arg("-initrd").arg(initramfs)),
            [flag, value] if flag == "-append" => {
                let words = value.split(' ').map(|w| if w.starts_with("rdinit=") { "rdinit=/init" } else { w });
                command.args(["-append", &words.collect::<Vec<_>>().join(" ")]);
            }
            [_, value] if value.contains("id=console") => drop(command.args(["-chardev", "stdio,id=console,signal=off"])),
            other => drop(command.args(other)),
        }
    }
    first_output(&mut command)
}

/// An option with its value, or alone.
fn pairs(words: &[String]) -> Vec<&[String]> {
    let mut pairs = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let has_value = words.get(at + 1).is_some_and(|next| !next.starts_with('-'));
        let end = at + 1 + usize::from(has_value);
        pairs.push(&words[at..end]);
        at = end;
    }
    pairs
}

/// From its start to its first whole line that is none of the kernel's.
fn first_output(command: &mut Command) -> Duration {
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !["up", "ready"].contains(&line.trim()) {
        line.clear();
        assert!(lines.read_line(&mut line).expect("text") > 0, "it ended before its first line");
    }
    let took = begun.elapsed();
    let _ = lines.read_to_end(&mut Vec::new());
    assert!(child.wait().expect("our child").success());
    took
}
