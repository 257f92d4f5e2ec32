//! A VM and a container side by side, measured on this machine: what chapter 02 claims, checked.
//!
//! Each figure is read where the host's kernel keeps it: processes in /proc, memory as the
//! proportional set size of the processes that the one or the other costs (proc_pid_smaps(5)), disk
//! as blocks in use. Both sides run the same command, as a learner would: `skiff run` and
//! `drydock lab run`.

use super::{Error, Place, client};
use crate::kernel::OrSys;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
    /// How many of those the host sees.
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

/// What the command inside says of itself, one fact a line; then it stays for a while.
const INSIDE: &str = "uname -r; cat /proc/sys/kernel/random/boot_id; ls /proc | grep -c '^[0-9]'";

/// Measures both. `drydock` and `skiff` are the programs; a lab that runs already is left running.
pub fn measure(place: &Place, drydock: &Path, skiff: &Path) -> Result<Comparison, Error> {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    place.make()?;
    // A root of its own, so that what it takes on the disk is one image and one container.
    let root = place.folder().join(format!("compare-{}", std::process::id()));
    let container = of_container(skiff, &root);
    let _ = std::fs::remove_dir_all(&root);
    let container = container?;
    let ran = client::status(place).is_some();
    let (vm, acceleration) = of_vm(place, drydock)?;
    if !ran {
        client::stop(place);
    }
    Ok(Comparison { host_kernel: text("/proc/sys/kernel/osrelease"), host_boot_id: text("/proc/sys/kernel/random/boot_id"), acceleration, container, vm })
}

fn of_container(skiff: &Path, root: &Path) -> Result<Figures, Error> {
    let run = |more: &[&str]| {
        let mut command = Command::new(skiff);
        command.arg("--root").arg(root).args(["run", "--rm", "--network", "none"]).args(more);
        command
    };
    // The image is made at its first use, which is no part of the start of a container.
    first_output(&mut run(&["base", "true"]))?;
    let (took, said) = first_output(&mut run(&["base", "sh", "-c", &format!("echo ready; {INSIDE}")]))?;
    let mut figures = told(&said, took);
    let mut staying = run(&["-i", "base", "sh", "-c", "echo ready; read wait"]);
    let mut child = staying.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().or_sys("run skiff")?;
    let mut first = [0; 6];
    let ready = child.stdout.as_mut().is_some_and(|out| out.read_exact(&mut first).is_ok());
    let family = family(child.id());
    figures.memory_kib = family.iter().map(|pid| pss(*pid)).sum();
    // The family's first is the engine's own; the others are inside, and here all the same.
    figures.processes = 1;
    figures.seen = family.len().saturating_sub(1).min(1);
    figures.disk = files(root);
    drop(child.stdin.take());
    let _ = child.wait();
    if ready { Ok(figures) } else { Err(Error::Keeper { problem: "the container to be measured did not start".into() }) }
}

fn of_vm(place: &Place, drydock: &Path) -> Result<(Figures, String), Error> {
    // `start` leaves it running to be weighed; where none ran, its boot is part of the time.
    let begun = Instant::now();
    let started = Command::new(drydock).args(["lab", "start"]).stdin(Stdio::null()).output().or_sys("run drydock lab start")?;
    if !started.status.success() {
        return Err(Error::Keeper { problem: String::from_utf8_lossy(&started.stderr).trim().trim_start_matches("error: ").to_owned() });
    }
    let booted = begun.elapsed();
    let mut command = Command::new(drydock);
    command.args(["lab", "run", "--", "sh", "-c", &format!("echo ready; {INSIDE}")]);
    let (took, said) = first_output(&mut command)?;
    let mut figures = told(&said, took);
    let status = client::status(place).ok_or(Error::Ended)?;
    let boot = if booted < Duration::from_millis(status.boot) { Duration::from_millis(status.boot) } else { booted };
    figures.ready_ms += boot.as_secs_f64() * 1000.0;
    figures.memory_kib = [status.keeper, status.qemu].iter().map(|pid| pss(*pid)).sum();
    figures.seen = 0;
    figures.disk = super::disk_taken(place) + status.packed;
    Ok((figures, status.acceleration))
}

/// Runs it; gives the time to its first output, and all of it.
fn first_output(command: &mut Command) -> Result<(Duration, String), Error> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().or_sys_with(|| format!("run {shown}"))?;
    let mut bytes = vec![0; 1];
    let mut out = child.stdout.take();
    let n = out.as_mut().map_or(0, |o| o.read(&mut bytes).unwrap_or(0));
    let took = begun.elapsed();
    bytes.truncate(n);
    if let Some(out) = &mut out {
        let _ = out.read_to_end(&mut bytes);
    }
    let output = child.wait_with_output().or_sys_with(|| format!("wait for {shown}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        return Err(Error::Keeper { problem: format!("{shown} failed: {said}") });
    }
    Ok((took, String::from_utf8_lossy(&bytes).into_owned()))
}

fn told(said: &str, took: Duration) -> Figures {
    let mut lines = said.lines().skip(1).map(|l| l.trim().to_owned());
    let mut next = || lines.next().unwrap_or_default();
    // ls and grep are themselves among those that are counted, and sh.
    Figures { kernel: next(), boot_id: next(), processes: next().parse().unwrap_or(0), ready_ms: took.as_secs_f64() * 1000.0, ..Figures::default() }
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
