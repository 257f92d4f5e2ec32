//! The join code: who may join, and which hub it is, in 18 letters that can be read aloud.
//!
//! Six letters are the class's word (30 bits, guessed against a limit of tries); twelve are the beginning
//! of the SHA-256 of the hub's certificate (60 bits), so that CODE@HOST is all a learner types and nobody
//! in between can pass for the hub without making a certificate that begins alike: some 10^18 tries, for
//! a class that lasts a day. The letters are Crockford's base 32, which has no i, l, o and u; whoever
//! types one of the first three is understood.

use super::Error;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const WORD: usize = 6;
const PRINT: usize = 12;

/// The port of a hub unless another is named.
pub const PORT: u16 = 7343;

/// A class's word and its hub's fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinCode {
    /// What lets one in.
    pub word: String,
    /// The beginning of the certificate's SHA-256.
    pub fingerprint: String,
}

/// Where to join: CODE@HOST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The code.
    pub code: JoinCode,
    /// A name or an IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Bytes as letters, five bits each; what is left over of the last byte is dropped.
pub fn letters(bytes: &[u8]) -> String {
    let bits = |i: usize| bytes.iter().flat_map(|b| (0..8).rev().map(move |at| b >> at & 1)).skip(i * 5).take(5);
    (0..bytes.len() * 8 / 5).map(|i| LETTERS[bits(i).fold(0, |sum, bit| sum << 1 | usize::from(bit))] as char).collect()
}

/// Random letters from /dev/urandom.
pub fn random_letters(count: usize) -> std::io::Result<String> {
    use std::io::Read;
    let mut bytes = vec![0; (count * 5).div_ceil(8)];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(letters(&bytes).chars().take(count).collect())
}

/// What a join code holds of a certificate (DER).
pub fn fingerprint(certificate: &[u8]) -> String {
    letters(&Sha256::digest(certificate)).chars().take(PRINT).collect()
}

impl fmt::Display for JoinCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.word)?;
        self.fingerprint.as_bytes().chunks(4).try_for_each(|group| write!(f, "-{}", String::from_utf8_lossy(group)))
    }
}

impl FromStr for JoinCode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |problem| Error::BadCode { text: text.to_owned(), problem };
        let plain = |c: char| match c.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        };
        let typed: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).map(plain).collect();
        if !typed.bytes().all(|b| LETTERS.contains(&b)) {
            return Err(bad("a letter of it is in no code"));
        }
        if typed.len() != WORD + PRINT {
            return Err(bad("it has 18 letters, and hyphens between them"));
        }
        Ok(Self { word: typed[..WORD].to_owned(), fingerprint: typed[WORD..].to_owned() })
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |problem| Error::BadCode { text: text.to_owned(), problem };
        let (code, place) = text.trim().rsplit_once('@').ok_or_else(|| bad("it is CODE@HOST"))?;
        let code = code.parse()?;
        let (host, port) = match (place.strip_prefix('['), place.rsplit_once(':')) {
            (Some(rest), _) => {
                let (host, rest) = rest.split_once(']').ok_or_else(|| bad("the ] after the host is missing"))?;
                (host, rest.strip_prefix(':'))
            }
            // More than one colon, and no brackets: an IPv6 address alone.
            (None, Some((host, port))) if !host.contains(':') => (host, Some(port)),
            (None, _) => (place, None),
        };
        let port = port.map_or(Ok(PORT), str::parse).map_err(|_| bad("the port is a number up to 65535"))?;
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
            return Err(bad("after the @ comes the hub's name or address"));
        }
        Ok(Self { code, host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.code, at(&self.host, self.port, PORT))
    }
}

/// HOST or HOST:PORT, with the brackets of IPv6; the usual port is left out.
pub fn at(host: &str, port: u16, usual: u16) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == usual { host } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_is_read_as_a_person_types_it() {
        let typed: Address = " 7K2mqx-p9QR tz4w-8h3n@Laptop:7000 ".parse().expect("a code");
        assert_eq!(typed.to_string(), "7k2mqx-p9qr-tz4w-8h3n@Laptop:7000");
        let typed: Address = "oil0ab-cdef-ghjk-mnpq@[fe80::1]".parse().expect("a code");
        assert_eq!((typed.code.word.as_str(), typed.host.as_str(), typed.port), ("0110ab", "fe80::1", PORT));
        for wrong in ["", "abc", "abc@host", "7k2mqx-p9qr-tz4w-8h3n@", "7k2mqx-p9qr-tz4w-8h3u@host", "7k2mqx-p9qr-tz4w-8h3n@host:99999", "7k2mqx-p9qr-tz4w-8h3n@a/b"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(bytes in proptest::collection::vec(any::<u8>(), 12), port in any::<u16>()) {
            let all = letters(&bytes);
            let address = Address { code: JoinCode { word: all[..6].into(), fingerprint: all[6..18].into() }, host: "::1".into(), port };
            prop_assert_eq!(address.to_string().parse::<Address>().expect("its own"), address);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = text.parse::<Address>();
        }
    }
}
