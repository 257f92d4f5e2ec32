//! Processes held by descriptor (pidfd_open(2)).
