//! One view of a process: everything a container step can change, read from outside.
