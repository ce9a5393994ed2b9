//! Unit tests of `share_sealing`.
