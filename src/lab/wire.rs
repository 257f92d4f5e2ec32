//! Frames: what goes over a virtio port, and over the keeper's socket.
//!
//! A kind (one byte), a length (four, little-endian), then so many bytes. Each session has a port of
//! its own, so the kernel's queues give each its own back-pressure: a terminal that is stopped with
//! Ctrl-S holds up nobody else. virtio-serial is in the virtio specification, section 5.3 "Console
//! Device"; see it live in the guest: `ls -l /dev/vport*`, /sys/class/virtio-ports/*/name.
//! Contract: a reader of one side never waits for a writer of the same side.

use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// The most that one frame carries, in bytes.
pub const LONGEST: usize = 64 << 10;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// To the guest: begin a session; a [`Request`] as JSON.
    Open = 1,
    /// To the guest: bytes for the session's standard input.
    Input = 2,
    /// To the guest: no more input.
    InputEnd = 3,
    /// To the guest: the terminal's rows and columns, two bytes each.
    Resize = 4,
    /// To the guest: whoever asked has gone; end the session. Each session has one, also
    /// when it is over already. On the control port: which port and which of its sessions, as JSON.
    Hangup = 5,
    /// From the guest: bytes of standard output.
    Output = 6,
    /// From the guest: bytes of standard error.
    Errors = 7,
    /// From the guest: the session is over; its exit code, four bytes.
    Exit = 8,
    /// From the guest, on the control port: it is up; [`Hello`] as JSON.
    Hello = 9,
    /// Either way, on the control port: how far the learner is, as JSON.
    Progress = 10,
    /// To the guest, on the control port: end everything and power off.
    PowerOff = 11,
    /// From the keeper to a terminal: it cannot be; a sentence.
    Refused = 12,
    /// To the keeper: what runs? Answered by a [`Status`] in the same kind.
    Status = 13,
    /// To the keeper: end the lab.
    Stop = 14,
    /// To the keeper: stay when the last terminal has gone. Answered by a [`Status`] in the same kind.
    Stay = 15,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        use Kind::*;
        [Open, Input, InputEnd, Resize, Hangup, Output, Errors, Exit, Hello, Progress, PowerOff, Refused, Status, Stop, Stay]
            .into_iter()
            .find(|k| *k as u8 == byte)
    }
}

/// A session that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What to do.
    pub what: What,
    /// Rows and columns where it is to have a terminal.
    pub terminal: Option<(u16, u16)>,
    /// Variables, such as TERM.
    pub environment: Vec<(String, String)>,
}

/// What a session does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// The learner's shell, where they left off.
    #[default]
    Shell,
    /// A command and its arguments.
    Run(Vec<String>),
    /// Write the tar that comes as input into this folder.
    Put(String),
    /// Send a tar of this file or folder.
    Get(String),
}

/// What the guest says when it is up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Its kernel's release.
    pub kernel: String,
    /// /proc/sys/kernel/random/boot_id.
    pub boot_id: String,
    /// True if its disk holds what was done before.
    pub has_disk: bool,
}

/// What the keeper says of its lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The keeper's process id.
    pub keeper: u32,
    /// QEMU's process id.
    pub qemu: u32,
    /// `kvm` or `tcg`.
    pub acceleration: String,
    /// Memory, in MiB.
    pub memory: u32,
    /// Seconds since it was up.
    pub up: u64,
    /// From starting QEMU to the guest's hello, in milliseconds.
    pub boot: u64,
    /// Bytes that it was booted from: its kernel and its initramfs.
    pub packed: u64,
    /// Sessions that are open.
    pub sessions: usize,
    /// The guest.
    pub guest: Hello,
}

/// Reads one frame; `None` where the other side ended between two.
pub fn read(from: &mut impl Read) -> io::Result<Option<(Kind, Vec<u8>)>> {
    let mut head = [0; 5];
    if !fill(from, &mut head)? {
        return Ok(None);
    }
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let kind = Kind::of(head[0]).filter(|_| length <= LONGEST);
    let kind = kind.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("no frame begins with {head:02x?}")))?;
    let mut payload = vec![0; length];
    from.read_exact(&mut payload)?;
    Ok(Some((kind, payload)))
}

/// Fills `head`, or tells that there was nothing at all.
fn fill(from: &mut impl Read, head: &mut [u8]) -> io::Result<bool> {
    let mut got = 0;
    while got < head.len() {
        match from.read(&mut head[got..]) {
            Ok(0) if got == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(true)
}

/// Writes bytes as frames of one kind: in one write each, so that two writers never mix.
pub fn write(to: &mut impl Write, kind: Kind, payload: &[u8]) -> io::Result<()> {
    let mut parts = payload.chunks(LONGEST);
    let first = parts.next().unwrap_or_default();
    for part in std::iter::once(first).chain(parts) {
        let mut frame = Vec::with_capacity(part.len() + 5);
        frame.push(kind as u8);
        frame.extend((part.len() as u32).to_le_bytes());
        frame.extend(part);
        to.write_all(&frame)?;
    }
    to.flush()
}

/// Writes a value as one frame of JSON.
pub fn write_json(to: &mut impl Write, kind: Kind, value: &impl Serialize) -> io::Result<()> {
    write(to, kind, &serde_json::to_vec(value).map_err(io::Error::other)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_long_payload_goes_in_several_frames() {
        let mut bytes = Vec::new();
        write(&mut bytes, Kind::Output, &vec![7; LONGEST + 1]).expect("a Vec takes all");
        let mut from = bytes.as_slice();
        let lengths = [read(&mut from), read(&mut from)].map(|f| f.expect("whole").expect("there").1.len());
        assert_eq!((lengths, read(&mut from).expect("whole")), ([LONGEST, 1], None));
    }

    #[test]
    fn a_frame_cut_short_is_an_error_and_an_end_between_two_is_none() {
        assert!(read(&mut [6u8, 4, 0, 0, 0, 1].as_slice()).is_err());
        assert!(read(&mut [6u8, 4].as_slice()).is_err());
        assert_eq!(read(&mut [].as_slice()).expect("an end"), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_a_frame_or_an_error_and_never_more_memory_than_a_frame(bytes: Vec<u8>) {
            if let Ok(Some((_, payload))) = read(&mut bytes.as_slice()) {
                prop_assert!(payload.len() <= LONGEST);
            }
        }
    }
}
