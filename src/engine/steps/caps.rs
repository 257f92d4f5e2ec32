//! Drop capabilities to the container's sets (capabilities(7)).
