//! Resource limits, clipped to what this process may set (getrlimit(2)).
