//! What a container changed: its overlay's upper directory.
