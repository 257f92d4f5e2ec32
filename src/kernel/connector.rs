//! Process events (the proc connector).
