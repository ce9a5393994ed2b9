//! Names that are safe in a file name, a log line and a command.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name in bytes.
pub const NAME_BYTES_MAX: usize = 63;

/// The text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a name: use 1 to {NAME_BYTES_MAX} of a-z, 0-9 and '-', beginning with a letter")]
pub struct NameError {
    /// What was given, cut to a printable length.
    pub text: String,
}

fn check(text: &str) -> Result<(), NameError> {
    let begins_well = text.starts_with(|first: char| first.is_ascii_lowercase());
    let all_allowed = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if begins_well && all_allowed && text.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(NameError { text: text.chars().filter(|c| !c.is_control()).take(NAME_BYTES_MAX).collect() })
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                check(&text).map(|()| Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

name_type!(
    /// The name of a site, unique in its charter.
    SiteName
);
name_type!(
    /// The name of a database, unique in its charter.
    DatabaseName
);
