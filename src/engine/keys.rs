//! The keys that leave a container and let it run: ctrl-p ctrl-q, or as `--detach-keys` says.
//!
//! They are found in what is typed, before it goes to the container. A key that may be the first of them
//! is held back until the next one is known; then both go on, or none.

use super::error::Error;

/// What is typed, watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    keys: Vec<u8>,
    /// How many of them were typed last.
    matched: usize,
}

impl Default for Keys {
    /// ctrl-p ctrl-q.
    fn default() -> Self {
        Self { keys: vec![0x10, 0x11], matched: 0 }
    }
}

impl Keys {
    /// Keys with commas between: a letter or sign, or ctrl- and one of `a-z@[\]^_`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |key: &str| Error::Option { option: "--detach-keys", value: text.to_owned(), reason: format!("unknown character: '{key}'"), example: "--detach-keys ctrl-x,x" };
        let key = |key: &str| {
            let one = |text: &str| Some(text.as_bytes()).filter(|b| b.len() == 1 && b[0].is_ascii()).map(|b| b[0]);
            match key.strip_prefix("ctrl-").map(one) {
                // The control characters are these sixty-four places below (ascii(7)).
                Some(Some(c @ (b'a'..=b'z' | b'@' | b'['..=b'_'))) => Ok(c.to_ascii_uppercase() - 0x40),
                Some(_) => Err(bad(key)),
                None => one(key).ok_or_else(|| bad(key)),
            }
        };
        if text.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self { keys: text.split(',').map(key).collect::<Result<_, _>>()?, matched: 0 })
    }

    /// What of the typed goes on to the container, and whether the keys were all there.
    pub fn take(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut on = Vec::with_capacity(typed.len());
        for byte in typed {
            if *byte != self.keys[self.matched] {
                on.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
                if *byte != self.keys[0] {
                    on.push(*byte);
                    continue;
                }
            }
            self.matched += 1;
            if self.matched == self.keys.len() {
                self.matched = 0;
                return (on, true);
            }
        }
        (on, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_docker_writes_them() {
        assert_eq!(Keys::parse("ctrl-p,ctrl-q").expect("keys"), Keys::default());
        assert_eq!(Keys::parse("").expect("keys"), Keys::default());
        assert_eq!(Keys::parse("ctrl-@,ctrl-[,ctrl-_,x").expect("keys").keys, [0, 27, 31, b'x']);
        for wrong in ["ctrl-1", "ctrl-", "xy", ",", "ctrl-ä"] {
            assert!(Keys::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn they_are_found_however_they_are_cut_and_nothing_else_is_lost() {
        let mut keys = Keys::default();
        assert_eq!(keys.take(b"ls\x10"), (b"ls".to_vec(), false));
        assert_eq!(keys.take(b"x\x10\x10"), (b"\x10x\x10".to_vec(), false));
        assert_eq!(keys.take(b"\x11more"), (Vec::new(), true));
        assert_eq!(keys.take(b"\x11"), (b"\x11".to_vec(), false));
    }
}
