//! How often a code or a key may be wrong: ten times a minute from one address, a hundred in all.
//!
//! Only wrong ones count, so that a class behind one address joins at once. Against 30 bits a hundred a
//! minute take twenty years.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);
const ONE: u32 = 10;
const ALL: u32 = 100;

/// Wrong tries of the last minute.
#[derive(Debug, Default)]
pub struct Limits {
    kept: Mutex<(Option<Instant>, HashMap<IpAddr, u32>)>,
}

impl Limits {
    /// May this address try? If not, the seconds until it may.
    pub fn allows(&self, from: IpAddr) -> Result<(), u64> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let began = *kept.0.get_or_insert_with(Instant::now);
        if began.elapsed() >= WINDOW {
            *kept = (None, HashMap::new());
            return Ok(());
        }
        let all: u32 = kept.1.values().sum();
        let spent = kept.1.get(&from).is_some_and(|n| *n >= ONE) || all >= ALL;
        if spent { Err(WINDOW.saturating_sub(began.elapsed()).as_secs() + 1) } else { Ok(()) }
    }

    /// It was wrong; gives how often within the minute.
    pub fn wrong(&self, from: IpAddr) -> u32 {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let count = kept.1.entry(from).or_default();
        *count += 1;
        *count
    }
}
