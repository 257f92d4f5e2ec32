//! Removing files that belong to ids of a user namespace.
//!
//! A rootless container's files can belong to ids that only its user namespace maps, and overlay
//! leaves a directory without any mode bits behind. Both can be removed by root of such a namespace,
//! so a child enters one and removes them there.

use super::hold::Upstream;
use super::host::Host;
use super::inside::Inside;
use super::step::Carry;
use super::steps::userns::{UserNs, Writer};
use crate::kernel::pidfd::{self, Fork, Pidfd};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::path::Path;

/// The user namespace step that a rootless container of this host begins with.
pub fn user_namespace(host: &Host) -> UserNs {
    let (uids, gids) = host.maps();
    UserNs { uids, gids, writer: if host.granted.is_some() { Writer::Granted } else { Writer::Own } }
}

/// Removes a directory from inside a user namespace; what stays is found by the next prune.
pub fn remove_inside_user_namespace(folder: &Path) {
    let Ok(host) = Host::read() else { return };
    if !host.rootless {
        return;
    }
    let Ok((socket, _other)) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC) else { return };
    match pidfd::fork() {
        Ok(Fork::Child) => {
            let mut inside = Inside::new("", folder, Upstream::new(socket));
            let entered = user_namespace(&host).carry_out(&mut inside).is_ok();
            open_up(folder);
            let removed = entered && std::fs::remove_dir_all(folder).is_ok();
            pidfd::exit_now(i32::from(!removed))
        }
        Ok(Fork::Parent(child)) => {
            let _ = Pidfd::open(child).and_then(|p| p.wait());
        }
        Err(_) => {}
    }
}

/// Gives every directory its owner's mode bits back.
fn open_up(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            open_up(&entry.path());
        }
    }
}
