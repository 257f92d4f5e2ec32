//! One form for each thing: what a service says in short is spelled out, so that merging, reading and
//! `config` meet each in one shape. Paths become absolute, seen from the folder of their file.

use super::short::{mount, ports, resolved, words};
use super::validate::Wrong;
use serde_json::{Map, Value, json};
use std::path::Path;

/// A JSON object.
pub type Object = Map<String, Value>;

/// Spells out a whole file that was found valid.
pub fn file(tree: &mut Object, folder: &Path) -> Result<(), Wrong> {
    for section in ["services", "networks", "volumes", "secrets", "configs"] {
        let bad = |name: &&String| name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if let Some(name) = tree.get(section).and_then(Value::as_object).and_then(|all| all.keys().find(bad)) {
            return Err(Wrong { path: vec![section.to_owned(), name.clone()], what: format!("{section}: {name:?} cannot be a name"), hint: Some("letters, digits, `.`, `_` and `-`".into()) });
        }
    }
    for (name, service) in members(tree, "services") {
        let Some(service) = service.as_object_mut() else { continue };
        self::service(service, folder).map_err(|w| under(w, &["services", &name]))?;
    }
    for section in ["networks", "volumes"] {
        members(tree, section).into_iter().filter_map(|(_, m)| m.as_object_mut()).for_each(|member| pairs(member, "labels"));
    }
    for section in ["secrets", "configs"] {
        for (_, member) in members(tree, section) {
            if let Some(Value::String(path)) = member.get_mut("file") {
                *path = shown(&resolved(path, folder));
            }
        }
    }
    Ok(())
}

/// A fault, with the place of what it lies in before its own path.
pub fn under(wrong: Wrong, outer: &[&str]) -> Wrong {
    let path = outer.iter().map(|p| (*p).to_owned()).chain(wrong.path).collect();
    Wrong { path, ..wrong }
}

/// The members of a section, with their names.
fn members<'t>(tree: &'t mut Object, section: &str) -> Vec<(String, &'t mut Value)> {
    tree.get_mut(section).and_then(Value::as_object_mut).into_iter().flatten().map(|(name, value)| (name.clone(), value)).collect()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn service(service: &mut Object, folder: &Path) -> Result<(), Wrong> {
    for key in ["command", "entrypoint"] {
        if let Some(Value::String(line)) = service.get(key) {
            let split = words(line).map_err(|w| under(w, &[key]))?;
            service.insert(key.into(), json!(split));
        }
    }
    for key in ["environment", "labels"] {
        pairs(service, key);
    }
    for key in ["dns", "dns_search", "tmpfs"] {
        listed(service, key);
    }
    if let Some(Value::Object(check)) = service.get_mut("healthcheck")
        && let Some(Value::String(line)) = check.get("test")
    {
        check["test"] = json!(["CMD-SHELL", line]);
    }
    hosts(service);
    env_files(service, folder);
    keyed(service, "depends_on", &json!({ "condition": "service_started", "required": true }));
    keyed(service, "networks", &Value::Null);
    for key in ["secrets", "configs"] {
        grants(service, key);
    }
    if let Some(Value::String(other)) = service.get("extends") {
        service["extends"] = json!({ "service": other });
    }
    for (_, limit) in members(service, "ulimits") {
        if limit.is_number() {
            *limit = json!({ "soft": limit, "hard": limit });
        }
    }
    build(service, folder);
    all_ports(service)?;
    mounts(service, folder)
}

/// `NAME=VALUE` in a list as a mapping; a name alone has no value.
fn pairs(of: &mut Object, key: &str) {
    if let Some(Value::Object(map)) = of.get_mut(key).filter(|_| key == "labels") {
        map.values_mut().filter(|v| v.is_null()).for_each(|v| *v = json!(""));
    }
    if let Some(Value::Array(list)) = of.get(key) {
        let pair = |text: &str| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), json!(value)),
            None => (text.to_owned(), if key == "labels" { json!("") } else { Value::Null }),
        };
        let all: Object = list.iter().filter_map(Value::as_str).map(pair).collect();
        of.insert(key.into(), Value::Object(all));
    }
}

/// A text alone as a list of one.
fn listed(of: &mut Object, key: &str) {
    if let Some(Value::String(one)) = of.get(key) {
        let list = json!([one]);
        of.insert(key.into(), list);
    }
}

