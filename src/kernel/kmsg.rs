//! Kernel messages (/dev/kmsg).
