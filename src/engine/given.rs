//! `-v`, `--mount` and `--tmpfs` as texts: what is mounted into a container, as Docker's command line and
//! its API have it. Pure but for the folder that `-v` makes where the host has none.

use super::error::Error;
use super::request::{Bind, Request, Tmpfs};
use super::volume::Asked;
use crate::kernel::OrSys;
use std::path::{Path, PathBuf};

const EXAMPLE: &str = "-v data:/data:ro, or -v /srv/data:/data";
const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

fn option(option: &'static str, value: &str, reason: &str, example: &'static str) -> Error {
    Error::Option { option, value: value.to_owned(), reason: reason.to_owned(), example }
}

/// One `-v`. A path of the host that is missing is made.
///
/// # Errors
/// [`Error::Option`] for what cannot be read.
pub fn volume(text: &str, request: &mut Request) -> Result<(), Error> {
    let bad = |reason: &str| option("--volume", text, reason, EXAMPLE);
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, modes) = match parts.as_slice() {
        [target] => ("", *target, ""),
        [source, target] => (*source, *target, ""),
        [source, target, modes] => (*source, *target, *modes),
        _ => return Err(bad("it is not [SOURCE:]TARGET[:OPTIONS]")),
    };
    if source.is_empty() && parts.len() > 1 {
        return Err(bad("the part before the : is empty"));
    }
    let (mut read_only, mut no_copy, mut propagation) = (false, false, None);
    for mode in modes.split(',').filter(|m| !m.is_empty()) {
        match mode {
            "rw" => read_only = false,
            "ro" => read_only = true,
            "nocopy" => no_copy = true,
            // SELinux labels, and what Docker Desktop's file sharing reads: nothing to do here.
            "z" | "Z" | "consistent" | "cached" | "delegated" => {}
            other if PROPAGATIONS.contains(&other) => propagation = Some(other.to_owned()),
            other => return Err(bad(&format!("{other:?} is no mode; ro, rw, nocopy, rshared, rslave, rprivate"))),
        }
    }
    if !source.starts_with(['/', '.', '~']) {
        let name = Some(source.to_owned()).filter(|s| !s.is_empty());
        if let Some(name) = &name {
            super::volume::store::check_name(name)?;
        }
        request.volumes.push(Asked { name, target: inside(target, "--volume", text)?, read_only, no_copy, ..Asked::default() });
        return Ok(());
    }
    if Path::new(source).components().any(|c| c == std::path::Component::ParentDir) && !source.starts_with(['/', '.']) {
        return Err(bad("a path of the host is absolute, or begins with ./"));
    }
    let target = inside(target, "--volume", text)?;
    // Docker makes what is missing for -v, and not for --mount.
    std::fs::create_dir_all(source).or_else(|e| if Path::new(source).exists() { Ok(()) } else { Err(e) }).or_sys_with(|| format!("make {source} as a volume"))?;
    request.binds.push(bind(source, target, read_only, propagation)?);
    Ok(())
}

fn bind(source: &str, target: PathBuf, read_only: bool, propagation: Option<String>) -> Result<Bind, Error> {
    let source = std::fs::canonicalize(source).or_sys_with(|| format!("use {source} as a volume"))?;
    Ok(Bind { source, target, read_only, propagation })
}

/// A path inside: absolute, and without `..`, which would mean something else after each symlink.
fn inside(target: &str, flag: &'static str, text: &str) -> Result<PathBuf, Error> {
    let path = PathBuf::from(target);
    if !path.is_absolute() || path.components().any(|c| c == std::path::Component::ParentDir) {
        return Err(option(flag, text, "the path inside must be absolute and without `..`", "-v /srv/data:/data"));
    }
    if path.components().count() == 1 {
        return Err(option(flag, text, "the path inside cannot be / itself", "-v /srv/data:/data"));
    }
    Ok(path)
}

/// One `--tmpfs`.
///
/// # Errors
/// [`Error::Option`] for what cannot be read.
pub fn tmpfs(text: &str) -> Result<Tmpfs, Error> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let options = options.split(',').filter(|o| !o.is_empty()).map(String::from).collect();
    Ok(Tmpfs { target: inside(target, "--tmpfs", text)?, options })
}

