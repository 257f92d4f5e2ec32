//! `lab cp` inside: a tar comes in, or goes out. As cp -r would: names, modes, links, no owners.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};

/// Bytes under way, and how it ended.
pub(super) struct Transfer {
    /// Where the host's bytes go.
    pub(super) input: Option<Box<dyn Write>>,
    /// One message: done, or why not.
    pub(super) ended: Receiver<Result<(), String>>,
    /// Set when nobody wants it any more.
    pub(super) stop: Arc<AtomicBool>,
}

/// Writes the tar that comes into `folder`.
pub(super) fn put(folder: &str) -> Transfer {
    let (end, ended) = mpsc::channel();
    let (to, from) = mpsc::sync_channel::<Vec<u8>>(16);
    let folder = Path::new("/root").join(folder);
    std::thread::spawn(move || {
        let mut from = Incoming { from, rest: Vec::new(), at: 0 };
        let unpacked = crate::lab::copy::unpack(&mut from, &folder, None);
        // The rest, or the sender would wait for ever.
        let _ = std::io::copy(&mut from, &mut std::io::sink());
        let _ = end.send(unpacked);
    });
    Transfer { input: Some(Box::new(Outgoing(to))), ended, stop: Arc::default() }
}

/// Sends a tar of `path`.
pub(super) fn get(path: &str, send: impl FnMut(&[u8]) + Send + 'static) -> Transfer {
    let (end, ended) = mpsc::channel();
    let path = Path::new("/root").join(path);
    let stop: Arc<AtomicBool> = Arc::default();
    let stopped = Arc::clone(&stop);
    std::thread::spawn(move || {
        let _ = end.send(crate::lab::copy::pack(&path, &mut Sending(send, stopped)));
    });
    Transfer { input: None, ended, stop }
}

struct Outgoing(SyncSender<Vec<u8>>);

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(|_| std::io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Incoming {
    from: Receiver<Vec<u8>>,
    rest: Vec<u8>,
    at: usize,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.rest.len() {
            let Ok(next) = self.from.recv() else { return Ok(0) };
            (self.rest, self.at) = (next, 0);
        }
        let n = buffer.len().min(self.rest.len() - self.at);
        buffer[..n].copy_from_slice(&self.rest[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

struct Sending<F: FnMut(&[u8])>(F, Arc<AtomicBool>);

impl<F: FnMut(&[u8])> Write for Sending<F> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.1.load(Ordering::SeqCst) {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        (self.0)(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
