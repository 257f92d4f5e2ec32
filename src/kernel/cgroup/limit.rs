//! Every name and unit in which cgroup v1 and v2 differ (cgroups(7), cgroup-v1 and cgroup-v2 in the
//! kernel's admin guide). No other file spells a controller's file.
//!
//! Mechanism: a limit is text written into a file of the cgroup's directory.
//! See it live: `grep . /sys/fs/cgroup/skiff/*/memory.max` (v2), `.../memory.limit_in_bytes` (v1).
//! Contract: pure; [`writes`] says what to write in which order, [`read_back`] is its inverse.

use super::layout::Controller;
use serde::{Deserialize, Serialize};

/// A limit, by what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Bytes of memory; beyond it the kernel reclaims, then kills.
    Memory,
    /// Bytes that reclaim spares while others have more to give.
    MemoryReservation,
    /// Bytes of memory and swap together, as Docker's `--memory-swap` counts.
    MemorySwap,
    /// CPU time in each period.
    Cpus,
    /// Share of CPU time when others want it too; 1024 is everyone's default.
    CpuShares,
    /// Which CPUs.
    Cpuset,
    /// Which memory nodes.
    CpusetMems,
    /// Processes and threads.
    Pids,
    /// Share of a block device's time; 100 is v2's default.
    IoWeight,
    /// Bytes read a second from one device.
    IoReadBytes,
    /// Bytes written a second to one device.
    IoWriteBytes,
    /// Read operations a second on one device.
    IoReadOps,
    /// Write operations a second on one device.
    IoWriteOps,
}

/// A number, or none at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Amount {
    /// At most this.
    Of(u64),
    /// No limit.
    Unlimited,
}

/// CPU time of `micros` in each `period` (both in microseconds).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Microseconds that may be used in each period, or no limit.
    pub micros: Amount,
    /// Length of a period in microseconds; 100000 everywhere by default.
    pub period: u64,
}

/// A rate on one block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle {
    /// One of the four `Io…Bytes` and `Io…Ops`.
    pub limit: Limit,
    /// The device's major number.
    pub major: u64,
    /// The device's minor number.
    pub minor: u64,
    /// Bytes or operations a second.
    pub rate: u64,
}

/// What a cgroup is held to; nothing that is `None` is touched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// [`Limit::Memory`], bytes.
    pub memory: Option<Amount>,
    /// [`Limit::MemoryReservation`], bytes.
    pub memory_reservation: Option<Amount>,
    /// [`Limit::MemorySwap`], bytes of memory and swap together.
    pub memory_swap: Option<Amount>,
    /// [`Limit::Cpus`].
    pub cpus: Option<Quota>,
    /// [`Limit::CpuShares`], 2 to 262144.
    pub cpu_shares: Option<u64>,
    /// [`Limit::Cpuset`], a list such as `0-2,7`.
    pub cpuset: Option<String>,
    /// [`Limit::CpusetMems`], a list.
    pub cpuset_mems: Option<String>,
    /// [`Limit::Pids`].
    pub pids: Option<Amount>,
    /// [`Limit::IoWeight`], 1 to 10000 (10 to 1000 in v1).
    pub io_weight: Option<u64>,
    /// The four rates.
    pub io: Vec<Throttle>,
}

/// A limit's value without the version's spelling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// Bytes, processes, a weight.
    Amount(Amount),
    /// CPU time.
    Quota(Quota),
    /// A list of CPUs or nodes, or the lines of a device limit.
    Text(String),
}

/// What the kernel counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Processes killed for want of memory.
    OomKill,
    /// Periods in which CPU time ran out.
    Throttled,
    /// Forks refused.
    PidsMax,
}

/// One write: into `file` of the cgroup's directory in `controller`'s hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Which limit it is for.
    pub limit: Limit,
    /// The file's name.
    pub file: &'static str,
    /// The text.
    pub text: String,
}

impl Limit {
    /// Which controller enforces it.
    pub fn controller(self) -> Controller {
        match self {
            Self::Memory | Self::MemoryReservation | Self::MemorySwap => Controller::Memory,
            Self::Cpus | Self::CpuShares => Controller::Cpu,
            Self::Cpuset | Self::CpusetMems => Controller::Cpuset,
            Self::Pids => Controller::Pids,
            _ => Controller::Io,
        }
    }

