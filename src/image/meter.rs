//! A reader with a meter: what a tar library reads into memory for one header is bounded.
//!
//! A long name, a link's target and extended attributes come as entries of their own before the one
//! that they are about (pax(1), GNU tar's `L` and `K`), and the library keeps them whole. Their size is
//! what the archive says: without a bound, a gibibyte of zeros would be a name.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

/// The most that stands before one entry. Linux has at most 64 KiB of attributes to a file, and paths of 4 KiB.
const BEFORE_ENTRY: u64 = 1 << 20;

/// Reads until its meter has run out.
pub(super) struct Metered<R> {
    inner: R,
    meter: Meter,
}

/// How much may still be read.
#[derive(Debug, Clone)]
pub(super) struct Meter(Rc<Cell<u64>>);

impl<R: Read> Metered<R> {
    /// A reader that may read all, and its meter.
    pub(super) fn new(inner: R) -> (Self, Meter) {
        let meter = Meter(Rc::new(Cell::new(u64::MAX)));
        (Self { inner, meter: meter.clone() }, meter)
    }
}

impl Meter {
    /// From here to the next entry; `unread` bytes are left of the one before.
    pub(super) fn bound(&self, unread: u64) {
        self.0.set(unread.saturating_add(BEFORE_ENTRY));
    }

    /// The entry is there, and its content is not kept in memory.
    pub(super) fn unbound(&self) {
        self.0.set(u64::MAX);
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.meter.0.get();
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::other("an entry's name and attributes take more than 1 MiB"));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.inner.read(&mut buffer[..most])?;
        if left != u64::MAX {
            self.meter.0.set(left - n as u64);
        }
        Ok(n)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
