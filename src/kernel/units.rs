//! Sizes and counts as the kernel's files and command lines spell them.
