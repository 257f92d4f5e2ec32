//! Names for containers that were given none: two words, easy to say and to type.

/// How it is.
const HOW: [&str; 40] = [
    "able", "amber", "bold", "brave", "brisk", "calm", "clear", "crisp", "deep", "eager", "even", "fair", "fleet", "fresh", "gentle",
    "glad", "golden", "grand", "hardy", "keen", "kind", "lively", "loyal", "lucky", "mellow", "merry", "mild", "noble", "patient",
    "plain", "proud", "quick", "quiet", "rapid", "ready", "steady", "sunny", "swift", "tidy", "warm",
];

/// What sails, or what it is made of.
const WHAT: [&str; 40] = [
    "anchor", "barge", "beacon", "bosun", "bow", "brig", "buoy", "canoe", "capstan", "clipper", "cutter", "deck", "dinghy", "ferry",
    "galley", "gull", "harbour", "hatch", "helm", "hull", "jib", "kayak", "keel", "ketch", "lantern", "lugger", "mast", "oar", "pilot",
    "pier", "punt", "quay", "raft", "rudder", "sail", "schooner", "sloop", "tiller", "tug", "yawl",
];

/// The name that belongs to an id: the same id gives the same words.
pub fn for_id(id: &str) -> String {
    let number = |from: usize| usize::from_str_radix(id.get(from..from + 4).unwrap_or("0"), 16).unwrap_or(0);
    format!("{}_{}", HOW[number(0) % HOW.len()], WHAT[number(4) % WHAT.len()])
}
