//! When a missed question is asked again: Leitner's boxes (Sebastian Leitner, So lernt man lernen, 1972).
//!
//! A missed question goes into the first box. Each time that it is due and answered rightly it moves up
//! one, and waits twice as long; a miss takes it back to the first. After the last box it is known.
//! What was never missed is in no box. Bigger ones (SM-2, FSRS) reckon with how hard an answer was;
//! here it is right or wrong, and boxes can be explained in a sentence.

use super::progress::Answered;
use std::time::{Duration, SystemTime};

const DAY: u64 = 24 * 60 * 60;

/// Days that a question waits in each box.
pub const DAYS: [u64; 5] = [1, 2, 4, 8, 16];

/// Takes down an answer of `now`.
pub fn note(card: &mut Answered, right: bool, now: SystemTime) {
    card.tries = card.tries.saturating_add(1);
    card.right = right;
    if !right {
        put(card, 1, now);
    } else if is_due(card, now) {
        // Answered before it was due, it is fresh in mind: that shows nothing, and it stays where it is.
        put(card, card.level.saturating_add(1), now);
    }
}

/// Is it to be asked again?
pub fn is_due(card: &Answered, now: SystemTime) -> bool {
    card.due.is_some_and(|due| due <= now)
}

/// Nothing beyond what the boxes allow: for a record of a stranger's.
pub fn bound(card: &mut Answered, now: SystemTime) {
    card.level = card.level.min(DAYS.len() as u8);
    let latest = now + Duration::from_secs(DAYS[DAYS.len() - 1] * DAY);
    card.due = card.due.map(|due| due.min(latest));
}

fn put(card: &mut Answered, level: u8, now: SystemTime) {
    let days = usize::from(level).checked_sub(1).and_then(|at| DAYS.get(at));
    card.level = if days.is_some() { level } else { 0 };
    card.due = days.map(|days| now + Duration::from_secs(days * DAY));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_question_comes_back_after_longer_and_longer_times_until_it_is_known() {
        let (mut card, mut now) = (Answered::default(), SystemTime::UNIX_EPOCH);
        note(&mut card, true, now);
        assert_eq!((card.level, card.due), (0, None), "never missed");
        note(&mut card, false, now);
        for days in DAYS {
            assert_eq!(card.due, Some(now + Duration::from_secs(days * DAY)));
            let before = card;
            note(&mut card, true, now);
            assert_eq!((card.level, card.due), (before.level, before.due), "too early to count");
            now += Duration::from_secs(days * DAY);
            assert!(is_due(&card, now));
            note(&mut card, true, now);
        }
        assert_eq!((card.level, card.due), (0, None), "known");
    }

    #[test]
    fn a_miss_takes_it_back_to_the_first_box() {
        let (mut card, now) = (Answered { level: 4, due: Some(SystemTime::UNIX_EPOCH), ..Answered::default() }, SystemTime::now());
        note(&mut card, false, now);
        assert_eq!((card.level, card.due), (1, Some(now + Duration::from_secs(DAY))));
    }
}
