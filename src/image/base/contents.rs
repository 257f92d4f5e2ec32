//! What goes into `base`: folders and /etc; busybox or the host's tools; links or libraries.

use super::tree::Tree;
use super::{Contents, Part, closure};
use crate::image::Error;
use nix::unistd::{AccessFlags, access};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where programs are looked for, after PATH.
const FOLDERS: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// The host's programs that are taken where there is no busybox. Only `sh` must be there.
pub(super) const TOOLS: &[&str] = &[
    "awk", "basename", "cat", "chgrp", "chmod", "chown", "chroot", "cmp", "cp", "cut", "date", "dd", "df", "dirname", "dmesg", "du",
    "echo", "env", "expr", "false", "find", "free", "getent", "grep", "groups", "gzip", "head", "hostname", "id", "ip", "kill",
    "ln", "ls", "md5sum", "mkdir", "mkfifo", "mknod", "mktemp", "mount", "mountpoint", "mv", "nc", "nice", "nohup", "nproc",
    "nsenter", "od", "pgrep", "pidof", "ping", "pivot_root", "pkill", "printenv", "printf", "ps", "pwd", "readlink", "realpath",
    "rm", "rmdir", "sed", "seq", "setpriv", "setsid", "sha256sum", "sleep", "sort", "split", "stat", "stty", "sync", "tail",
    "tar", "tee", "test", "timeout", "top", "touch", "tr", "true", "tty", "umount", "uname", "uniq", "unshare", "uptime", "vi",
    "wc", "which", "whoami", "xargs", "yes",
];

/// Looks for busybox, else for a shell and tools.
pub(super) fn of_this_machine() -> Result<Contents, Error> {
    let folders = folders();
    match busybox(&folders) {
        Some(program) => of_busybox(&program),
        None => of_tools(&folders),
    }
}

fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let absolute = std::env::split_paths(&path).filter(|p| p.is_absolute());
    absolute.chain(FOLDERS.iter().map(PathBuf::from)).collect()
}

fn programs<'a>(name: &'a str, folders: &'a [PathBuf]) -> impl Iterator<Item = PathBuf> + 'a {
    let runnable = |p: &PathBuf| p.is_file() && access(p, AccessFlags::X_OK).is_ok();
    folders.iter().map(move |d| d.join(name)).filter(runnable)
}

/// A busybox, static for preference.
fn busybox(folders: &[PathBuf]) -> Option<PathBuf> {
    let mut all = programs("busybox", folders).chain(programs("busybox.static", folders)).peekable();
    let first = all.peek().cloned();
    all.find(|p| closure::is_static(p)).or(first)
}

fn of_busybox(program: &Path) -> Result<Contents, Error> {
    let libraries = closure::of(program, &closure::folders()).map_err(|problem| Error::NoBase { problem })?;
    let applets = applets(program)?;
    let (mut files, mut binary, mut links) = (skeleton(), Tree::default(), Tree::default());
    binary.copy(program, "/bin/busybox", 0o755);
    for library in &libraries {
        binary.mirror(library, 0o755, &mut files)?;
    }
    for applet in &applets {
        let up = "../".repeat(applet.components().count().saturating_sub(1));
        if applet != Path::new("bin/busybox") && !files.has(applet) {
            links.link(applet, format!("{up}bin/busybox"));
        }
    }
    folders_of_path(&mut files);
    let commands = links.files();
    let parts = vec![
        Part { what: "folders and /etc".into(), tree: files },
        Part { what: "busybox".into(), tree: binary },
        Part { what: format!("{commands} links to busybox, one a command"), tree: links },
    ];
    Ok(Contents { parts, program: program.to_owned(), commands, time: time_of(program) })
}

/// Where busybox would install its applets: `usr/bin/id`. One that cannot say so lists their names.
fn applets(program: &Path) -> Result<BTreeSet<PathBuf>, Error> {
    let list = |option: &str| {
        let output = Command::new(program).arg(option).env("LC_ALL", "C").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success() && !text.trim().is_empty()).then_some(text)
    };
    let full = list("--list-full");
    let (text, folder) = match &full {
        Some(text) => (text.clone(), ""),
        None => (list("--list").unwrap_or_default(), "bin"),
    };
    let paths = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('/') && !l.contains(".."));
    let mut applets: BTreeSet<PathBuf> = paths.map(|l| Path::new(folder).join(l)).collect();
    if !applets.iter().any(|a| a.ends_with("sh")) {
        return Err(Error::NoBase { problem: format!("{} has no shell in it", program.display()) });
    }
    // What scripts count on, wherever this busybox would put them.
    applets.extend(["bin/sh", "usr/bin/env"].map(PathBuf::from));
    Ok(applets)
}