    /// The file that holds it, such as `memory.max` or `memory.limit_in_bytes`.
    pub fn file_name(self, v1: bool) -> &'static str {
        match (self, v1) {
            (Self::Memory, false) => "memory.max",
            (Self::Memory, true) => "memory.limit_in_bytes",
            (Self::MemoryReservation, false) => "memory.low",
            (Self::MemoryReservation, true) => "memory.soft_limit_in_bytes",
            (Self::MemorySwap, false) => "memory.swap.max",
            (Self::MemorySwap, true) => "memory.memsw.limit_in_bytes",
            (Self::Cpus, false) => "cpu.max",
            (Self::Cpus, true) => "cpu.cfs_quota_us",
            (Self::CpuShares, false) => "cpu.weight",
            (Self::CpuShares, true) => "cpu.shares",
            (Self::Cpuset, _) => "cpuset.cpus",
            (Self::CpusetMems, _) => "cpuset.mems",
            (Self::Pids, _) => "pids.max",
            (Self::IoWeight, false) => "io.weight",
            (Self::IoWeight, true) => "blkio.bfq.weight",
            (Self::IoReadBytes, true) => "blkio.throttle.read_bps_device",
            (Self::IoWriteBytes, true) => "blkio.throttle.write_bps_device",
            (Self::IoReadOps, true) => "blkio.throttle.read_iops_device",
            (Self::IoWriteOps, true) => "blkio.throttle.write_iops_device",
            (_, false) => "io.max",
        }
    }

    /// What people call it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::MemoryReservation => "the memory reservation",
            Self::MemorySwap => "memory and swap",
            Self::Cpus => "CPU time",
            Self::CpuShares => "CPU shares",
            Self::Cpuset => "CPUs",
            Self::CpusetMems => "memory nodes",
            Self::Pids => "the number of processes",
            _ => "block I/O",
        }
    }

    /// The key of a device rate in v2's `io.max`.
    fn io_key(self) -> &'static str {
        match self {
            Self::IoReadBytes => "rbps",
            Self::IoWriteBytes => "wbps",
            Self::IoReadOps => "riops",
            _ => "wiops",
        }
    }
}

/// v1's file for the length of a CPU period; in v2 it is the second word of `cpu.max`.
pub const V1_PERIOD: &str = "cpu.cfs_period_us";

/// The period when none is asked for, in microseconds.
pub const PERIOD: u64 = 100_000;

impl Quota {
    /// `--cpus 1.5`: 150000 microseconds in each 100000.
    pub fn of_cpus(cpus: f64) -> Self {
        Self { micros: Amount::Of((cpus * PERIOD as f64).round() as u64), period: PERIOD }
    }

    /// How many CPUs' time it is; `None` without a limit.
    pub fn cpus(&self) -> Option<f64> {
        match self.micros {
            Amount::Of(micros) => Some(micros as f64 / self.period as f64),
            Amount::Unlimited => None,
        }
    }
}

impl Amount {
    /// From an OCI value, where a negative number means no limit.
    pub fn from_oci(value: i64) -> Self {
        u64::try_from(value).map_or(Self::Unlimited, Self::Of)
    }

    fn text(self, unlimited: &str) -> String {
        match self {
            Self::Of(number) => number.to_string(),
            Self::Unlimited => unlimited.to_string(),
        }
    }
}

impl Limits {
    /// True when nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Which controllers these limits need.
    pub fn controllers(&self) -> std::collections::BTreeSet<Controller> {
        writes(self, |_| true).iter().map(|w| w.limit.controller()).collect()
    }
}

/// What to write, in order, given which controllers are v1 here.
///
/// The order is that of lowering: v1 refuses a memory limit above the one for memory and swap
/// together, so whoever raises both must start with the second.
pub fn writes(limits: &Limits, v1: impl Fn(Controller) -> bool) -> Vec<Write> {
    let mut list = Vec::new();
    let mut push = |limit: Limit, text: String| {
        let file = limit.file_name(v1(limit.controller()));
        list.push(Write { limit, file, text });
    };
    let memory_v1 = v1(Controller::Memory);
    let unlimited = if memory_v1 { "-1" } else { "max" };
    if let Some(memory) = limits.memory {
        push(Limit::Memory, memory.text(unlimited));
    }
    if let Some(swap) = limits.memory_swap {
        push(Limit::MemorySwap, if memory_v1 { swap.text("-1") } else { swap_alone(swap, limits.memory).text("max") });
    }
    if let Some(reservation) = limits.memory_reservation {
        push(Limit::MemoryReservation, reservation.text(unlimited));
    }
    if let Some(shares) = limits.cpu_shares {
        push(Limit::CpuShares, if v1(Controller::Cpu) { shares.to_string() } else { weight_of_shares(shares).to_string() });
    }
    if let Some(cpus) = &limits.cpuset {
        push(Limit::Cpuset, cpus.clone());
    }
    if let Some(nodes) = &limits.cpuset_mems {
        push(Limit::CpusetMems, nodes.clone());
    }
    if let Some(pids) = limits.pids {
        push(Limit::Pids, pids.text("max"));
    }
    if let Some(weight) = limits.io_weight {
        push(Limit::IoWeight, weight.to_string());
    }
    let io_v1 = v1(Controller::Io);
    for Throttle { limit, major, minor, rate } in &limits.io {
        let key = if io_v1 { String::new() } else { format!("{}=", limit.io_key()) };
        push(*limit, format!("{major}:{minor} {key}{rate}"));
    }
    if let Some(quota) = limits.cpus {
        push_quota(&mut list, quota, v1(Controller::Cpu));
    }
    list
}

