//! Unit tests of the status.
