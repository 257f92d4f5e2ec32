//! A VM and a container side by side, measured on this machine: what chapter 02 claims, checked.
//!
//! Each figure is read where the host's kernel keeps it: processes in /proc, memory as the
//! proportional set size of the processes that the one or the other costs (proc_pid_smaps(5)), disk
//! as blocks in use. Both sides run the same command, as a learner would: `skiff run` and
//! `drydock lab run`.

use super::{Error, Place, client};
use crate::kernel::OrSys;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// What was measured of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// `uname -r` inside.
    pub kernel: String,
    /// /proc/sys/kernel/random/boot_id inside.
    pub boot_id: String,
    /// From typing the command to its first output, in milliseconds.
    pub ready_ms: f64,
    /// Memory that the host has in use for it, in KiB.
    pub memory_kib: u64,
    /// Processes inside, by its own count.
    pub processes: usize,
    /// How many of the one that was marked the host sees: 1 or 0.
    pub seen: usize,
    /// On the host's disk, in bytes.
    pub disk: u64,
}

/// All that was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The host itself.
    pub host_kernel: String,
    /// Its boot.
    pub host_boot_id: String,
    /// How the VM's processor is made: `kvm` or `tcg`.
    pub acceleration: String,
    /// A container.
    pub container: Figures,
    /// A VM.
    pub vm: Figures,
}

/// What a shell inside says of itself, one fact a line, without starting anything that would be
/// counted; then it stays until its input ends.
const INSIDE: &str = "echo ready; read r </proc/sys/kernel/osrelease; echo $r; read b </proc/sys/kernel/random/boot_id; echo $b; set -- /proc/[0-9]*; echo $#; read wait";

/// Measures both. `drydock` and `skiff` are the programs; a lab that runs already is left running.
pub fn measure(place: &Place, drydock: &Path, skiff: &Path) -> Result<Comparison, Error> {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    place.make()?;
    // A root of its own, so that what it takes on the disk is one image and one container.
    let root = place.folder().join(format!("compare-{}", std::process::id()));
    let container = of_container(skiff, &root);
    let _ = std::fs::remove_dir_all(&root);
    let container = container?;
    let (vm, acceleration) = of_vm(place, drydock)?;
    Ok(Comparison { host_kernel: text("/proc/sys/kernel/osrelease"), host_boot_id: text("/proc/sys/kernel/random/boot_id"), acceleration, container, vm })
}

fn of_container(skiff: &Path, root: &Path) -> Result<Figures, Error> {
    let run = |more: &[&str]| {
        let mut command = Command::new(skiff);
        command.arg("--root").arg(root).args(["run", "--rm", "--network", "none"]).args(more);
        command
    };
    // The image is made at its first use, which is no part of the start of a container.
    let made = run(&["base", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).output().or_sys("run skiff")?;
    if !made.status.success() {
        return Err(Error::Keeper { problem: format!("skiff failed: {}", String::from_utf8_lossy(&made.stderr).trim().trim_start_matches("error: ")) });
    }
    let mark = mark("container");
    let staying = Staying::begin(run(&["-i", "base", "sh", "-c", INSIDE, &mark]))?;
    let mut figures = staying.figures.clone();
    figures.memory_kib = family(staying.child.id()).iter().map(|pid| pss(*pid)).sum();
    figures.seen = seen_inside(&mark);
    figures.disk = files(root);
    Ok(figures)
}

fn of_vm(place: &Place, drydock: &Path) -> Result<(Figures, String), Error> {
    let before = client::status(place);
    let mark = mark("vm");
    let mut command = Command::new(drydock);
    command.args(["lab", "run", "--", "sh", "-c", INSIDE, &mark]);
    // Its input ends with us, and the lab with it, unless it ran before.
    let staying = Staying::begin(command)?;
    let mut figures = staying.figures.clone();
    let status = client::status(place).ok_or(Error::Ended)?;
    if before.is_some() {
        figures.ready_ms += status.boot as f64;
    }
    figures.memory_kib = [status.keeper, status.qemu].iter().map(|pid| pss(*pid)).sum();
    figures.seen = seen_inside(&mark);
    figures.disk = super::disk_taken(place) + status.packed;
    Ok((figures, status.acceleration))
}

/// A word on the command line of the one process that is looked for on the host.
fn mark(kind: &str) -> String {
    format!("drydock-compare-{kind}-{}", std::process::id())
}

/// A shell that has said what it is, and waits for its input to end.
struct Staying {
    child: Child,
    figures: Figures,
}

impl Staying {
    fn begin(mut command: Command) -> Result<Self, Error> {
        let shown = command.get_program().to_string_lossy().into_owned();
        let begun = Instant::now();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().or_sys_with(|| format!("run {shown}"))?;
        let mut lines = BufReader::new(child.stdout.take().ok_or(Error::Ended)?).lines().map_while(Result::ok);
        let ready = lines.next().is_some_and(|line| line == "ready");
        let took = begun.elapsed();
        if !ready {
            let said = child.wait_with_output().map(|o| String::from_utf8_lossy(&o.stderr).into_owned()).unwrap_or_default();
            let first = said.lines().find(|l| l.starts_with("error: ")).unwrap_or_default().trim_start_matches("error: ").to_owned();
            return Err(Error::Keeper { problem: format!("{shown} failed: {first}") });
        }
        let mut next = || lines.next().unwrap_or_default();
        let figures = Figures { kernel: next(), boot_id: next(), processes: next().parse().unwrap_or(0), ready_ms: took.as_secs_f64() * 1000.0, ..Figures::default() };
        Ok(Self { child, figures })
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// How many processes with this word the host sees that are in a PID namespace below its own: those
/// that only asked for one are in ours.
fn seen_inside(mark: &str) -> usize {
    let depth = |pid: &str| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().find_map(|l| l.strip_prefix("NSpid:")).map_or(0, |l| l.split_whitespace().count())
    };
    let own = depth("self");
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    let marked = |pid: &String| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.split(|b| *b == 0).any(|word| word == mark.as_bytes()));
    entries.filter(|name| name.bytes().all(|b| b.is_ascii_digit())).filter(marked).filter(|pid| depth(pid) > own).count()
}

/// A process and all that descend from it.
fn family(first: u32) -> Vec<u32> {
    let mut found = vec![first];
    let mut at = 0;
    while at < found.len() {
        let children = format!("/proc/{0}/task/{0}/children", found[at]);
        let text = std::fs::read_to_string(children).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|p| p.parse::<u32>().ok()));
        at += 1;
    }
    found
}

/// Proportional set size, in KiB: shared pages count by halves, thirds …
fn pss(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("Pss:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0)
}

/// Bytes in use below a folder.
fn files(folder: &Path) -> u64 {
    let mut sum = 0;
    let mut left = vec![PathBuf::from(folder)];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(m) if m.is_dir() => left.push(entry.path()),
                Ok(m) => sum += m.blocks() * 512,
                Err(_) => {}
            }
        }
    }
    sum
}