/// v2 takes quota and period in one write; v1 in two files, the period first, for a quota is
/// checked against the period that is set.
fn push_quota(list: &mut Vec<Write>, quota: Quota, v1: bool) {
    let Quota { micros, period } = quota;
    if v1 {
        list.push(Write { limit: Limit::Cpus, file: V1_PERIOD, text: period.to_string() });
        list.push(Write { limit: Limit::Cpus, file: Limit::Cpus.file_name(true), text: micros.text("-1") });
    } else {
        list.push(Write { limit: Limit::Cpus, file: Limit::Cpus.file_name(false), text: format!("{} {period}", micros.text("max")) });
    }
}

/// v2 limits swap alone; Docker and v1 count memory and swap together.
fn swap_alone(together: Amount, memory: Option<Amount>) -> Amount {
    match (together, memory) {
        (Amount::Of(together), Some(Amount::Of(memory))) => Amount::Of(together.saturating_sub(memory)),
        (Amount::Of(together), _) => Amount::Of(together),
        (Amount::Unlimited, _) => Amount::Unlimited,
    }
}

/// v2's weight (1 to 10000, default 100) for v1's shares (2 to 262144, default 1024): the curve
/// through both ends and the default that runc and crun have agreed on since 2025.
pub fn weight_of_shares(shares: u64) -> u64 {
    match shares {
        0 => 100,
        1..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            ((10f64.powf(exponent) - 1e-9).ceil() as u64).clamp(1, 10_000)
        }
    }
}

/// The inverse of [`weight_of_shares`], to the nearest whole share.
pub fn shares_of_weight(weight: u64) -> u64 {
    let wanted = (weight.clamp(1, 10_000) as f64).log10() + 7.0 / 34.0;
    let log = (-125.0 + (125.0f64 * 125.0 + 4.0 * 612.0 * wanted).sqrt()) / 2.0;
    (2f64.powf(log).round() as u64).clamp(2, 262_144)
}

/// The value behind a file's text. `beside` reads another file of the same directory, for those
/// limits that one version keeps in two.
pub fn read_back(limit: Limit, v1: bool, text: &str, beside: impl Fn(&str) -> Option<String>) -> Option<Value> {
    let text = text.trim();
    Some(match limit {
        Limit::Cpus => {
            let mut words = text.split_whitespace();
            let micros = words.next()?;
            let period = if v1 { beside(V1_PERIOD)?.trim().parse().ok()? } else { words.next()?.parse().ok()? };
            Value::Quota(Quota { micros: amount(micros)?, period })
        }
        Limit::CpuShares if !v1 => match amount(text)? {
            Amount::Of(weight) => Value::Amount(Amount::Of(shares_of_weight(weight))),
            unlimited => Value::Amount(unlimited),
        },
        Limit::MemorySwap if !v1 => {
            let memory = amount(beside(Limit::Memory.file_name(false))?.trim())?;
            match (amount(text)?, memory) {
                (Amount::Of(swap), Amount::Of(memory)) => Value::Amount(Amount::Of(swap + memory)),
                _ => Value::Amount(Amount::Unlimited),
            }
        }
        Limit::IoWeight => Value::Amount(amount(text.trim_start_matches("default "))?),
        Limit::Memory | Limit::MemoryReservation | Limit::MemorySwap | Limit::CpuShares | Limit::Pids => {
            Value::Amount(amount(text)?)
        }
        _ => Value::Text(text.to_string()),
    })
}

/// `max`, `-1`, and v1's largest page-aligned number all mean no limit.
fn amount(text: &str) -> Option<Amount> {
    const V1_UNLIMITED: u64 = 0x7fff_ffff_ffff_0000; // PAGE_COUNTER_MAX, whatever the page size
    match text {
        "max" | "-1" => Some(Amount::Unlimited),
        number => number.parse().ok().map(|n| if n >= V1_UNLIMITED { Amount::Unlimited } else { Amount::Of(n) }),
    }
}

