//! Capabilities, no_new_privs and seccomp: /proc/PID/status (capabilities(7), proc(5)).

use super::Fact;
use crate::check::machine::Seen;
use crate::check::model::{CapName, SetIs, SetName};
use crate::kernel::view::in_words;
use std::collections::BTreeMap;

/// Its capability sets.
pub(super) fn sets(wanted: &BTreeMap<SetName, SetIs>, seen: &Seen) -> Fact {
    let at = format!("/proc/{}/status", seen.pid());
    let Ok(status) = seen.process().and_then(|p| p.status()) else { return Fact::is(false, "capabilities", "the process has just ended", at) };
    let all = status.capabilities();
    let one = |(name, wanted): (&SetName, &SetIs)| {
        let (label, mask) = match name {
            SetName::Effective => ("CapEff", all.effective),
            SetName::Permitted => ("CapPrm", all.permitted),
            SetName::Inheritable => ("CapInh", all.inheritable),
            SetName::Bounding => ("CapBnd", all.bounding),
            SetName::Ambient => ("CapAmb", all.ambient),
        };
        let of = |names: &[CapName]| names.iter().fold(0, |mask, name| mask | name.0);
        let (has, lacks) = (of(&wanted.has), of(&wanted.lacks));
        let exactly = wanted.exactly.as_ref().map(|names| of(names));
        let so = mask & has == has && mask & lacks == 0 && exactly.is_none_or(|e| e == mask);
        let mut words = Vec::new();
        words.extend((has != 0).then(|| format!("with {}", in_words(has))));
        words.extend((lacks != 0).then(|| format!("without {}", in_words(lacks))));
        words.extend(exactly.map(|e| format!("exactly {}", in_words(e))));
        Fact::is(so, format!("{label} {}", words.join(", ")), format!("{label} {}", in_words(mask)), at.clone())
    };
    Fact::all(wanted.iter().map(one).collect())
}

/// Whether exec can give it privilege.
pub(super) fn no_new_privileges(wanted: bool, seen: &Seen) -> Fact {
    let at = format!("NoNewPrivs in /proc/{}/status", seen.pid());
    let found = seen.process().and_then(|p| p.status()).map(|s| s.get("NoNewPrivs").to_owned()).unwrap_or_default();
    Fact::is((found == "1") == wanted, format!("NoNewPrivs {}", u8::from(wanted)), format!("NoNewPrivs {found}"), at)
}

/// `filter` or `none`.
pub(super) fn seccomp(wanted: &str, seen: &Seen) -> Fact {
    let at = format!("Seccomp in /proc/{}/status", seen.pid());
    let found = seen.process().and_then(|p| p.status()).map(|s| s.get("Seccomp").to_owned()).unwrap_or_default();
    let word = match found.as_str() {
        "0" => "none",
        "2" => "filter",
        _ => "strict",
    };
    Fact::is(word == wanted, format!("seccomp {wanted}"), format!("seccomp {word}"), at)
}
