//! A VM beside a container as a figure, with measured figures: what `drydock compare vm-container --json`
//! printed when it was recorded, or when the learner last ran it.
//!
//! Drawn with boxes and bars of the page's own; every length is also written as a number.

use super::BookError;
use super::markup::escaped;
use serde::Deserialize;
use std::fmt::Write;

/// Path of the recording below the book's root.
pub const FILE: &str = "recorded/vm-container.json";

/// What was measured of one kind; units as in the lab's own comparison.
#[derive(Debug, Deserialize)]
struct Figures {
    kernel: String,
    ready_ms: f64,
    memory_kib: f64,
    processes: usize,
    seen: usize,
    disk: f64,
}

/// A comparison.
#[derive(Debug, Deserialize)]
struct Comparison {
    host_kernel: String,
    acceleration: String,
    container: Figures,
    vm: Figures,
}

/// The figure. `own` are the learner's own figures; what cannot be read of them is as if it were not there.
pub fn figure(recorded: &str, own: Option<&str>) -> Result<String, BookError> {
    let (measured, whose) = match own.and_then(|text| serde_json::from_str::<Comparison>(text).ok()) {
        Some(measured) => (measured, "Measured on this machine, by <code>drydock compare vm-container</code>."),
        None => (serde_json::from_str(recorded).map_err(|e| BookError::Mdbook(format!("book/{FILE}: {e}")))?, "Measured on a machine of ours, by <code>drydock compare vm-container</code>."),
    };
    let Comparison { host_kernel, acceleration, container, vm } = &measured;
    let how = if acceleration == "kvm" { "The VM ran on the processor itself (KVM)." } else { "The VM’s processor was emulated in software; with KVM it is several times quicker." };
    let mut page = String::from("<figure class=\"beside\">\n<div class=\"stacks\">\n");
    let program = |count: usize| if count == 1 { "1 process".to_owned() } else { format!("{count} processes") };
    let host = format!("this machine’s kernel, {}", escaped(host_kernel));
    stack(&mut page, "A container", &[(&program(container.processes), "inside"), ("namespaces, a cgroup, a root", "room"), (&host, "kernel"), ("the hardware", "metal")]);
    stack(&mut page, "A VM", &[(&program(vm.processes), "inside"), (&format!("its own kernel, {}", escaped(&vm.kernel)), "kernel"), ("a machine made of a program, QEMU", "room"), (&host, "kernel"), ("the hardware", "metal")]);
    page.push_str("</div>\n<div class=\"table-wrapper\"><table><thead><tr><td></td><th scope=\"col\">container</th><th scope=\"col\">VM</th></tr></thead><tbody>\n");
    row(&mut page, "ready after", (container.ready_ms, vm.ready_ms), milliseconds);
    row(&mut page, "memory on the host", (container.memory_kib, vm.memory_kib), |kib| mebibytes(kib * 1024.0));
    row(&mut page, "on the disk", (container.disk, vm.disk), mebibytes);
    row(&mut page, "processes inside", (container.processes as f64, vm.processes as f64), |count| format!("{count:.0}"));
    let seen = |figures: &Figures| if figures.seen > 0 { "yes" } else { "no" };
    let _ = writeln!(page, "<tr><th scope=\"row\">its shell is in this machine’s /proc</th><td>{}</td><td>{}</td></tr>", seen(container), seen(vm));
    let _ = write!(page, "</tbody></table></div>\n<figcaption>{whose} {how}</figcaption>\n</figure>\n");
    Ok(page)
}

/// Boxes, one on the other, the topmost first.
fn stack(page: &mut String, title: &str, boxes: &[(&str, &str)]) {
    let _ = write!(page, "<div><p><strong>{title}</strong></p><ol>");
    for (text, kind) in boxes {
        let _ = write!(page, "<li class=\"{kind}\">{text}</li>");
    }
    page.push_str("</ol></div>\n");
}

/// Both figures, each with a bar as long as its part of the longer one.
fn row(page: &mut String, name: &str, (container, vm): (f64, f64), shown: impl Fn(f64) -> String) {
    let longest = container.max(vm).max(f64::MIN_POSITIVE);
    let cell = |value: f64| format!("<td>{}<span class=\"bar\" style=\"inline-size:{:.1}%\"></span></td>", shown(value), (value / longest * 100.0).max(0.5));
    let _ = writeln!(page, "<tr><th scope=\"row\">{name}</th>{}{}</tr>", cell(container), cell(vm));
}

fn milliseconds(ms: f64) -> String {
    if ms < 1000.0 { format!("{ms:.0} ms") } else { format!("{:.1} s", ms / 1000.0) }
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = r#"{"kernel":"6.1","boot_id":"","ready_ms":7,"memory_kib":1024,"processes":1,"seen":1,"disk":1048576}"#;

    #[test]
    fn the_learners_own_figures_come_before_the_recorded_ones_unless_they_cannot_be_read() {
        let recorded = format!(r#"{{"host_kernel":"6.18","host_boot_id":"","acceleration":"tcg","container":{KIND},"vm":{KIND}}}"#);
        let own = recorded.replace("6.18", "5.10");
        assert!(figure(&recorded, Some(&own)).expect("figures").contains("Measured on this machine"));
        let page = figure(&recorded, Some("{")).expect("figures");
        assert!(page.contains("a machine of ours") && page.contains("6.18") && page.contains("<td>7 ms<span class=\"bar\" style=\"inline-size:100.0%\">"), "{page}");
    }
}
