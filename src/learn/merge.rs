//! One learner at two desks: the host and the lab. What was passed at either counts at both.
//!
//! The lab sends its whole record whenever it is saved; the host does the same when the lab boots.
//! Records arrive late, twice, or after a machine was killed: so merging the same one again changes
//! nothing, and no order of arrival loses what was passed, answered rightly or seen. What comes from
//! the lab is a stranger's: whoever is root in there can write anything ([`sane`]).

use super::progress::Record;
use crate::course::Course;

/// Takes over what `other` knows. Gives the exercise that is to be begun here, where the learner has
/// gone on to another one over there: it belongs to a kernel (ticks since its boot, its namespaces),
/// so it is begun anew and not carried over.
pub fn take_over(own: &mut Record, other: Record) -> Option<String> {
    for (id, when) in other.passed {
        let kept = own.passed.entry(id).or_insert(when);
        *kept = (*kept).min(when);
    }
    for (id, count) in other.hints {
        let kept = own.hints.entry(id).or_default();
        *kept = (*kept).max(count);
    }
    for (id, answered) in other.answers {
        let kept = own.answers.entry(id).or_default();
        // Whoever was asked more often knows in which box it lies.
        let of = |a: &super::progress::Answered| (a.tries, a.due, a.level);
        if of(&answered) > of(kept) {
            (kept.level, kept.due) = (answered.level, answered.due);
        }
        kept.tries = kept.tries.max(answered.tries);
        kept.right |= answered.right;
    }
    let at = |record: Option<&super::progress::Place>| record.map(|p| p.since);
    if at(other.place.as_ref()) <= at(own.place.as_ref()) {
        return None;
    }
    own.place = other.place;
    other.exercise.map(|e| e.id).filter(|id| own.exercise.as_ref().is_none_or(|e| e.id != *id))
}

/// A record without what this course does not know, and with nothing beyond what it has.
pub fn sane(mut record: Record, course: &Course) -> Record {
    let exercises = course.exercise_ids();
    let hints = |id: &String| course.exercise_source(id).map_or(0, |(_, source)| source.hints.len());
    let chapters: Vec<_> = course.folders.iter().filter_map(|folder| course.chapter(folder).ok()).collect();
    let asked = |id: &String| chapters.iter().any(|chapter| chapter.quiz.iter().any(|q| q.id == *id));
    record.passed.retain(|id, _| exercises.contains(id));
    record.hints.retain(|id, _| exercises.contains(id));
    record.hints.iter_mut().for_each(|(id, count)| *count = (*count).min(hints(id)));
    record.answers.retain(|id, _| asked(id));
    record.answers.values_mut().for_each(|answered| {
        answered.tries = answered.tries.min(1 << 20);
        super::leitner::bound(answered, std::time::SystemTime::now());
    });
    record.exam = None;
    record.exercise = record.exercise.filter(|e| exercises.contains(&e.id));
    record.place = record.place.and_then(|mut place| {
        let chapter = chapters.iter().find(|chapter| chapter.slug() == place.chapter)?;
        place.part = place.part.min(chapter.lesson.parts.len());
        // Not beyond now, or nothing here could ever be later.
        place.since = place.since.min(std::time::SystemTime::now());
        Some(place)
    });
    record
}
