//! Set resource limits, clipped to what the host allows (setrlimit(2)).
