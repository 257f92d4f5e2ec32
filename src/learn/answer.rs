//! Marking answers: what is right, and what a wrong one is told.

use crate::course::quiz::{Kind, Question};
use sha2::{Digest, Sha256};

/// What an answer comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// Right or wrong.
    pub right: bool,
    /// Why; one for each choice that was taken, or missed.
    pub because: Vec<String>,
}

/// The order in which a learner sees `count` things: shuffled by their seed, and the same each time.
pub fn order(seed: &str, question: &str, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let key = |i: &usize| Sha256::digest(format!("{seed}\n{question}\n{i}").as_bytes()).to_vec();
    order.sort_by_key(key);
    order
}

/// Marks the choices taken, by index into the question's own list. For `predict` the truth may come
/// from what a command just printed: see [`truth`].
pub fn choices(question: &Question, taken: &[usize], truth: Option<usize>) -> Marked {
    let is_right = |i: usize| truth.map_or_else(|| question.choices.get(i).is_some_and(|c| c.right), |t| t == i);
    let right = (0..question.choices.len()).all(|i| is_right(i) == taken.contains(&i));
    let mut because: Vec<String> =
        taken.iter().filter_map(|i| question.choices.get(*i)).map(|c| format!("{}: {}", c.text.trim(), c.because.trim())).collect();
    if !right && question.kind == Kind::Several {
        let missed = question.choices.iter().enumerate().filter(|(i, _)| is_right(*i) && !taken.contains(i));
        because.extend(missed.map(|(_, c)| format!("missed: {}: {}", c.text.trim(), c.because.trim())));
    }
    Marked { right, because }
}

/// Which choice a command's output shows to be right.
pub fn truth(question: &Question, output: &str) -> Option<usize> {
    let shown = |c: &crate::course::quiz::Choice| c.output.clone().unwrap_or_else(|| c.text.clone());
    // The author's right answer first: a short wrong one, such as `1`, may be part of any output.
    let right = question.choices.iter().position(|c| c.right)?;
    let fits = |i: usize| question.choices.get(i).is_some_and(|c| output.contains(shown(c).trim()));
    if fits(right) { Some(right) } else { (0..question.choices.len()).find(|i| fits(*i)) }
}

/// Marks a typed answer against texts or numbers.
pub fn typed(question: &Question, given: &str, right: &[&str]) -> Marked {
    let given = tidy(given);
    let is_right = |wanted: &str| match (question.kind, given.parse::<f64>(), wanted.trim().parse::<f64>()) {
        (Kind::Number, Ok(g), Ok(w)) => (g - w).abs() <= question.tolerance,
        _ => tidy(wanted) == given,
    };
    let reason = || question.because.clone().unwrap_or_default().trim().to_owned();
    if right.iter().any(|r| is_right(r)) {
        return Marked { right: true, because: vec![reason()] };
    }
    let own = question.wrong.iter().find(|w| tidy(&w.is.0) == given).map(|w| w.because.trim().to_owned());
    let answer = format!("the answer is {}", right.first().unwrap_or(&""));
    Marked { right: false, because: vec![own.unwrap_or(answer), reason()].into_iter().filter(|s| !s.is_empty()).collect() }
}

/// Marks an order: indexes into the question's own list.
pub fn ordered(question: &Question, given: &[usize]) -> Marked {
    let right = given.len() == question.items.len() && given.iter().enumerate().all(|(i, g)| i == *g);
    let mut because = Vec::new();
    if !right {
        let first = given.iter().enumerate().find(|(i, g)| i != *g).and_then(|(i, _)| question.items.get(i));
        because.extend(first.map(|item| format!("the first that is out of place: here belongs \"{item}\"")));
    }
    because.push(question.because.clone().unwrap_or_default().trim().to_owned());
    Marked { right, because }
}

/// Case, outer space and quotes do not matter; what is a number may have separators.
fn tidy(text: &str) -> String {
    let text = text.trim().trim_matches(['"', '\'', '`']).to_lowercase();
    let digits: String = text.chars().filter(|c| !matches!(c, '_' | ',' | ' ')).collect();
    if digits.parse::<f64>().is_ok() { digits } else { text.split_whitespace().collect::<Vec<_>>().join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_kept_and_is_a_permutation() {
        let first = order("seed", "q", 5);
        assert_eq!(first, order("seed", "q", 5));
        assert_ne!(first, order("other", "q", 5));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4]);
    }
}
