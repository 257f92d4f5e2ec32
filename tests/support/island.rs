//! A network namespace of a test's own, to be the host: no rule of this machine's is touched.

use super::stdout;
use nix::sched::{CloneFlags, unshare};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A host with a neighbour at 192.0.2.2, which stands for the world.
pub struct Island {
    neighbour: Child,
}

impl Island {
    /// The calling thread, and what it starts, lives there from now on.
    pub fn new() -> Self {
        unshare(CloneFlags::CLONE_NEWNET).expect("root may");
        // A new namespace begins with the first one's setting; Docker sets its policy where it is off.
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").expect("it is this thread's own");
        let mut neighbour = Command::new("unshare").args(["--net", "sh", "-c", "echo up; exec sleep 600"]).stdout(Stdio::piped()).spawn().expect("unshare is there");
        super::read_until(neighbour.stdout.as_mut().expect("piped"), "up", Duration::from_secs(10));
        let pid = neighbour.id().to_string();
        let there = ["nsenter", "-t", &pid, "-n"];
        for words in [
            &["ip", "link", "set", "lo", "up"][..],
            &["ip", "link", "add", "w0", "type", "veth", "peer", "name", "w1", "netns", &pid],
            &["ip", "address", "add", "192.0.2.1/24", "dev", "w0"],
            &["ip", "link", "set", "w0", "up"],
            &[&there[..], &["ip", "address", "add", "192.0.2.2/24", "dev", "w1"]].concat(),
            &[&there[..], &["ip", "link", "set", "w1", "up"]].concat(),
        ] {
            stdout(Command::new(words[0]).args(&words[1..]));
        }
        Self { neighbour }
    }

    /// A command of the neighbour's.
    pub fn from_there(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.neighbour.id().to_string(), "-n"]).args(words);
        command
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        let _ = self.neighbour.kill();
        let _ = self.neighbour.wait();
    }
}
