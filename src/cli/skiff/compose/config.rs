//! `skiff compose config`: the file as it is understood.

use super::super::{Outcome, boxed};
use super::Session;
use crate::compose::{Project, labels};
use crate::kernel::OrSys;
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;

// Options of `skiff compose config`.
#[derive(Debug, Args)]
pub struct Config {
    /// yaml or json
    #[arg(long, value_name = "FORMAT", default_value = "yaml", value_parser = ["yaml", "json"])]
    format: String,
    /// Print nothing: say only whether the file can be used
    #[arg(short, long)]
    quiet: bool,
    /// Only the names of the services, each after those that it depends on
    #[arg(long)]
    services: bool,
    /// Only the names of the volumes
    #[arg(long)]
    volumes: bool,
    /// Only the names of the networks
    #[arg(long)]
    networks: bool,
    /// Only the names of the images
    #[arg(long)]
    images: bool,
    /// Only the names of the profiles
    #[arg(long)]
    profiles: bool,
    /// Only the variables that are filled in
    #[arg(long)]
    environment: bool,
    /// Only what tells `up` whether a service has changed; * for all
    #[arg(long, value_name = "SERVICE")]
    hash: Option<String>,
    /// Leave variables as they stand
    #[arg(long)]
    no_interpolate: bool,
    /// Write to a file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only these services, and what they need
    services_wanted: Vec<String>,
}

/// Prints it.
pub fn config(mut session: Session<'_>, args: &Config) -> Outcome {
    session.options.keep_variables = args.no_interpolate;
    let mut project = session.load(&args.services_wanted)?;
    if args.quiet {
        return Ok(0);
    }
    let text = match names(&project, args) {
        Some(names) => names.iter().map(|name| format!("{name}\n")).collect(),
        None => {
            let wanted = project.selected(&args.services_wanted, true);
            if let Some(Value::Object(services)) = project.tree.get_mut("services") {
                services.retain(|name, _| wanted.contains(name));
            }
            let tree = Value::Object(project.tree);
            if args.format == "json" { format!("{tree:#}\n") } else { yaml(&tree, !args.no_interpolate) }
        }
    };
    match &args.output {
        Some(path) => std::fs::write(path, text).or_sys_with(|| format!("write {}", path.display())).map_err(boxed)?,
        None => print!("{text}"),
    }
    Ok(0)
}

/// The names that were asked for instead.
fn names(project: &Project, args: &Config) -> Option<Vec<String>> {
    let services = || project.services.iter();
    if args.services {
        return Some(project.order().unwrap_or_default());
    }
    if args.volumes {
        return Some(project.volumes.keys().cloned().collect());
    }
    if args.networks {
        return Some(project.networks.keys().cloned().collect());
    }
    if args.images {
        return Some(services().map(|(name, s)| s.image_name(&project.name, name)).collect());
    }
    if args.profiles {
        let mut all: Vec<String> = services().flat_map(|(_, s)| s.profiles.clone()).chain(project.asleep.values().flatten().cloned()).collect();
        all.sort();
        all.dedup();
        return Some(all);
    }
    if args.environment {
        return Some(project.environment.iter().map(|(name, value)| format!("{name}={value}")).collect());
    }
    let wanted = args.hash.as_deref()?;
    let meant = services().filter(|(name, _)| wanted == "*" || wanted.split(',').any(|w| w == *name));
    Some(meant.map(|(name, _)| format!("{name} {}", labels::hash(project, name))).collect())
}

/// Keys that stand first, in this order; the others follow by the alphabet.
const FIRST: [&str; 12] = ["name", "services", "networks", "volumes", "secrets", "configs", "type", "source", "mode", "host_ip", "target", "published"];

/// As YAML, in Docker Compose's hand. A `$` is doubled, so that the text can be read again as a file.
fn yaml(tree: &Value, doubled: bool) -> String {
    let mut text = String::new();
    write(tree, 0, doubled, &mut text);
    text
}

