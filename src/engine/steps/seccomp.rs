//! Install the seccomp filter (seccomp(2)).
