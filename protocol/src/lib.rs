//! The sans-IO half of Legation: signed documents, wire messages, state machines.
