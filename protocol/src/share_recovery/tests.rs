//! Unit tests of `share_recovery`.
