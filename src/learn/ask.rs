//! Asks the machine: runs what a question is about, and leaves nothing of it.
//!
//! Where the command calls `skiff`, a `skiff` stands first on its PATH that keeps images and
//! containers in a folder which is thrown away afterwards; through `sudo` too, which drops variables.

use super::doctor::{Report, met};
use super::{Home, shell};
use crate::kernel::{OrSys, SysError};
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a command needs that this machine lacks, as far as its words tell.
pub fn lacks(command: &str, report: &Report) -> Option<String> {
    let has = |word: &str| command.split(|c: char| c.is_whitespace() || "\"'();|".contains(c)).any(|w| w == word);
    let is_root = nix::unistd::geteuid().is_root();
    let needs = [
        ("root", has("sudo")),
        ("unshare", has("unshare")),
        ("user-namespaces", has("--user")),
        ("namespaces", is_root && (has("unshare") || has("skiff"))),
        ("memory-controller", has("skiff") && has("-m")),
    ];
    needs.iter().filter(|(_, needed)| *needed).find_map(|(need, _)| met(need, report).err())
}

/// What a command prints, on both streams. `Err` says why it could not be tried.
pub fn output(command: &str, home: &Home) -> Result<String, String> {
    let said = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    if !command.contains("skiff") {
        return Ok(said(&sh(command, None).map_err(|e| e.to_string())?));
    }
    let engine = Engine::make(home).map_err(|e| e.to_string())?;
    // The image is made before, or its making would be part of what is printed.
    let first = if command.contains("sudo") { "sudo \"$(command -v skiff)\" run --rm base true" } else { "skiff run --rm base true" };
    let made = sh(first, Some(&engine.folder)).map_err(|e| e.to_string())?;
    if !made.status.success() {
        let text = said(&made);
        let line = text.lines().find(|l| l.starts_with("error: ")).or(text.lines().last());
        return Err(line.map_or_else(|| "skiff cannot run a container".into(), |l| l.trim_start_matches("error: ").to_owned()));
    }
    Ok(said(&sh(command, Some(&engine.folder)).map_err(|e| e.to_string())?))
}

fn sh(command: &str, first: Option<&Path>) -> Result<Output, SysError> {
    let beside = shell::skiff().parent().map(Path::to_path_buf);
    let mut path = OsString::new();
    for folder in first.into_iter().chain(beside.as_deref()) {
        path.push(folder);
        path.push(":");
    }
    path.push(std::env::var_os("PATH").unwrap_or_default());
    // A root that the learner has set must not be taken instead.
    let run = Command::new("sh").arg("-c").arg(format!("({command}) 2>&1")).env("PATH", path).env_remove("SKIFF_ROOT").stdin(Stdio::null()).output();
    run.or_sys("run sh")
}

/// The folder's name up to the number of the process that uses it.
const NAME: &str = "ask-";

/// A `skiff` with a place of its own, gone when this is dropped.
struct Engine {
    folder: PathBuf,
}

impl Engine {
    fn make(home: &Home) -> Result<Self, SysError> {
        clear_old(home);
        let engine = Self { folder: home.folder.join(format!("{NAME}{}", std::process::id())) };
        home.make(&engine.folder)?;
        let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
        // By user: what root makes by sudo is not mixed with what the learner must be able to remove.
        let script = format!("#!/bin/sh\nexec {} --root {}/root-$(id -u) \"$@\"\n", quoted(&shell::skiff()), quoted(&engine.folder));
        let path = engine.folder.join("skiff");
        home.write(&path, script.as_bytes())?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).or_sys_with(|| format!("make {} executable", path.display()))?;
        Ok(engine)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        clear(&self.folder);
    }
}

/// Removes a folder, and what an engine in it may have left on the machine.
fn clear(folder: &Path) {
    let quiet = |command: &mut Command| drop(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status());
    quiet(Command::new(folder.join("skiff")).args(["system", "prune", "-f"]));
    if std::fs::remove_dir_all(folder).is_err() && !nix::unistd::geteuid().is_root() {
        quiet(Command::new("sudo").args(["-n", "rm", "-rf", "--"]).arg(folder));
    }
}

/// Clears what was left by a quiz that was killed in the middle.
fn clear_old(home: &Home) {
    for entry in std::fs::read_dir(&home.folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(NAME).and_then(|n| n.parse::<i32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            clear(&entry.path());
        }
    }
}