impl Event {
    /// Which controller counts it, in which file, under which key.
    pub fn place(self, v1: bool) -> (Controller, &'static str, &'static str) {
        match (self, v1) {
            (Self::OomKill, false) => (Controller::Memory, "memory.events", "oom_kill"),
            (Self::OomKill, true) => (Controller::Memory, "memory.oom_control", "oom_kill"),
            (Self::Throttled, _) => (Controller::Cpu, "cpu.stat", "nr_throttled"),
            (Self::PidsMax, _) => (Controller::Pids, "pids.events", "max"),
        }
    }
}

/// The number behind a key in a flat keyed file.
pub fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn some_limits() -> Limits {
        Limits {
            memory: Some(Amount::Of(64 << 20)),
            memory_swap: Some(Amount::Of(96 << 20)),
            cpus: Some(Quota::of_cpus(1.5)),
            cpu_shares: Some(512),
            pids: Some(Amount::Unlimited),
            io: vec![Throttle { limit: Limit::IoReadBytes, major: 8, minor: 0, rate: 1 << 20 }],
            ..Limits::default()
        }
    }

    fn lines(v1: bool) -> Vec<String> {
        writes(&some_limits(), |_| v1).iter().map(|w| format!("{} {}", w.file, w.text)).collect()
    }

    #[test]
    fn v2_has_its_names_and_units() {
        let expected = [
            "memory.max 67108864",
            "memory.swap.max 33554432",
            "cpu.weight 59",
            "pids.max max",
            "io.max 8:0 rbps=1048576",
            "cpu.max 150000 100000",
        ];
        assert_eq!(lines(false), expected);
    }

    #[test]
    fn v1_has_its_own() {
        let expected = [
            "memory.limit_in_bytes 67108864",
            "memory.memsw.limit_in_bytes 100663296",
            "cpu.shares 512",
            "pids.max max",
            "blkio.throttle.read_bps_device 8:0 1048576",
            "cpu.cfs_period_us 100000",
            "cpu.cfs_quota_us 150000",
        ];
        assert_eq!(lines(true), expected);
    }

    #[test]
    fn shares_and_weights_meet_at_both_ends_and_the_default() {
        for (shares, weight) in [(2, 1), (1024, 100), (262_144, 10_000)] {
            assert_eq!(weight_of_shares(shares), weight);
            assert_eq!(shares_of_weight(weight), shares);
        }
    }

    #[test]
    fn no_limit_has_three_spellings() {
        for text in ["max", "-1", "9223372036854771712"] {
            let read = read_back(Limit::Memory, true, text, |_| None);
            assert_eq!(read, Some(Value::Amount(Amount::Unlimited)), "{text}");
        }
    }

    fn amount() -> impl Strategy<Value = Amount> {
        prop_oneof![Just(Amount::Unlimited), (1u64..1 << 60).prop_map(Amount::Of)]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(memory in amount(), more in 0u64..1 << 60, pids in amount(), micros in amount(), v1: bool) {
            let memory_swap = match memory {
                Amount::Of(bytes) => Amount::Of(bytes + more),
                unlimited => unlimited,
            };
            let cpus = Quota { micros, period: 50_000 };
            let limits = Limits { memory: Some(memory), memory_swap: Some(memory_swap), pids: Some(pids), cpus: Some(cpus), ..Limits::default() };
            let files: HashMap<_, _> = writes(&limits, |_| v1).into_iter().map(|w| (w.file, w.text)).collect();
            let read = |limit: Limit| read_back(limit, v1, &files[limit.file_name(v1)], |file| files.get(file).cloned());
            prop_assert_eq!(read(Limit::Memory), Some(Value::Amount(memory)));
            prop_assert_eq!(read(Limit::MemorySwap), Some(Value::Amount(memory_swap)));
            prop_assert_eq!(read(Limit::Pids), Some(Value::Amount(pids)));
            prop_assert_eq!(read(Limit::Cpus), Some(Value::Quota(cpus)));
        }

        #[test]
        fn a_greater_share_is_never_a_lesser_weight(one in 2u64..=262_144, other in 2u64..=262_144) {
            let (low, high) = (one.min(other), one.max(other));
            prop_assert!(weight_of_shares(low) <= weight_of_shares(high));
            prop_assert!((1..=10_000).contains(&weight_of_shares(one)));
        }
    }
}
