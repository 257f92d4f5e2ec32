//! JSON whose members keep the order in which they are written down here, as Docker's documents have it.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// A value, or members in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Ordered {
    /// Any JSON.
    Plain(Value),
    /// An object.
    Members(Vec<(&'static str, Ordered)>),
    /// A list of them.
    List(Vec<Ordered>),
    /// An object whose names are data.
    Named(Vec<(String, Ordered)>),
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Ordered::Plain(value) => value.serialize(to),
            Ordered::List(all) => all.serialize(to),
            Ordered::Members(members) => {
                let mut map = to.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
                map.end()
            }
            Ordered::Named(members) => {
                let mut map = to.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
                map.end()
            }
        }
    }
}

/// `{ "Name": value, … }` in this order.
macro_rules! members {
    ($($name:literal: $value:expr),* $(,)?) => {
        $crate::daemon::say::ordered::Ordered::Members(vec![$(($name, $crate::daemon::say::ordered::Ordered::from_any($value))),*])
    };
}
pub(in crate::daemon) use members;

/// What may stand in [`members`].
pub trait Any {
    /// As a value.
    fn ordered(self) -> Ordered;
}

impl Any for Ordered {
    fn ordered(self) -> Ordered {
        self
    }
}

impl<T: Into<Value>> Any for T {
    fn ordered(self) -> Ordered {
        Ordered::Plain(self.into())
    }
}

impl Ordered {
    /// Either kind.
    pub fn from_any(value: impl Any) -> Self {
        value.ordered()
    }
}
