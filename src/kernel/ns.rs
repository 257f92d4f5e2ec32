//! Namespaces: make, enter, name by inode (namespaces(7)).
