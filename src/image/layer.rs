//! A layer as bytes: a tar archive, gzipped for storage, with two digests.
//!
//! The *digest* names the stored (compressed) bytes, the *diff ID* the tar inside. Compressing again
//! changes the first and never the second (OCI image spec, layer.md and config.md).

use super::writer::BlobWriter;
use super::Error;
use crate::kernel::OrSys;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use flate2::Compression;
use oci_spec::image::{Descriptor, Digest, MediaType};
use sha2::{Digest as _, Sha256};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::str::FromStr;

/// The digest of what a hasher has seen.
pub(super) fn digest_of(hasher: Sha256) -> Digest {
    let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Digest::from_str(&format!("sha256:{hex}")).expect("64 hexadecimal digits are a sha256 digest")
}

/// The digest of some bytes.
pub fn digest(bytes: &[u8]) -> Digest {
    digest_of(Sha256::new_with_prefix(bytes))
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
        io::copy(&mut self, &mut io::sink())?;
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

/// The tar inside a layer, whatever it is compressed with: gzip or nothing.
pub fn tar_of<'a>(layer: impl Read + 'a) -> Result<Box<dyn Read + 'a>, Error> {
    let mut reader = BufReader::with_capacity(1 << 16, layer);
    let start = reader.fill_buf().or_sys("read the layer")?;
    match start {
        [0x1f, 0x8b, ..] => Ok(Box::new(MultiGzDecoder::new(reader))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Err(Error::malformed("the layer", "it is compressed with zstd, and skiff reads gzip and plain tar"))
        }
        _ => Ok(Box::new(reader)),
    }
}

/// What is wrong with a tar, for people: the library quotes the bytes that it could not read.
pub(super) fn broken_tar(what: &str, error: &io::Error) -> Error {
    let text = error.to_string();
    let not_one = ["numeric field", "cksum", "checksum"].iter().any(|sign| text.contains(sign));
    let problem = if not_one { "it is not a tar archive, or a damaged one" } else { text.lines().next().unwrap_or_default() };
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
        Self { gzip: GzEncoder::new(blob, Compression::default()), hasher: Sha256::new() }
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
