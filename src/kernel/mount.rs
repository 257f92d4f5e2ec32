//! The mount calls, by descriptor where the kernel has them (mount(2), fsopen(2), pivot_root(2)).
