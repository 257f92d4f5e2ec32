//! `GET /containers/ID/stats`: what a container uses, once or every second.
//!
//! Docker's client makes a percentage of two readings; each answer carries the one before it too.

use super::Daemon;
use super::containers::find;
use super::http::{Asked, Reply, apart, json, streamed};
use crate::engine::container::Container;
use crate::engine::stats::{Reading, read};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// From one reading to the next.
const PERIOD: Duration = Duration::from_secs(1);

/// Answers with it.
pub(super) async fn stats(daemon: &Arc<Daemon>, asked: &Asked, id: &str) -> Reply {
    let container = find(daemon, id).await?;
    if !asked.is_or("stream", true) {
        let mut before = None;
        if !asked.is("one-shot") {
            let first = find(daemon, container.id()).await?;
            before = apart(move || Ok(read(&first).map(|r| (r, machine())))).await?;
            tokio::time::sleep(PERIOD).await;
        }
        return json(200, &apart(move || Ok(document(&container, read(&container), before.as_ref()))).await?);
    }
    let (sender, response) = streamed("application/json");
    let daemon = Arc::clone(daemon);
    tokio::spawn(async move {
        let mut before: Option<(Reading, u64)> = None;
        loop {
            // As it is by now: it may have been started, ended or removed meanwhile.
            let Ok(container) = find(&daemon, container.id()).await else { return };
            let old = before.take();
            let Ok((line, now)) = apart(move || {
                let now = read(&container);
                Ok((format!("{}\n", document(&container, now, old.as_ref())), now.map(|n| (n, machine()))))
            }).await else { return };
            before = now;
            if sender.send(line.into()).await.is_err() {
                return;
            }
            tokio::select! {
                () = sender.closed() => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    });
    Ok(response)
}

/// Nanoseconds of CPU time of the whole machine, `cpu` of /proc/stat: all but waiting, and waiting too.
fn machine() -> u64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8);
    fields.filter_map(|f| f.parse::<u64>().ok()).sum::<u64>() * 10_000_000
}

fn document(container: &Container, now: Option<Reading>, before: Option<&(Reading, u64)>) -> Value {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let name = format!("/{}", container.name());
    let time = |at: SystemTime| humantime::format_rfc3339_nanos(at).to_string();
    let none = "0001-01-01T00:00:00Z".to_owned();
    let Some(now) = now else {
        return json!({ "read": none, "preread": none, "name": name, "id": container.id(), "cpu_stats": { "cpu_usage": { "total_usage": 0 } }, "precpu_stats": { "cpu_usage": { "total_usage": 0 } }, "memory_stats": {}, "pids_stats": {}, "blkio_stats": {} });
    };
    let cpu = |used: u64, machine: u64| json!({
        "cpu_usage": { "total_usage": used, "usage_in_kernelmode": 0, "usage_in_usermode": used },
        "system_cpu_usage": machine,
        "online_cpus": cores,
        "throttling_data": { "periods": 0, "throttled_periods": 0, "throttled_time": 0 },
    });
    let before_time = before.map_or(none, |(r, _)| time(SystemTime::now() - now.at.saturating_duration_since(r.at)));
    let empty = json!({ "cpu_usage": { "total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0 }, "throttling_data": { "periods": 0, "throttled_periods": 0, "throttled_time": 0 } });
    let block = |op: &str, bytes: u64| json!({ "major": 0, "minor": 0, "op": op, "value": bytes });
    json!({
        "read": time(SystemTime::now()),
        "preread": before_time,
        "name": name,
        "id": container.id(),
        "num_procs": 0,
        "pids_stats": { "current": now.pids },
        "cpu_stats": cpu(now.cpu, machine()),
        "precpu_stats": before.map_or(empty, |(r, machine)| cpu(r.cpu, *machine)),
        "memory_stats": { "usage": now.memory, "limit": now.memory_limit, "stats": {} },
        "blkio_stats": { "io_service_bytes_recursive": [block("read", now.block.0), block("write", now.block.1)] },
        "networks": { "eth0": { "rx_bytes": now.network.0, "tx_bytes": now.network.1, "rx_packets": 0, "tx_packets": 0, "rx_errors": 0, "tx_errors": 0, "rx_dropped": 0, "tx_dropped": 0 } },
    })
}
