//! Unit tests of `secret_sharing`.
