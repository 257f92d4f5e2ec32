//! Putting an exercise back to its beginning: exactly what it declares, and nothing else.
//!
//! Processes are those that carry the mark of the learner's shell for this exercise, or sit in a
//! cgroup that it declares; containers are removed by the engine that the learner would use.

use super::Home;
use crate::course::Exercise;
use crate::kernel::OrSys;
use crate::kernel::cgroup::{Cgroup, Layout};
use crate::kernel::pidfd::Pidfd;
use crate::kernel::proc::{Process, pids};
use nix::sys::signal::Signal;
use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a reset did.
#[derive(Debug, Default)]
pub struct Done {
    /// What was removed, in words, one entry a thing.
    pub removed: Vec<String>,
    /// What would not go, and why.
    pub left: Vec<String>,
    /// Containers of skiff's that the exercise knows nothing of, by name: the learner's own.
    pub others: Vec<String>,
}

/// Removes what the exercise declares, and empties its work folder. The folder itself stays: a shell
/// may stand in it.
pub fn reset(exercise: &Exercise, home: &Home, since: u64, skiff: &Path) -> Done {
    let mut removed = Vec::new();
    let work = home.folder.join("work").join(exercise.id.replace('/', "-"));
    let touches = &exercise.touches;
    for name in &touches.projects {
        removed.extend(project(skiff, name));
    }
    let others = if touches.containers.is_empty() && touches.volumes.is_empty() && touches.networks.is_empty() { Vec::new() } else { others() };
    for program in std::iter::once(skiff).chain(others.iter().map(Path::new)) {
        for name in &touches.containers {
            if engine(program, &["rm", "-f", "-v", name]) {
                removed.push(format!("container {name}"));
            }
        }
        for name in &touches.networks {
            if engine(program, &["network", "rm", name]) {
                removed.push(format!("network {name}"));
            }
        }
        for name in &touches.volumes {
            if engine(program, &["volume", "rm", name]) {
                removed.push(format!("volume {name}"));
            }
        }
    }
    if exercise.touches.processes {
        removed.extend(processes(&work, since));
    }
    if let Ok(layout) = Layout::read() {
        for name in &exercise.touches.cgroups {
            if let Ok(Some(group)) = Cgroup::open(&layout, name)
                && group.destroy().is_ok()
            {
                removed.push(format!("cgroup {name}"));
            }
        }
    }
    for name in &exercise.touches.images {
        if engine(skiff, &["rmi", name]) {
            removed.push(format!("image {name}"));
        }
    }
    for path in &exercise.touches.mounts {
        if nix::mount::umount2(path.as_str(), nix::mount::MntFlags::MNT_DETACH).is_ok() {
            removed.push(format!("mount {path}"));
        }
    }
    for name in &exercise.touches.links {
        if Command::new("ip").args(["link", "delete", name]).stdin(Stdio::null()).output().is_ok_and(|o| o.status.success()) {
            removed.push(format!("link {name}"));
        }
    }
    for path in &exercise.touches.files {
        removed.extend(file(Path::new(path)));
    }
    Done { removed, left: empty(&work), others: if exercise.touches.containers.is_empty() { Vec::new() } else { containers(skiff) } }
}

/// Takes a compose project down by its name; what was removed, as compose says it.
fn project(skiff: &Path, name: &str) -> Vec<String> {
    // In a folder without a compose file: what belongs to it is told by the labels of what is there.
    let mut down = Command::new(skiff);
    down.args(["compose", "-p", name, "down", "--volumes", "--remove-orphans", "--timeout", "0"]).current_dir("/").stdin(Stdio::null());
    let said = down.output().map(|o| String::from_utf8_lossy(&o.stderr).into_owned()).unwrap_or_default();
    let gone = said.lines().filter_map(|l| l.strip_suffix("  Removed")).map(|l| l.trim().to_owned());
    gone.filter_map(|l| l.split_once(' ').map(|(kind, name)| format!("{} {name}", kind.to_lowercase()))).collect()
}

/// The names of all containers that are there.
fn containers(skiff: &Path) -> Vec<String> {
    let listed = Command::new(skiff).args(["ps", "-a", "--format", "{{.Names}}"]).stdin(Stdio::null()).stderr(Stdio::null()).output();
    listed.map(|o| String::from_utf8_lossy(&o.stdout).lines().map(String::from).collect()).unwrap_or_default()
}

/// Removes all that is in a folder, and says what would not go.
fn empty(folder: &Path) -> Vec<String> {
    // By descriptor: under sudo this is root in a folder of the learner's, and what was put in its
    // place as a link must not be followed.
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let Ok(held) = OpenOptions::new().read(true).custom_flags(flags).open(folder) else { return Vec::new() };
    let inside = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
    let mut left = Vec::new();
    for entry in std::fs::read_dir(&inside).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|t| t.is_dir());
        let gone = if is_folder { std::fs::remove_dir_all(entry.path()) } else { std::fs::remove_file(entry.path()) };
        if let Err(error) = gone.or_sys_with(|| format!("remove {}", folder.join(entry.file_name()).display())) {
            left.push(error.to_string());
        }
    }
    left
}