/// A list of names as a mapping.
fn keyed(of: &mut Object, key: &str, value: &Value) {
    if let Some(Value::Array(list)) = of.get(key) {
        let all: Object = list.iter().filter_map(Value::as_str).map(|name| (name.to_owned(), value.clone())).collect();
        of.insert(key.into(), Value::Object(all));
    }
}

/// Lines of /etc/hosts: each `NAME=ADDRESS`.
fn hosts(of: &mut Object) {
    let all: Vec<String> = match of.get("extra_hosts") {
        Some(Value::Object(map)) => {
            let each = |(name, value): (&String, &Value)| match value {
                Value::Array(list) => list.iter().filter_map(Value::as_str).map(|a| format!("{name}={a}")).collect(),
                other => vec![format!("{name}={}", other.as_str().unwrap_or_default())],
            };
            map.iter().flat_map(each).collect()
        }
        // A name has no colon, an IPv6 address may have many.
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(|t| if t.contains('=') { t.to_owned() } else { t.replacen(':', "=", 1) }).collect(),
        _ => return,
    };
    of.insert("extra_hosts".into(), json!(all));
}

fn env_files(service: &mut Object, folder: &Path) {
    listed(service, "env_file");
    for file in service.get_mut("env_file").and_then(Value::as_array_mut).into_iter().flatten() {
        let (path, required) = match &file {
            Value::String(path) => (path.clone(), true),
            long => (long["path"].as_str().unwrap_or_default().to_owned(), long["required"].as_bool().unwrap_or(true)),
        };
        *file = json!({ "path": shown(&resolved(&path, folder)), "required": required });
    }
}

fn grants(service: &mut Object, key: &str) {
    for grant in service.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::String(name) = &grant {
            *grant = json!({ "source": name });
        }
    }
}

fn build(service: &mut Object, folder: &Path) {
    if let Some(Value::String(context)) = service.get("build") {
        service["build"] = json!({ "context": context });
    }
    let Some(Value::Object(build)) = service.get_mut("build") else { return };
    // Where nothing is said of it, a file below may have said it.
    if let Some(Value::String(context)) = build.get_mut("context") {
        let remote = ["http://", "https://", "git@", "git://"].iter().any(|p| context.starts_with(p));
        if !remote {
            *context = shown(&resolved(context, folder));
        }
    }
    pairs(build, "args");
    pairs(build, "labels");
    hosts(build);
    grants(build, "secrets");
}

fn all_ports(service: &mut Object) -> Result<(), Wrong> {
    let Some(Value::Array(list)) = service.get_mut("ports") else { return Ok(()) };
    let mut all = Vec::new();
    for (nth, port) in std::mem::take(list).into_iter().enumerate() {
        match port {
            Value::String(text) => all.extend(ports(&text).map_err(|w| under(w, &["ports", &nth.to_string()]))?),
            Value::Object(mut long) => {
                if !long.contains_key("target") {
                    let what = "a port needs a target: the port in the container".to_owned();
                    return Err(Wrong { path: vec!["ports".into(), nth.to_string()], what, hint: Some("target: 80".into()) });
                }
                long.entry("mode").or_insert(json!("ingress"));
                long.entry("protocol").or_insert(json!("tcp"));
                all.push(Value::Object(long));
            }
            other => all.push(other),
        }
    }
    *list = all;
    Ok(())
}

fn mounts(service: &mut Object, folder: &Path) -> Result<(), Wrong> {
    for (nth, item) in service.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten().enumerate() {
        let nth = nth.to_string();
        if let Value::String(text) = &item {
            *item = mount(text, folder).map_err(|w| under(w, &["volumes", &nth]))?;
            continue;
        }
        let at = |what: &str| Wrong { path: vec!["volumes".into(), nth.clone()], what: what.to_owned(), hint: Some("{type: volume, source: data, target: /data}, or {type: bind, source: ./data, target: /data}".into()) };
        let Some(long) = item.as_object_mut() else { continue };
        let kind = long.get("type").and_then(Value::as_str).ok_or_else(|| at("a volume needs a type: bind, volume or tmpfs"))?.to_owned();
        if !long.get("target").and_then(Value::as_str).is_some_and(|t| t.starts_with('/')) {
            return Err(at("a volume needs a target: the absolute path in the container"));
        }
        if kind == "bind" {
            let source = long.get("source").and_then(Value::as_str).ok_or_else(|| at("a bind needs a source: a path of the host"))?;
            let source = shown(&resolved(source, folder));
            long.insert("source".into(), json!(source));
        }
    }
    Ok(())
}
