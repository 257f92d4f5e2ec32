//! Control groups on v2, v1 and hybrid hosts; the difference between them lives here (cgroups(7)).