/// The fields of `--mount`: between commas, those with a comma inside in double quotes (RFC 4180).
fn fields(text: &str) -> Vec<String> {
    let (mut found, mut field, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => found.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    found.push(field);
    found
}

/// One `--mount`.
///
/// # Errors
/// [`Error::Option`] for what cannot be read.
pub fn mount(text: &str, request: &mut Request) -> Result<(), Error> {
    let bad = |reason: &str| option("--mount", text, reason, "--mount type=bind,source=/srv/data,target=/data,readonly");
    let (mut kind, mut source, mut target, mut tmpfs, mut propagation) = ("volume".to_owned(), String::new(), String::new(), Vec::new(), None);
    let mut asked = Asked::default();
    for field in fields(text) {
        let (key, value) = field.split_once('=').unwrap_or((&field, "true"));
        let truth = || match value {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(bad(&format!("{key} is true or false"))),
        };
        let pair = || { let (name, value) = value.split_once('=').unwrap_or((value, "")); (name.to_owned(), value.to_owned()) };
        match key {
            "type" => kind = value.to_owned(),
            "source" | "src" => source = value.to_owned(),
            "target" | "destination" | "dst" => target = value.to_owned(),
            "readonly" | "ro" => asked.read_only = truth()?,
            "volume-nocopy" => asked.no_copy = truth()?,
            "volume-label" => asked.labels.extend([pair()]),
            "volume-opt" => asked.options.extend([pair()]),
            "volume-driver" if value == "local" => {}
            "volume-driver" => return Err(bad("there is one driver: local")),
            "bind-propagation" if PROPAGATIONS.contains(&value) => propagation = Some(value.to_owned()),
            "bind-propagation" => return Err(bad("bind-propagation is one of rprivate, private, rshared, shared, rslave, slave")),
            "consistency" => {}
            "tmpfs-size" => tmpfs.push(format!("size={value}")),
            "tmpfs-mode" => tmpfs.push(format!("mode={value}")),
            other => return Err(bad(&format!("{other:?} is no key of it"))),
        }
    }
    let target = inside(&target, "--mount", text)?;
    match kind.as_str() {
        "bind" => request.binds.push(bind(&source, target, asked.read_only, propagation)?),
        "volume" => {
            let name = Some(source).filter(|s| !s.is_empty());
            name.iter().try_for_each(|name| super::volume::store::check_name(name))?;
            request.volumes.push(Asked { name, target, ..asked });
        }
        "tmpfs" => {
            if asked.read_only {
                tmpfs.push("ro".into());
            }
            request.tmpfs.push(Tmpfs { target, options: tmpfs });
        }
        other => return Err(bad(&format!("the type {other:?} is not there; volume, bind or tmpfs"))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(flag: &str, text: &str) -> Result<Request, String> {
        let mut request = Request::default();
        let one = if flag == "-v" { volume(text, &mut request) } else { mount(text, &mut request) };
        one.map(|()| request).map_err(|e| e.to_string())
    }

    #[test]
    fn what_docker_writes_is_read() {
        let one = |flag: &str, text: &str| read(flag, text).unwrap().volumes[0].clone();
        assert_eq!(one("-v", "data:/data"), Asked { name: Some("data".into()), target: "/data".into(), ..Asked::default() });
        assert_eq!(one("-v", "/data"), Asked { target: "/data".into(), ..Asked::default() });
        assert_eq!(one("-v", "data:/data:ro,nocopy"), Asked { name: Some("data".into()), target: "/data".into(), read_only: true, no_copy: true, ..Asked::default() });
        assert_eq!(one("--mount", "source=data,target=/data,readonly"), Asked { name: Some("data".into()), target: "/data".into(), read_only: true, ..Asked::default() });
        let options = one("--mount", "type=volume,dst=/data,\"volume-opt=o=size=1m,uid=7\",volume-label=a=b").options;
        assert_eq!(options.get("o").map(String::as_str), Some("size=1m,uid=7"));
        let bind = read("-v", "/tmp:/data:ro,rslave").unwrap().binds.remove(0);
        assert_eq!(bind, Bind { source: "/tmp".into(), target: "/data".into(), read_only: true, propagation: Some("rslave".into()) });
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (flag, text) in [
            ("-v", ""), ("-v", "data"), ("-v", ":/data"), ("-v", "data:"), ("-v", "data:/"), ("-v", "data://"), ("-v", "data:/a/../b"), ("-v", "a/b:/data"),
            ("-v", "data/..:/data"), ("-v", "data:/data:rx"), ("-v", "a:b:c:d"), ("-v", "d:/data"), ("--mount", "type=volume,source=../x,target=/data"),
            ("--mount", "type=npipe,target=/x"), ("--mount", "target=/x,readonly=maybe"), ("--mount", "type=volume"), ("--mount", "type=volume,volume-driver=nfs,target=/x"),
        ] {
            assert!(read(flag, text).is_err(), "{flag} {text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a:,=/.\"]{0,20}") {
            let _ = mount(&text, &mut Request::default());
        }
    }
}
