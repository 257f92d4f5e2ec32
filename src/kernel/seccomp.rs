//! Install a compiled filter (seccomp(2)).
