//! Every bound of the format in one place. A reader refuses what exceeds them before it allocates.

/// Shards of one stripe at the most: GF(2^8) has 256 elements, and the index fits one byte.
pub const SHARDS_MAX: usize = 255;
/// Custodians of one snapshot key at the most.
pub const SHARES_MAX: usize = 255;
/// Payload of one stripe in bytes at the most (64 MiB).
pub const STRIPE_BYTES_MAX: usize = 64 << 20;
/// Payload of one stripe in bytes unless the charter says otherwise (16 MiB).
pub const STRIPE_BYTES_DEFAULT: usize = 16 << 20;
/// Plaintext of one chunk in bytes at the most (4 MiB).
pub const CHUNK_BYTES_MAX: usize = 4 << 20;
/// A shard's length is a multiple of this many bytes.
pub const SHARD_ALIGN_BYTES: usize = 64;
