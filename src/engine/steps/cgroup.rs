//! Make the container's cgroup, write its limits, move into it (cgroups(7)).
