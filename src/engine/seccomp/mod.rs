//! Seccomp profiles compiled to BPF (seccomp(2), OCI runtime spec "seccomp").
