//! Network links of a namespace (netlink(7)).
