//! One file over another (Compose specification, "Merge"): mappings are merged key by key, lists are
//! joined, everything else is replaced. A command, an entrypoint and a check's test are replaced whole;
//! of lists whose items stand for one place (a port, a mount) the later item counts.
//!
//! Both sides are in the spelled-out form. `!reset` takes a value away, `!override` replaces it whole.

use super::normal::Object;
use serde_json::Value;

/// What a tag in the upper file says of a value below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// It is taken away.
    Reset,
    /// It is replaced, not merged.
    Override,
}

/// Lists that the upper file replaces.
const REPLACED: [&str; 3] = ["command", "entrypoint", "test"];

/// Merges `over` into `base`, with the tags of `over`.
pub fn merge(base: &mut Object, mut over: Object, tags: &[(Vec<String>, Tag)]) {
    for (path, tag) in tags {
        remove(base, path);
        if *tag == Tag::Reset {
            remove(&mut over, path);
        }
    }
    objects(base, over);
}

/// Takes out what is at a path.
pub fn remove(tree: &mut Object, path: &[String]) {
    match path {
        [] => {}
        [last] => drop(tree.remove(last)),
        [first, rest @ ..] => {
            if let Some(Value::Object(inner)) = tree.get_mut(first) {
                remove(inner, rest);
            }
        }
    }
}

/// Merges two objects.
pub fn objects(base: &mut Object, over: Object) {
    for (key, value) in over {
        match base.get_mut(&key) {
            None => drop(base.insert(key, value)),
            Some(below) => one(&key, below, value),
        }
    }
}

fn one(key: &str, below: &mut Value, value: Value) {
    match (below, value) {
        (Value::Object(below), Value::Object(value)) => {
            // Options of another driver mean nothing to this one.
            if key == "logging" && value.get("driver").is_some_and(|d| below.get("driver").is_some_and(|b| b != d)) {
                *below = value;
            } else {
                objects(below, value);
            }
        }
        (Value::Array(below), Value::Array(value)) if !REPLACED.contains(&key) => {
            for item in value {
                // It stays where it stood: of servers, or files of variables, the order counts.
                match below.iter().position(|old| same_place(key, old, &item)) {
                    Some(at) => below[at] = item,
                    None => below.push(item),
                }
            }
        }
        // Nothing said about what is there already.
        (Value::Object(_) | Value::Array(_), Value::Null) if !REPLACED.contains(&key) => {}
        (below, value) => *below = value,
    }
}

/// Do both stand for the same thing in the container?
fn same_place(list: &str, one: &Value, other: &Value) -> bool {
    let same = |fields: &[&str]| fields.iter().all(|f| one.get(f) == other.get(f));
    match list {
        "ports" => same(&["target", "published", "host_ip", "protocol"]),
        "volumes" if one.is_object() => same(&["target"]),
        "env_file" if one.is_object() => same(&["path"]),
        // Where nothing is said it is called after its source.
        "secrets" | "configs" if one.is_object() => {
            let place = |grant: &Value| grant.get("target").or(grant.get("source")).cloned();
            place(one) == place(other)
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn merged(base: Value, over: Value) -> Value {
        let mut base = base.as_object().unwrap().clone();
        merge(&mut base, over.as_object().unwrap().clone(), &[]);
        Value::Object(base)
    }

    #[test]
    fn each_kind_is_merged_by_its_own_rule() {
        for (base, over, expected) in [
            (json!({"image": "a", "tty": true}), json!({"image": "b"}), json!({"image": "b", "tty": true})),
            (json!({"environment": {"A": "1", "B": "2"}}), json!({"environment": {"B": null, "C": "3"}}), json!({"environment": {"A": "1", "B": null, "C": "3"}})),
            (json!({"command": ["a", "b"]}), json!({"command": ["c"]}), json!({"command": ["c"]})),
            (json!({"healthcheck": {"test": ["CMD", "a"], "retries": 1}}), json!({"healthcheck": {"test": ["NONE"]}}), json!({"healthcheck": {"test": ["NONE"], "retries": 1}})),
            (json!({"dns": ["1.1.1.1"]}), json!({"dns": ["1.1.1.1", "9.9.9.9"]}), json!({"dns": ["1.1.1.1", "9.9.9.9"]})),
            (json!({"dns": ["1.1.1.1", "9.9.9.9"]}), json!({"dns": ["1.1.1.1"]}), json!({"dns": ["1.1.1.1", "9.9.9.9"]})),
            (json!({"env_file": [{"path": "a", "required": true}, {"path": "b"}]}), json!({"env_file": [{"path": "a", "required": false}]}), json!({"env_file": [{"path": "a", "required": false}, {"path": "b"}]})),
            (json!({"volumes": [{"target": "/a", "source": "x"}]}), json!({"volumes": [{"target": "/a", "source": "y"}, {"target": "/b"}]}), json!({"volumes": [{"target": "/a", "source": "y"}, {"target": "/b"}]})),
            (json!({"secrets": [{"source": "a", "target": "/k"}, {"source": "c"}]}), json!({"secrets": [{"source": "b", "target": "/k"}, {"source": "d", "target": "c"}]}), json!({"secrets": [{"source": "b", "target": "/k"}, {"source": "d", "target": "c"}]})),
            (json!({"ports": [{"target": 80, "published": "1"}]}), json!({"ports": [{"target": 80, "published": "2"}]}), json!({"ports": [{"target": 80, "published": "1"}, {"target": 80, "published": "2"}]})),
            (json!({"networks": {"a": {"aliases": ["x"]}}}), json!({"networks": {"a": null, "b": null}}), json!({"networks": {"a": {"aliases": ["x"]}, "b": null}})),
            (json!({"logging": {"driver": "json-file", "options": {"max-size": "1m"}}}), json!({"logging": {"driver": "none"}}), json!({"logging": {"driver": "none"}})),
        ] {
            assert_eq!(merged(base.clone(), over.clone()), expected, "{base} under {over}");
        }
    }

    #[test]
    fn tags_take_away_and_replace() {
        let mut base = json!({"web": {"ports": [1], "environment": {"A": "1"}, "image": "a"}}).as_object().unwrap().clone();
        let over = json!({"web": {"ports": [2], "environment": {"B": "2"}, "image": null}}).as_object().unwrap().clone();
        let path = |key: &str| vec!["web".to_owned(), key.to_owned()];
        merge(&mut base, over, &[(path("ports"), Tag::Override), (path("image"), Tag::Reset)]);
        assert_eq!(Value::Object(base), json!({"web": {"ports": [2], "environment": {"A": "1", "B": "2"}}}));
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "[a-c]{0,2}".prop_map(Value::from)];
        let inner = leaf.prop_recursive(3, 20, 4, |inner| prop_oneof![proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from), object(inner)]);
        object(inner)
    }

    fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
        let key = prop_oneof!["[a-c]", Just("command".to_owned()), Just("ports".to_owned())];
        proptest::collection::btree_map(key, inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn a_file_over_nothing_is_itself_and_nothing_over_a_file_changes_nothing(tree in tree()) {
            prop_assert_eq!(&merged(json!({}), tree.clone()), &tree);
            prop_assert_eq!(&merged(tree.clone(), json!({})), &tree);
        }

        #[test]
        fn whatever_the_upper_file_says_in_one_word_is_so_afterwards(base in tree(), over in tree()) {
            let merged = merged(base, over.clone());
            for (key, value) in over.as_object().unwrap().iter().filter(|(_, v)| v.is_string() || v.is_boolean()) {
                prop_assert_eq!(&merged[key], value);
            }
        }
    }
}
