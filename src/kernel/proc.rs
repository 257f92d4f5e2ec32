//! What /proc shows of a process (proc(5)).
