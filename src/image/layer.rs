//! A layer as bytes: a tar archive, compressed for storage, with two digests.
//!
//! The *digest* names the stored (compressed) bytes, the *diff ID* the tar inside. Compressing again
//! changes the first and never the second (OCI image spec, layer.md and config.md).

use super::writer::BlobWriter;
use super::Error;
use crate::kernel::{OrSys, units};
use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use lzma_rust2::XzReader;
use oci_spec::image::{Descriptor, Digest, MediaType};
use sha2::{Digest as _, Sha256};
use std::io::{self, BufReader, Read, Write};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The digest of what a hasher has seen.
pub(super) fn digest_of(hasher: Sha256) -> Digest {
    let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Digest::from_str(&format!("sha256:{hex}")).expect("64 hexadecimal digits are a sha256 digest")
}

/// The digest of some bytes.
pub fn digest(bytes: &[u8]) -> Digest {
    digest_of(Sha256::new_with_prefix(bytes))
}

/// Copies all of `from`, in larger steps than [`io::copy`] takes: hashing and system calls cost less so.
pub(super) fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<u64> {
    let (mut buffer, mut copied) = (vec![0; 256 << 10], 0);
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(n) => {
                to.write_all(&buffer[..n])?;
                copied += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Hashes what is read through it.
#[derive(Debug)]
pub struct Hashing<R> {
    inner: R,
    hasher: Sha256,
    read: u64,
}

impl<R: Read> Hashing<R> {
    /// Hashes `inner` from here on.
    pub fn new(inner: R) -> Self {
        Self { inner, hasher: Sha256::new(), read: 0 }
    }

    /// Reads what is left, and gives the digest and the number of all the bytes.
    pub fn finish(mut self) -> io::Result<(Digest, u64)> {
        copy(&mut self, io::sink())?;
        Ok((digest_of(self.hasher), self.read))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.read += n as u64;
        Ok(n)
    }
}

/// What a layer or an archive is compressed with, told by its first bytes (RFC 1952, RFC 8878, the .xz
/// file format's section 2.1.1.1, bzip2(1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, with one member or several.
    Gzip,
    /// Zstandard, with one frame or several.
    Zstd,
    /// xz, with one stream or several. No registry has such a layer, and many an archive is one.
    Xz,
    /// bzip2, with one stream or several; as xz.
    Bzip2,
}

impl Compression {
    /// Of a stream that begins with `start`; four bytes are enough.
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A frame to be skipped, with which some tools begin their archives.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', ..] => Self::Xz,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            _ => Self::None,
        }
    }

    /// What a layer that is stored so is called in a manifest; `None` where nothing may be stored so.
    pub fn layer_type(self) -> Option<MediaType> {
        match self {
            Self::None => Some(MediaType::ImageLayer),
            Self::Gzip => Some(MediaType::ImageLayerGzip),
            Self::Zstd => Some(MediaType::ImageLayerZstd),
            Self::Xz | Self::Bzip2 => None,
        }
    }
}

/// What decompressed bytes may come to, whatever they were read from: 4 GiB. More is taken if it is not
/// over a hundred times as much: real layers shrink to a third or a tenth, a "decompression bomb" of
/// zeros to a thousandth. [`UNPACKED_MAX`] sets another bound.
const UNPACKED: u64 = 4 << 30;
const TIMES: u64 = 100;

/// The environment variable for those who have such a layer and trust it, as `SKIFF_UNPACKED_MAX=20g`.
pub const UNPACKED_MAX: &str = "SKIFF_UNPACKED_MAX";

fn unpacked_max() -> u64 {
    let set = std::env::var(UNPACKED_MAX).ok();
    set.and_then(|text| units::bytes(&text).ok()).unwrap_or(UNPACKED)
}

/// What an xz stream may want of memory, in KiB: twice what `xz -9` needs. Its header may ask for 4 GiB.
const XZ_MEMORY: u32 = 128 << 10;

/// Counts the bytes that a decompressor takes.
struct Counting<R> {
    inner: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.taken.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// Ends with an error where the bytes that a decompressor gives are too many for those that it took.
struct Bounded<R> {
    inner: R,
    taken: Arc<AtomicU64>,
    given: u64,
    least: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.given += n as u64;
        if self.given > self.least.max(self.taken.load(Ordering::Relaxed).saturating_mul(TIMES)) {
            let taken = units::binary(self.taken.load(Ordering::Relaxed));
            let why = format!("it is a decompression bomb: {taken} of it unpack to more than {} ({UNPACKED_MAX} allows more)", units::binary(self.given));
            return Err(io::Error::other(why));
        }
        Ok(n)
    }
}

/// The tar inside a layer, whatever it is compressed with: gzip, zstd, xz, bzip2 or nothing; up to a bound (see [`UNPACKED_MAX`]).
pub fn tar_of<'a>(layer: impl Read + Send + 'a) -> Result<Box<dyn Read + Send + 'a>, Error> {
    let taken = Arc::new(AtomicU64::new(0));
    let mut reader = Counting { inner: layer, taken: Arc::clone(&taken) };
    // A pipe may give a byte at a time.
    let mut start = Vec::with_capacity(4);
    reader.by_ref().take(4).read_to_end(&mut start).or_sys("read the layer")?;
    let kind = Compression::of(&start);
    let reader = BufReader::with_capacity(1 << 17, io::Cursor::new(start).chain(reader));
    let bounded = |inner: Box<dyn Read + Send + 'a>| Box::new(Bounded { inner, taken, given: 0, least: unpacked_max() });
    Ok(match kind {
        Compression::Gzip => bounded(Box::new(MultiGzDecoder::new(reader))),
        Compression::Zstd => bounded(Box::new(zstd::Decoder::with_buffer(reader).or_sys("read the layer")?)),
        Compression::Xz => bounded(Box::new(XzReader::new_mem_limit(reader, true, XZ_MEMORY))),
        Compression::Bzip2 => bounded(Box::new(MultiBzDecoder::new(reader))),
        Compression::None => Box::new(reader),
    })
}

/// What is wrong with a tar, for people: the library quotes the bytes that it could not read.
pub(super) fn broken_tar(what: &str, error: &io::Error) -> Error {
    let text = error.to_string();
    let not_one = ["numeric field", "cksum", "checksum"].iter().any(|sign| text.contains(sign));
    let problem = match () {
        () if not_one => "it is not a tar archive, or a damaged one",
        () if text.contains("unexpected EOF") => "it ends in the middle of a file",
        () => text.lines().next().unwrap_or_default(),
    };
    Error::malformed(what, problem)
}

/// A layer that is in the store.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Digest and size of the stored bytes.
    pub descriptor: Descriptor,
    /// Digest of the tar inside.
    pub diff_id: Digest,
}

/// Takes a tar's bytes, and stores them gzipped under their digest.
#[derive(Debug)]
pub struct LayerWriter {
    gzip: GzEncoder<BlobWriter>,
    hasher: Sha256,
}

impl LayerWriter {
    /// Compresses into `blob`. The gzip header has no time in it: the same tar gives the same digest.
    pub fn new(blob: BlobWriter) -> Self {
        Self { gzip: GzEncoder::new(blob, flate2::Compression::default()), hasher: Sha256::new() }
    }

    /// Ends the layer: now it is in the store.
    pub fn finish(self) -> Result<Layer, Error> {
        let diff_id = digest_of(self.hasher);
        let blob = self.gzip.finish().or_sys("write the layer")?;
        Ok(Layer { descriptor: blob.finish(MediaType::ImageLayerGzip)?, diff_id })
    }
}

impl Write for LayerWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.gzip.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.gzip.flush()
    }
}
