//! A netlink message being written, and attributes being read.

use super::HEADER;

/// One message, or a batch of them one after another.
#[derive(Debug, Clone, Default)]
pub struct Message {
    bytes: Vec<u8>,
    /// Where the message that is being written begins.
    start: usize,
}

impl Message {
    /// A message of a type such as RTM_NEWLINK, with flags besides NLM_F_REQUEST.
    pub fn new(kind: u16, flags: i32) -> Self {
        let mut message = Self::default();
        message.begin(kind, flags);
        message
    }

    /// Begins another message behind those that are there.
    pub fn begin(&mut self, kind: u16, flags: i32) {
        self.end();
        self.start = self.bytes.len();
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(((libc::NLM_F_REQUEST | flags) as u16).to_ne_bytes());
        // Sequence number and port: a socket here has one request under way, so neither is looked at.
        self.bytes.extend([0; 8]);
    }

    /// The struct behind the header, as the kernel lays it out.
    pub fn body(mut self, bytes: &[u8]) -> Self {
        self.raw(bytes);
        self
    }

    /// The same, to a message that is kept.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.pad();
    }

    /// An attribute.
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.put(kind, value);
        self
    }

    /// An attribute that is text: with a NUL at its end, which is what every reader expects.
    pub fn text(self, kind: u16, value: &str) -> Self {
        self.attribute(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// An attribute that holds attributes.
    pub fn nested(mut self, kind: u16, inner: impl FnOnce(Message) -> Message) -> Self {
        self.nest(kind, |m| *m = inner(std::mem::take(m)));
        self
    }

    /// An attribute, to a message that is kept.
    pub fn put(&mut self, kind: u16, value: &[u8]) {
        // A length without the padding behind it.
        self.bytes.extend(((4 + value.len()) as u16).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.raw(value);
    }

    /// An attribute that holds what `inner` writes.
    pub fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Message)) {
        let at = self.bytes.len();
        self.bytes.extend([0, 0]);
        self.bytes.extend((kind | libc::NLA_F_NESTED as u16).to_ne_bytes());
        inner(self);
        let length = (self.bytes.len() - at) as u16;
        self.bytes[at..at + 2].copy_from_slice(&length.to_ne_bytes());
    }

    /// The bytes to send.
    pub fn finish(mut self) -> Vec<u8> {
        self.end();
        self.bytes
    }

    fn end(&mut self) {
        if self.bytes.len() >= self.start + HEADER {
            let length = (self.bytes.len() - self.start) as u32;
            self.bytes[self.start..self.start + 4].copy_from_slice(&length.to_ne_bytes());
        }
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// Type and value of each attribute; the two topmost bits of a type are flags.
pub fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let (Some(length), Some(kind)) = (half(bytes, 0), half(bytes, 2)) {
        let length = usize::from(length);
        let Some(value) = bytes.get(4..length) else { break };
        found.push((kind & 0x3fff, value));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// Text up to its NUL.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|b| *b == 0).next().unwrap_or_default()).into_owned()
}

/// Four bytes at an offset, as this machine orders them.
pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Two bytes at an offset.
pub fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read_again() {
        let bytes = Message::new(16, 0).body(&[0; 16]).text(3, "eth0").nested(18, |m| m.text(1, "veth")).finish();
        assert_eq!((word(&bytes, 0), half(&bytes, 4)), (Some(bytes.len() as u32), Some(16)));
        let found = attributes(&bytes[HEADER + 16..]);
        assert_eq!((found[0].0, text(found[0].1).as_str()), (3, "eth0"));
        assert_eq!((found[1].0, text(attributes(found[1].1)[0].1).as_str()), (18, "veth"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            attributes(&bytes);
        }
    }
}