/// The members of an object, in the order in which they are shown.
fn members(object: &serde_json::Map<String, Value>, top: bool) -> Vec<(&String, &Value)> {
    let mut members: Vec<(&String, &Value)> = object.iter().collect();
    // In a service `volumes` is a key as any other; of what is short its kind and names come first.
    if top || object.contains_key("target") || object.contains_key("source") {
        members.sort_by_key(|(key, _)| FIRST.iter().position(|f| f == key).unwrap_or(FIRST.len()));
    }
    members
}

fn write(value: &Value, indent: usize, doubled: bool, to: &mut String) {
    match value {
        Value::Object(object) => {
            for (nth, (key, value)) in members(object, indent == 0).into_iter().enumerate() {
                // The first stands where its object begins, behind a dash maybe.
                if nth > 0 || to.ends_with('\n') || to.is_empty() {
                    *to += &" ".repeat(indent);
                }
                *to += &format!("{}:", scalar(&Value::from(key.as_str()), doubled));
                inner(value, indent + 2, doubled, to);
            }
        }
        Value::Array(list) => {
            for item in list {
                *to += &format!("{}-", " ".repeat(indent));
                match item {
                    Value::Object(object) if !object.is_empty() => {
                        to.push(' ');
                        write(item, indent + 2, doubled, to);
                    }
                    item => inner(item, indent + 2, doubled, to),
                }
            }
        }
        _ => {}
    }
}

/// What stands behind a key or a dash.
fn inner(value: &Value, indent: usize, doubled: bool, to: &mut String) {
    let is_empty = |v: &Value| v.as_object().is_some_and(serde_json::Map::is_empty) || v.as_array().is_some_and(Vec::is_empty);
    if matches!(value, Value::Object(_) | Value::Array(_)) && !is_empty(value) {
        to.push('\n');
        write(value, indent, doubled, to);
    } else {
        *to += &format!(" {}\n", scalar(value, doubled));
    }
}

/// A value that is one word. Texts that YAML would take for something else are quoted.
fn scalar(value: &Value, doubled: bool) -> String {
    let Value::String(text) = value else { return value.to_string() };
    let text = if doubled { text.replace('$', "$$") } else { text.clone() };
    let plain = serde_yaml::to_string(&text).unwrap_or_default();
    let plain = plain.trim_end();
    // JSON's quoted texts are YAML's too, and stay on one line.
    if plain == text && !text.chars().any(char::is_control) { text } else { escaped(&Value::from(text).to_string()) }
}

/// What JSON may hold as it is and YAML may not ("Character Set" of its specification), by number.
fn escaped(quoted: &str) -> String {
    quoted.chars().map(|c| if matches!(c, '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}') { format!("\\u{:04x}", c as u32) } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn it_is_written_in_composes_hand() {
        let tree = json!({ "services": { "web": { "command": ["sh", "-c", "echo $A\nb"], "ports": [{ "target": 80, "mode": "ingress", "published": "80" }], "networks": { "default": null }, "build": {}, "tty": true } }, "name": "app" });
        let text = "name: app\nservices:\n  web:\n    build: {}\n    command:\n      - sh\n      - -c\n      - \"echo $$A\\nb\"\n    networks:\n      default: null\n    \
                    ports:\n      - mode: ingress\n        target: 80\n        published: \"80\"\n    tty: true\n";
        assert_eq!(yaml(&tree, true), text);
        assert_eq!(yaml(&json!({ "name": "a\u{7f}\u{85}\u{ffff}" }), false), "name: \"a\\u007f\\u0085\\uffff\"\n");
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i32>().prop_map(Value::from), ".{0,12}".prop_map(Value::from), "[0-9:.eyno~-]{0,5}".prop_map(Value::from)];
        leaf.prop_recursive(4, 30, 4, |inner| {
            let object = proptest::collection::btree_map("[a-z0-9 :-]{1,5}|target|source|mode", inner.clone(), 0..4).prop_map(|map| Value::Object(map.into_iter().collect()));
            prop_oneof![proptest::collection::vec(inner, 0..3).prop_map(Value::from), object]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_as_it_was(tree in proptest::collection::btree_map("[a-z]{1,5}", tree(), 1..4)) {
            let tree = Value::Object(tree.into_iter().collect());
            let text = yaml(&tree, false);
            prop_assert_eq!(serde_yaml::from_str::<Value>(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?, tree, "{}", text);
        }
    }
}
