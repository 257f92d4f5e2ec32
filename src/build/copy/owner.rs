//! `--chown` and `--chmod`.

use crate::engine::Error;
use crate::engine::passwd;
use std::path::PathBuf;

/// Uid and gid for `user[:group]`; names are looked up in the stage's own files. A number alone is
/// both, as Docker has it; a name alone brings its primary group.
pub fn owner(text: &str, layers: &[PathBuf]) -> Result<(u32, u32), Error> {
    let (user, group) = text.split_once(':').map_or((text, None), |(u, g)| (u, Some(g)));
    let numbers = |text: &str| text.parse::<u32>().ok();
    if let Some(uid) = numbers(user) {
        if group.is_none() {
            return Ok((uid, uid));
        }
        if let Some(gid) = group.and_then(numbers) {
            return Ok((uid, gid));
        }
    }
    let who = passwd::resolve(text, layers)?;
    Ok((who.uid, who.gid))
}

/// What `--chmod` makes of a mode: `755`, or `u=rwX,go-w` as chmod(1) has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chmod(Vec<Clause>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Clause {
    Octal(u32),
    Symbolic { who: u32, operation: char, read_write_execute: u32, special_x: bool, sticky: bool, set_id: bool },
}

impl Chmod {
    /// Reads it; `None` where it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        if !text.is_empty() && text.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
            let mode = u32::from_str_radix(text, 8).ok().filter(|m| *m <= 0o7777)?;
            return Some(Self(vec![Clause::Octal(mode)]));
        }
        text.split(',').map(clause).collect::<Option<_>>().map(Self)
    }

    /// The new mode of a file, or of a folder.
    pub fn apply(&self, mode: u32, is_folder: bool) -> u32 {
        self.0.iter().fold(mode, |mode, clause| match clause {
            Clause::Octal(to) => *to,
            Clause::Symbolic { who, operation, read_write_execute, special_x, sticky, set_id } => {
                let mut bits = *read_write_execute;
                if *special_x && (is_folder || mode & 0o111 != 0) {
                    bits |= 1;
                }
                let mut spread = (bits | bits << 3 | bits << 6) & who;
                if *set_id {
                    spread |= (if who & 0o700 != 0 { 0o4000 } else { 0 }) | (if who & 0o070 != 0 { 0o2000 } else { 0 });
                }
                if *sticky {
                    spread |= 0o1000;
                }
                match operation {
                    '+' => mode | spread,
                    '-' => mode & !spread,
                    _ => (mode & !who) | spread,
                }
            }
        })
    }
}

fn clause(text: &str) -> Option<Clause> {
    let at = text.find(['+', '-', '='])?;
    let who = text[..at].chars().try_fold(0, |mask, c| match c {
        'u' => Some(mask | 0o700),
        'g' => Some(mask | 0o070),
        'o' => Some(mask | 0o007),
        'a' => Some(mask | 0o777),
        _ => None,
    })?;
    let who = if who == 0 { 0o777 } else { who };
    let operation = text[at..].chars().next()?;
    let (mut bits, mut special_x, mut sticky, mut set_id) = (0, false, false, false);
    for c in text[at + 1..].chars() {
        match c {
            'r' => bits |= 4,
            'w' => bits |= 2,
            'x' => bits |= 1,
            'X' => special_x = true,
            't' => sticky = true,
            's' => set_id = true,
            _ => return None,
        }
    }
    Some(Clause::Symbolic { who, operation, read_write_execute: bits, special_x, sticky, set_id })
}

#[cfg(test)]
mod tests {
    use super::Chmod;

    #[test]
    fn modes_are_changed_as_chmod_does() {
        for (text, mode, is_folder, expected) in [
            ("755", 0o644, false, 0o755),
            ("4755", 0o644, false, 0o4755),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, true, 0o755),
            ("+x", 0o644, false, 0o755),
            ("go-w", 0o666, false, 0o644),
            ("u+s", 0o755, false, 0o4755),
        ] {
            assert_eq!(Chmod::parse(text).map(|c| c.apply(mode, is_folder)), Some(expected), "{text}");
        }
        assert_eq!(Chmod::parse("9"), None);
        assert_eq!(Chmod::parse("u+q"), None);
    }
}
