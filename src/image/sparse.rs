//! Files with holes as POSIX archives have them (GNU tar manual, "PAX 0/1"; tar(5)).
//!
//! GNU's own old form is read by the library. In the newer ones the header tells of an ordinary file
//! that is only the data; where each piece belongs is in the PAX records (0.0, 0.1), or in the first
//! blocks of the file itself (1.0).

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The longest map that is read from a file's first blocks, in pieces.
const PIECES_MAX: u64 = 1 << 20;

/// What PAX records say of a file with holes.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    /// The file's own name; the header has a made-up one.
    pub(super) name: Option<PathBuf>,
    /// Bytes with the holes.
    size: Option<u64>,
    /// Where each piece begins, and its bytes.
    pieces: Vec<(u64, u64)>,
    /// The map is in the file itself.
    within: bool,
    known: bool,
}

impl Sparse {
    /// Takes one record; those of others are passed over.
    pub(super) fn record(&mut self, key: &str, value: &[u8]) {
        let Some(key) = key.strip_prefix("GNU.sparse.") else { return };
        let text = std::str::from_utf8(value).unwrap_or_default();
        let number = text.parse().ok();
        match key {
            "name" => self.name = Some(PathBuf::from(OsString::from_vec(value.to_vec()))),
            "size" | "realsize" => self.size = number,
            "major" => self.within = text == "1",
            "offset" => self.pieces.extend(number.map(|at| (at, 0))),
            "numbytes" => drop(self.pieces.last_mut().zip(number).map(|(piece, n)| piece.1 = n)),
            "map" => {
                let numbers: Vec<u64> = text.split(',').filter_map(|n| n.parse().ok()).collect();
                self.pieces = numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
            }
            _ => {}
        }
        self.known = true;
    }

    /// Whether the file has holes at all.
    pub(super) fn is_some(&self) -> bool {
        self.known && self.size.is_some()
    }

    /// Writes the pieces where they belong. Holes stay holes, so a huge size takes no room.
    pub(super) fn write(mut self, mut from: impl Read, to: &mut File) -> io::Result<()> {
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "the map of a sparse file makes no sense");
        if self.within {
            self.pieces = map_in(&mut from)?;
        }
        let size = self.size.ok_or_else(broken)?;
        let mut end = 0;
        for (at, bytes) in self.pieces {
            // In order, and inside of the file: a map could tell of anything.
            let next = at.checked_add(bytes).filter(|next| at >= end && *next <= size).ok_or_else(broken)?;
            to.seek(SeekFrom::Start(at))?;
            if io::copy(&mut from.by_ref().take(bytes), to)? != bytes {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            end = next;
        }
        to.flush()?;
        to.set_len(size)
    }
}

/// The map of form 1.0: decimal numbers, a line each, filled up to a whole block.
fn map_in(from: &mut impl Read) -> io::Result<Vec<(u64, u64)>> {
    let (mut block, mut at) = ([0; 512], 512);
    let mut number = || -> io::Result<u64> {
        let mut value: u64 = 0;
        loop {
            if at == block.len() {
                from.read_exact(&mut block)?;
                at = 0;
            }
            let byte = block[at];
            at += 1;
            let digit = char::from(byte).to_digit(10).map(u64::from);
            value = match digit {
                Some(digit) => value.checked_mul(10).and_then(|v| v.checked_add(digit)).ok_or(io::ErrorKind::InvalidData)?,
                None if byte == b'\n' => return Ok(value),
                None => return Err(io::ErrorKind::InvalidData.into()),
            };
        }
    };
    let count = number()?;
    if count > PIECES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    (0..count).map(|_| Ok((number()?, number()?))).collect()
}
