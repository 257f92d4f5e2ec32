//! `drydock compare`: two ways to run something, measured on this machine and drawn as a table.

use super::{Outcome, boxed};
use crate::cli::out;
use crate::kernel::OrSys;
use crate::lab::Place;
use crate::lab::compare::{Comparison, measure};
use crate::learn::{Home, shell};
use clap::{Args, Subcommand};
use colored::Colorize;

// Options of `drydock compare`.
#[derive(Debug, Args)]
pub struct Compare {
    #[command(subcommand)]
    what: Pair,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Pair {
    /// A container beside a VM: kernel, start, memory, processes, disk
    VmContainer {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Where the last figures are kept, below the learner's folder: the book draws them.
pub const KEPT: &str = "compare.json";

/// Measures, and draws.
pub fn run(args: &Compare) -> Outcome {
    let Pair::VmContainer { json } = args.what;
    let home = Home::find().map_err(boxed)?;
    let own = std::env::current_exe().or_sys("find this program's own file").map_err(boxed)?;
    eprintln!("starting a container, then a VM …");
    let measured = measure(&Place::below(&home.folder), &own, &shell::skiff()).map_err(boxed)?;
    let text = serde_json::to_string_pretty(&measured).unwrap_or_default();
    home.write(&home.folder.join(KEPT), text.as_bytes()).map_err(boxed)?;
    if json {
        println!("{text}");
        return Ok(0);
    }
    draw(&measured);
    Ok(0)
}

fn draw(measured: &Comparison) {
    let Comparison { container, vm, .. } = measured;
    let row = |what: &str, a: &str, b: &str| println!("{what:<22} {a:<24} {b}");
    println!("{}", format!("{:<22} {:<24} {}", "", "container (skiff)", "VM (drydock lab)").bold());
    row("kernel", &container.kernel, &vm.kernel);
    row("boot id begins", container.boot_id.get(..8).unwrap_or(""), vm.boot_id.get(..8).unwrap_or(""));
    row("ready after", &milliseconds(container.ready_ms), &milliseconds(vm.ready_ms));
    row("memory on the host", &mebibytes(container.memory_kib << 10), &mebibytes(vm.memory_kib << 10));
    row("processes inside", &container.processes.to_string(), &vm.processes.to_string());
    row("its shell, seen here", &container.seen.to_string(), &vm.seen.to_string());
    row("on the disk", &mebibytes(container.disk), &mebibytes(vm.disk));
    println!();
    let host = measured.host_boot_id.get(..8).unwrap_or("");
    let same = container.boot_id == measured.host_boot_id;
    out::wrapped("", &format!("This machine runs {} and its boot id begins with {host}: {} the container's, and {} the VM's.", measured.host_kernel, if same { "also" } else { "not" }, if vm.boot_id == measured.host_boot_id { "also" } else { "not" }));
    let how = if measured.acceleration == "kvm" { "The VM ran on the processor itself (KVM)." } else { "The VM's processor was emulated in software; with KVM it would be quicker." };
    out::wrapped("", how);
}

fn milliseconds(ms: f64) -> String {
    if ms < 1000.0 { format!("{ms:.0} ms") } else { format!("{:.1} s", ms / 1000.0) }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