/// Other engines that a learner may have used: those that answer.
fn others() -> Vec<&'static str> {
    let answers = |engine: &&str| {
        let mut ask = Command::new(engine);
        ask.args(["ps", "-q"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    };
    let podman = podman_has_a_store().then_some("podman");
    ["docker"].into_iter().chain(podman).filter(answers).collect()
}

/// Podman has no daemon that could be away: asked for the first time it would make itself folders, and
/// for the first time since the machine was booted a mount that it leaves. So its store is looked at before.
fn podman_has_a_store() -> bool {
    if nix::unistd::geteuid().is_root() {
        return holds_something(Path::new("/var/lib/containers/storage"));
    }
    let home = || std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".local/share"));
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(home);
    data.is_some_and(|data| holds_something(&data.join("containers/storage")))
}

/// True where a store of Podman's lists a container or an image, or has a volume.
fn holds_something(store: &Path) -> bool {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let lists_any = |list: PathBuf| std::fs::read_to_string(list).is_ok_and(|text| text.contains("\"id\""));
    entries(store).any(|entry| match entry.file_name().to_string_lossy() {
        // overlay-containers, vfs-containers, …
        name if name.ends_with("-containers") => lists_any(entry.path().join("containers.json")) || lists_any(entry.path().join("volatile-containers.json")),
        name if name.ends_with("-images") => lists_any(entry.path().join("images.json")),
        name => name == "volumes" && entries(&entry.path()).next().is_some(),
    })
}

/// True when the engine said that it removed something.
fn engine(skiff: &Path, args: &[&str]) -> bool {
    // `rm -f` says a name that was not there too; so look first.
    let name = args.last().copied().unwrap_or_default();
    let look: &[&str] = match args[0] {
        "rmi" => &["history", name],
        "volume" => &["volume", "inspect", name],
        "network" => &["network", "inspect", name],
        _ => &["inspect", name],
    };
    let quiet = |args: &[&str]| Command::new(skiff).args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    quiet(look) && quiet(args)
}

fn file(path: &Path) -> Option<String> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    let gone = if meta.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    gone.ok().map(|()| format!("file {}", path.display()))
}

/// Ends every process that a shell of this learner's started since the exercise began, the shells
/// themselves excepted. Which exercise the shell was opened for does not matter: people stay in one.
fn processes(work: &Path, since: u64) -> Vec<String> {
    let mark = format!("DRYDOCK_WORK={}/", work.parent().unwrap_or(work).display());
    let spared: Vec<i32> = ancestors();
    let mut ended = Vec::new();
    for pid in pids().into_iter().filter(|pid| !spared.contains(pid)) {
        // By descriptor: the process that was looked at is the one that is ended.
        let (Ok(held), Ok(process)) = (Pidfd::open(pid), Process::open(pid)) else { continue };
        let marked = process.environ().is_ok_and(|e| e.iter().any(|v| v.starts_with(&mark)));
        if !marked || process.start().is_ok_and(|s| s < since) || is_shell(&process) {
            continue;
        }
        // Asked before: one that has ended has no command line any more.
        let command = process.argv().map(|a| a.join(" ")).unwrap_or_default();
        if held.signal(Signal::SIGKILL).is_ok() {
            ended.push(format!("process {pid}, {command}"));
            wait_for_end(&held);
        }
    }
    ended
}

/// The learner's shell itself, and the witness beside it, go on: both belong to `drydock shell`.
fn is_shell(process: &Process) -> bool {
    let is_ours = |argv: &[String]| argv.first().is_some_and(|p| p.ends_with("drydock")) && argv.iter().any(|a| a == "shell");
    let parent = || Process::open(process.parent().ok()?).ok()?.argv().ok();
    process.argv().is_ok_and(|a| is_ours(&a)) || parent().is_some_and(|a| is_ours(&a))
}

fn wait_for_end(process: &Pidfd) {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let _ = poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], PollTimeout::from(2000u16));
}

/// This process and all above it.
fn ancestors() -> Vec<i32> {
    let mut list = vec![std::process::id() as i32];
    while let Some(parent) = list.last().and_then(|pid| Process::open(*pid).ok()?.parent().ok()).filter(|p| *p > 0) {
        list.push(parent);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_podmans_that_lists_nothing_is_left_alone() {
        let room = tempfile::tempdir().expect("a folder");
        let put = |path: &str, text: &str| {
            let path = room.path().join(path);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("the room is ours");
            std::fs::write(path, text).expect("the room is ours");
        };
        assert!(!holds_something(&room.path().join("missing")));
        put("overlay-images/images.lock", "");
        put("overlay-containers/containers.json", "[]");
        assert!(!holds_something(room.path()));
        put("overlay-images/images.json", r#"[{"id":"1d8d","names":["base"]}]"#);
        assert!(holds_something(room.path()));
    }
}
