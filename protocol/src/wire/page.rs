//! Lists that are bounded while they are read: one byte on the wire must not become a whole entry in memory.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

use crate::limits::PAGE_ENTRIES_MAX;

struct Page<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Page<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {PAGE_ENTRIES_MAX} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            if entries.len() == PAGE_ENTRIES_MAX {
                return Err(A::Error::custom(format_args!("a list of more than {PAGE_ENTRIES_MAX} entries")));
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

/// For `#[serde(deserialize_with)]`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    from.deserialize_seq(Page(PhantomData))
}
