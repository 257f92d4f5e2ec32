//! Write uid and gid maps (user_namespaces(7)).
