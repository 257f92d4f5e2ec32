//! Which service comes before which: an order in which each comes after all that it depends on.

use std::collections::{BTreeMap, BTreeSet};

/// For each service those that it depends on.
pub type Needs = BTreeMap<String, BTreeSet<String>>;

/// All of them, each after what it needs; or a way that leads back to its beginning.
pub fn order(needs: &Needs) -> Result<Vec<String>, Vec<String>> {
    let (mut done, mut way) = (Vec::new(), Vec::new());
    for name in needs.keys() {
        visit(name, needs, &mut done, &mut way)?;
    }
    Ok(done)
}

fn visit(name: &str, needs: &Needs, done: &mut Vec<String>, way: &mut Vec<String>) -> Result<(), Vec<String>> {
    if done.iter().any(|d| d == name) {
        return Ok(());
    }
    if let Some(at) = way.iter().position(|w| w == name) {
        return Err(way[at..].iter().cloned().chain([name.to_owned()]).collect());
    }
    way.push(name.to_owned());
    for need in needs.get(name).into_iter().flatten() {
        visit(need, needs, done, way)?;
    }
    way.pop();
    done.push(name.to_owned());
    Ok(())
}

/// These, and all that they need.
pub fn with_needs(names: &[String], needs: &Needs) -> BTreeSet<String> {
    let (mut found, mut next) = (BTreeSet::new(), names.to_vec());
    while let Some(name) = next.pop() {
        if found.insert(name.clone()) {
            next.extend(needs.get(&name).into_iter().flatten().cloned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn needs(pairs: &[(&str, &[&str])]) -> Needs {
        pairs.iter().map(|(name, of)| ((*name).to_owned(), of.iter().map(|n| (*n).to_owned()).collect())).collect()
    }

    #[test]
    fn each_comes_after_what_it_needs_and_a_circle_is_shown() {
        assert_eq!(order(&needs(&[("api", &["db"]), ("db", &[]), ("web", &["api", "db"])])).unwrap(), ["db", "api", "web"]);
        assert_eq!(order(&needs(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])])).unwrap_err(), ["b", "c", "b"]);
        assert_eq!(order(&needs(&[("a", &["a"])])).unwrap_err(), ["a", "a"]);
    }

    proptest! {
        #[test]
        fn whatever_has_no_circle_is_put_in_order(edges in proptest::collection::vec((0u8..12, 0u8..12), 0..40)) {
            let mut all: Needs = (0..12).map(|n| (format!("{n:02}"), BTreeSet::new())).collect();
            // A service needs only those of smaller numbers: no circle.
            for (one, other) in edges.into_iter().filter(|(one, other)| other < one) {
                all.get_mut(&format!("{one:02}")).unwrap().insert(format!("{other:02}"));
            }
            let order = order(&all).unwrap();
            prop_assert_eq!(order.len(), all.len());
            let place = |name: &String| order.iter().position(|o| o == name).unwrap();
            prop_assert!(all.iter().all(|(name, needs)| needs.iter().all(|need| place(need) < place(name))));
        }
    }
}
