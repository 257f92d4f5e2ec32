//! Pseudo-terminals: open, raw mode, size, relay (pty(7)).