/// Programs of this machine by name, with their libraries; one that is missing is left out.
pub(super) fn of_programs(names: &[&str]) -> Result<Tree, Error> {
    let (folders, search) = (folders(), closure::folders());
    let (mut tree, mut links, mut needed) = (Tree::default(), Tree::default(), BTreeSet::new());
    for name in names {
        let Some((program, closure)) = programs(name, &folders).find_map(|p| Some((p.clone(), closure::of(&p, &search).ok()?))) else {
            continue;
        };
        // Below /usr, as newer systems have it: a link between folders could cover one of the image's.
        tree.copy(&program, Path::new("/usr").join(program.strip_prefix("/usr").or(program.strip_prefix("/")).unwrap_or(&program)), 0o755);
        needed.extend(closure);
    }
    for library in &needed {
        tree.mirror(library, 0o755, &mut links)?;
    }
    tree.add(links);
    if Path::new("/etc/ld.so.cache").is_file() {
        tree.copy(Path::new("/etc/ld.so.cache"), "/etc/ld.so.cache", 0o644);
    }
    Ok(tree)
}

fn of_tools(folders: &[PathBuf]) -> Result<Contents, Error> {
    let no_shell = |problem: String| Error::NoBase { problem };
    let search = closure::folders();
    let bin = [PathBuf::from("/bin")];
    let shell = programs("sh", &bin).chain(programs("sh", folders)).next();
    let shell = shell.ok_or_else(|| no_shell("there is neither busybox nor sh on PATH".into()))?;
    let (mut files, mut libraries, mut tools) = (skeleton(), Tree::default(), Tree::default());
    let mut needed = closure::of(&shell, &search).map_err(no_shell)?;
    tools.mirror(&shell, 0o755, &mut files)?;
    let mut commands = 1;
    for name in TOOLS {
        // A tool that is missing, or a script, or lacks a library, is left out.
        let Some((program, closure)) = programs(name, folders).find_map(|p| Some((p.clone(), closure::of(&p, &search).ok()?))) else {
            continue;
        };
        tools.mirror(&program, 0o755, &mut files)?;
        needed.extend(closure);
        commands += 1;
    }
    for library in &needed {
        libraries.mirror(library, 0o755, &mut files)?;
    }
    // Libraries in folders that only this machine's configuration names are found by its cache.
    if Path::new("/etc/ld.so.cache").is_file() {
        libraries.copy(Path::new("/etc/ld.so.cache"), "/etc/ld.so.cache", 0o644);
    }
    // Where the host's /bin is a link to /usr/bin, so is the image's.
    for folder in ["/bin", "/sbin"].map(Path::new) {
        if let Ok(to) = std::fs::read_link(folder) {
            files.link(folder, to);
        }
    }
    folders_of_path(&mut files);
    if !shell.starts_with("/bin") {
        tools.link("/bin/sh", &shell);
    }
    let parts = vec![
        Part { what: "folders and /etc".into(), tree: files },
        Part { what: format!("{} libraries", needed.len()), tree: libraries },
        Part { what: format!("{commands} commands of this machine"), tree: tools },
    ];
    Ok(Contents { parts, time: time_of(&shell), program: shell, commands })
}

/// The folders every container has, and the few files in /etc that programs look for.
fn skeleton() -> Tree {
    let mut tree = Tree::default();
    for folder in ["dev", "etc", "home", "mnt", "proc", "run", "sys", "usr/local/bin", "var/log"] {
        tree.directory(folder, 0o755);
    }
    tree.directory("root", 0o700);
    tree.directory("tmp", 0o1777);
    tree.directory("var/tmp", 0o1777);
    tree.text(
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nuser:x:1000:1000:user:/home:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    );
    tree.text("/etc/group", "root:x:0:\ndaemon:x:1:\nuser:x:1000:\nnogroup:x:65534:\n");
    // What the engine binds over: there already, a run need not copy /etc up to make them.
    for name in ["hostname", "hosts", "resolv.conf"] {
        tree.text(&format!("/etc/{name}"), "");
    }
    tree.text("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
    tree.text("/etc/os-release", "ID=skiff-base\nNAME=\"skiff base\"\nPRETTY_NAME=\"skiff base, made from the host's own tools\"\n");
    tree
}

/// /bin, /sbin and /lib as folders, where the host does not have them as links.
fn folders_of_path(tree: &mut Tree) {
    for folder in ["bin", "sbin", "usr/bin", "usr/sbin"] {
        if !tree.has(folder) {
            tree.directory(folder, 0o755);
        }
    }
}

fn time_of(program: &Path) -> u64 {
    std::fs::metadata(program).ok().and_then(|m| u64::try_from(m.mtime()).ok()).unwrap_or(0)
}
