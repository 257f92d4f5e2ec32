//! /proc/PID/mountinfo, parsed once (proc(5)).
