//! Bytes in, bytes out: everything Legation does to the data of a snapshot between a connector and the wire.
//!
//! A database is cut into *chunks* ([`chunking`]), each chunk is named and keyed by its own plaintext,
//! compressed and sealed ([`compression`], [`sealing`]), sealed chunks are packed into *stripes* ([`stripe`]), a stripe
//! is Reed-Solomon coded into *shards* ([`reed_solomon`]) and every shard is named by its BLAKE3 root
//! ([`shard_tree`]). The snapshot's key is Pedersen-shared ([`secret_sharing`]) and each share sealed to
//! its site ([`share_sealing`]).
//!
//! The crate does no IO, reads no clock and draws no entropy: randomness is always a parameter.
//! Read next: [`limits`], then [`sealing`], then [`stripe`].

pub mod chunking;
pub mod compression;
pub mod digest;
pub mod index;
pub mod limits;
pub mod reed_solomon;
pub mod sealing;
pub mod secret_bytes;
pub mod secret_sharing;
pub mod shard_tree;
pub mod share_sealing;
pub mod stripe;

pub use chunking::{Chunker, ContentDefined, FixedSize};
pub use compression::{Compression, Compressor, Decompressor};
pub use digest::Digest;
pub use index::{CodingParameters, ShardIndex, ShareIndex};
pub use reed_solomon::{ErasureCode, Reference};
pub use sealing::{ChunkHash, ChunkId, DedupSecret};
pub use secret_bytes::SecretBytes;
pub use secret_sharing::{Commitments, Share, SnapshotKey, SnapshotSecret};
pub use share_sealing::{SealingPublicKey, SealingSecretKey};
pub use stripe::{
    EncodedStripe, StripeBuilder, StripeLayout, UncheckedShard, VerifiedColumns, VerifiedShard, decode_stripe,
    encode_stripe,
};
