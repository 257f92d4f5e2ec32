//! A room with two networks, and containers on them.

use super::{Room, outcome, stdout};

/// A room with `base` and the networks `red` and `blue` in it.
pub fn furnished() -> Room {
    let room = Room::new();
    outcome(&mut room.skiff(&["history", "base"]));
    for name in ["red", "blue"] {
        stdout(&mut room.skiff(&["network", "create", name]));
    }
    room
}

/// Runs `sleep` in a container of this name.
pub fn start(room: &Room, name: &str, options: &[&str]) {
    stdout(&mut room.skiff(&[&["run", "-d", "--name", name], options, &["base", "sleep", "600"]].concat()));
}
