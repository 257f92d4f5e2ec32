//! What both binaries share in output: width, wrapping, colour, tables.
