//! The agent: one thread a port, which opens one session after another, and the control port.

use super::session::{self, Hangups};
use crate::kernel::{OrSys, SysError};
use crate::lab::wire::{self, Hello, Kind};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the learner's side does for the agent.
pub struct Hooks {
    /// The file that holds how far the learner is.
    pub progress: PathBuf,
    /// Takes over what the host knows of that.
    pub take: fn(&[u8]),
}

/// Serves until the control port says to power off.
pub fn agent(hooks: &Hooks) -> Result<(), SysError> {
    // Lessons run out of memory in here: whoever is chosen then, it is not the way in and out.
    std::fs::write("/proc/self/oom_score_adj", "-1000").or_sys("ask to be spared when memory runs out")?;
    let ports = ports()?;
    let mut control = None;
    let hangups = Arc::new(Hangups::default());
    for (number, path) in ports {
        let port = File::options().read(true).write(true).open(&path).or_sys_with(|| format!("open {}", path.display()))?;
        if number == 0 {
            control = Some(port);
        } else {
            let hangups = Arc::clone(&hangups);
            std::thread::spawn(move || session::serve(number, port, &hangups));
        }
    }
    let mut control = control.ok_or_else(|| SysError::new("find the control port", nix::errno::Errno::ENODEV))?;
    let kernel = nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned()).unwrap_or_default();
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
    let hello = Hello { kernel, boot_id, has_disk: hooks.progress.exists() };
    wire::write_json(&mut control, Kind::Hello, &hello).or_sys("say hello to the host")?;
    converse(&mut control, hooks, &hangups)
}

/// Answers the control port, and sends how far the learner is whenever it changes.
fn converse(control: &mut File, hooks: &Hooks, hangups: &Hangups) -> Result<(), SysError> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let folder = hooks.progress.parent().unwrap_or(Path::new("/root"));
    std::fs::create_dir_all(folder).or_sys_with(|| format!("make {}", folder.display()))?;
    let changes = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).or_sys("watch the progress")?;
    changes.add_watch(folder, AddWatchFlags::IN_MOVED_TO).or_sys_with(|| format!("watch {}", folder.display()))?;
    loop {
        let mut fds = [PollFd::new(control.as_fd(), PollFlags::POLLIN), PollFd::new(changes.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            other => other.or_sys("wait for the host")?,
        };
        let ready = |i: usize| fds[i].revents().is_some_and(|r: PollFlags| !r.is_empty());
        let (asked, changed) = (ready(0), ready(1));
        if changed {
            let events = changes.read_events().unwrap_or_default();
            if events.iter().any(|e| e.name.as_deref() == hooks.progress.file_name()) {
                send_progress(control, &hooks.progress);
            }
        }
        if asked {
            match wire::read(control) {
                // In a thread: another drydock in here may hold the record.
                Ok(Some((Kind::Progress, payload))) => {
                    let take = hooks.take;
                    std::thread::spawn(move || take(&payload));
                }
                Ok(Some((Kind::Hangup, payload))) => {
                    if let Ok((port, serial)) = serde_json::from_slice(&payload) {
                        hangups.end(port, serial);
                    }
                }
                Ok(Some((Kind::PowerOff, _))) => {
                    send_progress(control, &hooks.progress);
                    return Ok(());
                }
                Ok(Some(_)) => {}
                // The host's side is gone: there is nobody to work for.
                Ok(None) | Err(_) => return Ok(()),
            }
        }
    }
}

fn send_progress(control: &mut File, progress: &Path) {
    if let Ok(bytes) = std::fs::read(progress) {
        // A frame at most; a progress is a few kilobytes.
        if bytes.len() <= wire::LONGEST {
            let _ = wire::write(control, Kind::Progress, &bytes);
        }
    }
}

/// The ports by number, told by their names, `drydock.N`.
fn ports() -> Result<Vec<(usize, PathBuf)>, SysError> {
    let entries = std::fs::read_dir("/sys/class/virtio-ports").or_sys("read which ports there are")?;
    let port = |entry: std::fs::DirEntry| {
        let name = std::fs::read_to_string(entry.path().join("name")).ok()?;
        let number = name.trim().strip_prefix("drydock.")?.parse().ok()?;
        Some((number, Path::new("/dev").join(entry.file_name())))
    };
    Ok(entries.flatten().filter_map(port).collect())
}
