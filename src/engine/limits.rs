//! Limits of a container as a person types them, with Docker's rules (`--memory`, `--cpus` and their like).

use super::error::Error;
use crate::kernel::cgroup::{Amount, Limits, Quota};
use crate::kernel::units;

/// Limits as they are typed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Such as `64m`.
    pub memory: Option<&'a str>,
    /// Memory and swap together; `-1` for no limit of swap.
    pub memory_swap: Option<&'a str>,
    /// Such as `0.5`.
    pub cpus: Option<&'a str>,
    /// 1024 is everybody's.
    pub cpu_shares: Option<u64>,
    /// Negative for no limit.
    pub pids: Option<i64>,
}

/// The limits that they stand for.
pub fn limits(args: &Wanted<'_>) -> Result<Limits, Error> {
    let bytes = |flag, text: &str| units::bytes(text).map_err(|reason| option(flag, text, &reason.to_string(), "--memory 64m (b, k, m, g)"));
    let mut limits = Limits::default();
    if let Some(text) = args.memory {
        let size = bytes("--memory", text)?;
        if size < 6 << 20 {
            return Err(option("--memory", text, "the smallest is 6m, or nothing could start", "--memory 64m"));
        }
        limits.memory = Some(Amount::Of(size));
        limits.memory_swap = super::defaults::memory_swap(limits.memory, super::host::layout()?.counts_swap());
    }
    match args.memory_swap {
        None => {}
        Some("-1") => limits.memory_swap = Some(Amount::Unlimited),
        Some(text) => {
            let swap = bytes("--memory-swap", text)?;
            match limits.memory {
                Some(Amount::Of(memory)) if swap < memory => {
                    return Err(option("--memory-swap", text, "it is memory and swap together, so it cannot be less than --memory", "-m 64m --memory-swap 128m"));
                }
                Some(_) => limits.memory_swap = Some(Amount::Of(swap)),
                None => return Err(option("--memory-swap", text, "it needs --memory beside it", "-m 64m --memory-swap 128m")),
            }
        }
    }
    if let Some(text) = args.cpus {
        let cpus = text.parse::<f64>().ok().filter(|c| c.is_finite() && *c >= 0.01);
        let online = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        match cpus {
            Some(cpus) if cpus <= online => limits.cpus = Some(Quota::of_cpus(cpus)),
            Some(_) => return Err(option("--cpus", text, &format!("this machine has {online} CPUs"), "--cpus 0.5")),
            None => return Err(option("--cpus", text, "it is not a number from 0.01 on", "--cpus 0.5")),
        }
    }
    limits.cpu_shares = args.cpu_shares.filter(|s| *s != 0);
    limits.pids = args.pids.map(|n| u64::try_from(n).ok().filter(|n| *n > 0).map_or(Amount::Unlimited, Amount::Of));
    Ok(limits)
}

fn option(option: &'static str, value: &str, reason: &str, example: &'static str) -> Error {
    Error::Option { option, value: value.to_owned(), reason: reason.to_owned(), example }
}
