//! The short forms of ports, mounts and commands, as one line of text, and what they stand for.

use super::validate::Wrong;
use crate::engine::network::{Published, port::Protocol};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

fn wrong(what: String, hint: &str) -> Wrong {
    Wrong { path: Vec::new(), what, hint: Some(hint.to_owned()) }
}

/// `8080:80`, `127.0.0.1:8080:80/tcp`, `8000-8010:8000-8010`: one long form for each port.
pub fn ports(text: &str) -> Result<Vec<Value>, Wrong> {
    let all = Published::parse(text).map_err(|e| wrong(format!("{text:?} is no port: {e}"), "[ADDRESS:][HOSTPORT:]PORT[/udp], such as \"8080:80\""))?;
    let long = |port: &Published| {
        let mut long = Map::new();
        long.insert("mode".into(), json!("ingress"));
        if !port.address.is_unspecified() {
            long.insert("host_ip".into(), json!(port.address.to_string()));
        }
        long.insert("target".into(), json!(port.port));
        match (port.host_port, port.until) {
            (0, _) => {}
            (from, 0) => drop(long.insert("published".into(), json!(from.to_string()))),
            (from, until) => drop(long.insert("published".into(), json!(format!("{from}-{until}")))),
        }
        long.insert("protocol".into(), json!(if port.protocol == Protocol::Udp { "udp" } else { "tcp" }));
        Value::Object(long)
    };
    Ok(all.iter().map(long).collect())
}

/// `[SOURCE:]TARGET[:OPTIONS]`; a source that is a path is below `folder` where it is relative.
pub fn mount(text: &str, folder: &Path) -> Result<Value, Wrong> {
    let bad = |problem: &str| wrong(format!("{text:?} is no volume: {problem}"), "data:/data, ./data:/data:ro, or /data");
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, options] => (Some(*source), *target, *options),
        _ => return Err(bad("it is not [SOURCE:]TARGET[:OPTIONS]")),
    };
    if !target.starts_with('/') {
        return Err(bad("the path inside must be absolute"));
    }
    let is_path = source.is_some_and(|s| s.starts_with(['.', '/', '~']));
    let mut long = json!({ "type": if is_path { "bind" } else { "volume" }, "target": target });
    match source {
        Some("") => return Err(bad("the part before the : is empty")),
        Some(source) if is_path => long["source"] = json!(resolved(source, folder)),
        Some(source) => long["source"] = json!(source),
        None => {}
    }
    let inner = if is_path { "bind" } else { "volume" };
    long[inner] = if is_path { json!({ "create_host_path": true }) } else { json!({}) };
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option {
            "ro" => long["read_only"] = json!(true),
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" => {}
            "nocopy" if !is_path => long["volume"]["nocopy"] = json!(true),
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" if is_path => long["bind"]["propagation"] = json!(option),
            other => return Err(bad(&format!("{other:?} is no option of it"))),
        }
    }
    Ok(long)
}

/// A path of a file, seen from a folder; `~` is the user's own.
pub fn resolved(path: &str, folder: &Path) -> PathBuf {
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    let below_home = path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let path = match below_home.and_then(|rest| Some(home()?.join(rest.trim_start_matches('/')))) {
        Some(path) => path,
        None => folder.join(path),
    };
    // Without `.` and `..`, as far as that needs no look at the disk.
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// A line as a shell would split it: words between blanks, with quotes and backslashes.
pub fn words(line: &str) -> Result<Vec<String>, Wrong> {
    let (mut found, mut word, mut quote, mut chars) = (Vec::new(), None::<String>, None, line.chars());
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                let next = chars.next().unwrap_or('\\');
                let word = word.get_or_insert_default();
                if quote.is_some() && !matches!(next, '"' | '\\' | '$' | '`') {
                    word.push('\\');
                }
                word.push(next);
            }
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => found.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    found.extend(word);
    match quote {
        Some(quote) => Err(wrong(format!("{line:?} has a {quote} that is not closed"), "a list needs no quotes: [\"sh\", \"-c\", \"echo it's me\"]")),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_forms_stand_for_long_ones() {
        assert_eq!(ports("80").unwrap(), [json!({ "mode": "ingress", "target": 80, "protocol": "tcp" })]);
        assert_eq!(ports("127.0.0.1:53:53/udp").unwrap(), [json!({ "mode": "ingress", "host_ip": "127.0.0.1", "target": 53, "published": "53", "protocol": "udp" })]);
        assert_eq!(ports("8000-8001:80-81").unwrap().len(), 2);
        assert_eq!(ports("8000-8010:80").unwrap()[0]["published"], "8000-8010");
        let volume = |text: &str| mount(text, Path::new("/srv/app")).unwrap();
        assert_eq!(volume("data:/data:ro"), json!({ "type": "volume", "target": "/data", "source": "data", "volume": {}, "read_only": true }));
        assert_eq!(volume("./x/../y:/data"), json!({ "type": "bind", "target": "/data", "source": "/srv/app/y", "bind": { "create_host_path": true } }));
        assert_eq!(volume("/data"), json!({ "type": "volume", "target": "/data", "volume": {} }));
        for text in ["", "data", "a:b:c:d", ":/data", "data:rel", "data:/data:rx", "./a:/b:nocopy"] {
            assert!(mount(text, Path::new("/")).is_err(), "{text}");
        }
    }

    #[test]
    fn commands_are_split_as_a_shell_does() {
        assert_eq!(words(r#"sh -c 'echo "a  b"' "c \"d\" \n" e\ f '' "#).unwrap(), ["sh", "-c", "echo \"a  b\"", "c \"d\" \\n", "e f", ""]);
        assert!(words("echo it's").is_err() && words("  ").unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(text in "[a-z:/.~,'\"\\\\ 0-9-]{0,30}") {
            let _ = (ports(&text), mount(&text, Path::new("/")), words(&text));
        }
    }
}
