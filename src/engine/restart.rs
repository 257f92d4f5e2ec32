//! Restart policies: whether a command that has ended is started again, and after how long
//! (`--restart`).
//!
//! Pure. Docker's rules: the wait doubles from a tenth of a second to a minute, and begins anew for a
//! command that ran ten seconds; what a person stopped stays stopped.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What happens when a container's command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Nothing.
    #[default]
    No,
    /// It is started again after an exit code other than 0, at most so often; 0 is without end.
    OnFailure(u32),
    /// It is started again; after a reboot also if it had been stopped.
    Always,
    /// It is started again, unless it was stopped.
    UnlessStopped,
}

/// The first wait.
const FIRST: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST: Duration = Duration::from_secs(60);
/// A command that ran this long had come up.
const CAME_UP: Duration = Duration::from_secs(10);

impl Policy {
    /// Whether a command that ended with `code` is started again, for the nth time since a person did.
    pub fn wants_again(self, code: i32, restarts: u32) -> bool {
        match self {
            Policy::No => false,
            Policy::OnFailure(most) => code != 0 && (most == 0 || restarts < most),
            Policy::Always | Policy::UnlessStopped => true,
        }
    }

    /// Whether it is started again after a reboot, or when whoever looked after it was killed.
    pub fn wants_resume(self, code: i32, was_running: bool, halted: bool) -> bool {
        match self {
            Policy::No => false,
            Policy::Always => true,
            Policy::UnlessStopped => !halted,
            Policy::OnFailure(_) => was_running && !halted && code != 0,
        }
    }

    /// Docker's name, without the count.
    pub fn name(self) -> &'static str {
        match self {
            Policy::No => "no",
            Policy::OnFailure(_) => "on-failure",
            Policy::Always => "always",
            Policy::UnlessStopped => "unless-stopped",
        }
    }

    /// How often at most; 0 where that is not bounded.
    pub fn most(self) -> u32 {
        if let Policy::OnFailure(most) = self { most } else { 0 }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Policy::OnFailure(most) if *most > 0 => write!(f, "on-failure:{most}"),
            other => f.write_str(other.name()),
        }
    }
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, count) = text.split_once(':').map_or((text, None), |(name, count)| (name, Some(count)));
        match (name, count) {
            ("" | "no", None) => Ok(Policy::No),
            ("always", None) => Ok(Policy::Always),
            ("unless-stopped", None) => Ok(Policy::UnlessStopped),
            ("on-failure", None) => Ok(Policy::OnFailure(0)),
            ("on-failure", Some(count)) => count.parse().map(Policy::OnFailure).map_err(|_| "maximum retry count must be an integer".into()),
            ("no" | "always" | "unless-stopped", Some(_)) => Err("maximum retry count can only be used with 'on-failure'".into()),
            _ => Err(format!("invalid restart policy '{name}'")),
        }
    }
}

/// The wait before the next start.
#[derive(Debug, Default)]
pub struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// How long to wait after a command that ran for `ran`.
    pub fn next(&mut self, ran: Duration) -> Duration {
        let next = match self.last {
            Some(last) if ran < CAME_UP => (last * 2).min(LONGEST),
            _ => FIRST,
        };
        self.last = Some(next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_written_as_dockers() {
        for text in ["no", "always", "unless-stopped", "on-failure", "on-failure:3"] {
            assert_eq!(text.parse::<Policy>().map(|p| p.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("always:3".parse::<Policy>(), Err("maximum retry count can only be used with 'on-failure'".into()));
        assert!("sometimes".parse::<Policy>().is_err() && "on-failure:x".parse::<Policy>().is_err());
    }

    #[test]
    fn a_failure_is_tried_as_often_as_was_said_and_a_success_never() {
        let three = Policy::OnFailure(3);
        assert!(three.wants_again(1, 2) && !three.wants_again(1, 3) && !three.wants_again(0, 0));
        assert!(Policy::OnFailure(0).wants_again(1, 1_000_000));
        assert!(Policy::Always.wants_again(0, 9) && !Policy::No.wants_again(1, 0));
    }

    #[test]
    fn after_a_reboot_what_was_stopped_comes_back_only_for_always() {
        assert!(Policy::Always.wants_resume(0, false, true));
        assert!(!Policy::UnlessStopped.wants_resume(137, false, true) && Policy::UnlessStopped.wants_resume(0, false, false));
        assert!(Policy::OnFailure(0).wants_resume(137, true, false) && !Policy::OnFailure(0).wants_resume(1, false, false));
    }

    #[test]
    fn the_wait_doubles_to_a_minute_and_begins_anew_for_what_came_up() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..12).map(|_| backoff.next(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
        assert_eq!(backoff.next(Duration::from_secs(11)).as_millis(), 100);
    }
}
