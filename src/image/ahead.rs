//! A reader that runs ahead in a thread of its own: while one layer's files are being made, the next
//! part of it is read, decompressed and hashed (a bounded channel between the two).

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

/// Bytes in one part, and parts that may wait: two megabytes at most are ahead.
const PART: usize = 256 << 10;
const PARTS: usize = 8;

/// What the thread has read so far. At the end of it, or when it is dropped, the thread ends.
#[derive(Debug)]
pub(super) struct Ahead {
    parts: Receiver<io::Result<Vec<u8>>>,
    part: Vec<u8>,
    at: usize,
}

/// Reads `from` ahead to its end; `then` is made of it in the thread, when all of it was read.
pub(super) fn read<'scope, R: Read + Send + 'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    mut from: R,
    then: impl FnOnce(R) -> T + Send + 'scope,
) -> (Ahead, ScopedJoinHandle<'scope, T>) {
    let (send, parts) = sync_channel(PARTS);
    let thread = scope.spawn(move || {
        send_all(&mut from, &send);
        // Nobody waits for more: the other end sees the end of the stream.
        drop(send);
        then(from)
    });
    (Ahead { parts, part: Vec::new(), at: 0 }, thread)
}

fn send_all(from: &mut impl Read, to: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut part = Vec::with_capacity(PART);
        let read = from.by_ref().take(PART as u64).read_to_end(&mut part);
        // What came before an error is not lost; an empty part is the end.
        if !part.is_empty() && to.send(Ok(part)).is_err() {
            return;
        }
        match read {
            Ok(n) if n == PART => {}
            Ok(_) => return,
            Err(e) => return drop(to.send(Err(e))),
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.part.len() {
            match self.parts.recv() {
                Ok(part) => (self.part, self.at) = (part?, 0),
                Err(_) => return Ok(0),
            }
        }
        let n = buffer.len().min(self.part.len() - self.at);
        buffer[..n].copy_from_slice(&self.part[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_read_ahead_arrives_and_an_error_after_it() {
        struct Breaks(usize);
        impl Read for Breaks {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let n = buffer.len().min(self.0);
                self.0 -= n;
                if n == 0 { Err(io::Error::other("cut off")) } else { Ok(n) }
            }
        }
        for length in [0, 1, PART - 1, PART, 20 * PART + 1] {
            std::thread::scope(|scope| {
                let (mut ahead, thread) = read(scope, io::repeat(7).take(length as u64), |_| "read");
                let mut all = Vec::new();
                ahead.read_to_end(&mut all).unwrap();
                assert_eq!((all.len(), thread.join().unwrap()), (length, "read"));
                let (mut ahead, _) = read(scope, Breaks(length), drop);
                let mut all = Vec::new();
                assert_eq!(ahead.read_to_end(&mut all).unwrap_err().to_string(), "cut off");
                assert_eq!(all.len(), length);
                // Dropped in the middle, nobody waits for anybody.
                let _ = read(scope, io::repeat(7), drop);
            });
        }
    }
}
