//! The shell that a learner works in: `skiff` on its PATH, a mark in its environment.

use super::Home;
pub use crate::kernel::session::ends_with_us;
use crate::kernel::SysError;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable whose value marks every process below one learner's shell.
pub const MARK: &str = "DRYDOCK_SHELL";

/// Where `skiff` lies: beside this program.
pub fn skiff() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|p| Some(p.parent()?.join("skiff"))).filter(|p| p.exists());
    beside.unwrap_or_else(|| "skiff".into())
}

/// A command that starts the learner's shell in `work`, for the exercise `id`.
pub fn command(home: &Home, work: &Path, id: Option<&str>, nonce: &str) -> Result<Command, SysError> {
    let shell = std::env::var_os("SHELL").map(PathBuf::from).filter(|s| s.is_file()).unwrap_or_else(|| "/bin/sh".into());
    let mut command = Command::new(&shell);
    let mut path = skiff().parent().map(Path::to_path_buf).unwrap_or_default().into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()));
    // The folder is the learner's own: on a machine with several, each resets only what is theirs.
    command.env("PATH", path).env(MARK, nonce).env("DRYDOCK_WORK", work).current_dir(work);
    if let Some(id) = id {
        command.env("DRYDOCK_EXERCISE", id);
    }
    mark_prompt(&mut command, &shell, home, work)?;
    Ok(command)
}

/// Puts `drydock` into the prompt, without touching the learner's own files.
fn mark_prompt(command: &mut Command, shell: &Path, home: &Home, work: &Path) -> Result<(), SysError> {
    let name = shell.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    match name.as_str() {
        "bash" => {
            let rc = work.join(".drydockrc");
            let text = "[ -f ~/.bashrc ] && . ~/.bashrc\nPS1=\"(drydock) ${PS1:-\\\\$ }\"\nexport -n PS1\nexport DRYDOCK_SHELL_PID=$$\n";
            home.write(&rc, text.as_bytes())?;
            command.arg("--rcfile").arg(&rc).arg("-i");
        }
        _ => {
            command.env("PS1", "(drydock) $ ");
        }
    }
    Ok(())
}

/// A fresh mark.
pub fn nonce() -> String {
    format!("{}-{}", std::process::id(), super::progress::now_ticks())
}
