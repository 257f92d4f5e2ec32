//! Images outside of the store.
