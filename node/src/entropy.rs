//! The one file of the node that draws entropy.
//!
//! Everything else takes `&mut impl rand::CryptoRng`. Only the operating system is a source; with the
//! cargo feature `test-hooks`, and only then, the stream that makes snapshot keys can be a known one, so
//! that a test can search the memory of a finished process for a key it knows.

use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

/// The generator of the operating system.
///
/// # Panics
/// When drawn from, if the operating system has no entropy to give: no key may be made then.
pub fn rng() -> impl rand::CryptoRng + Send {
    UnwrapErr(SysRng)
}

/// The generator of snapshot keys: the operating system.
///
/// # Panics
/// As [`rng`].
#[cfg(not(feature = "test-hooks"))]
pub fn snapshot_rng() -> impl rand::CryptoRng + Send {
    rng()
}

/// Names the environment variable of [`snapshot_rng`] under the feature `test-hooks`: 64 hex digits.
#[cfg(feature = "test-hooks")]
pub const SNAPSHOT_SEED_VARIABLE: &str = "LEGATION_TEST_SNAPSHOT_SEED";

/// The generator of snapshot keys: seeded from [`SNAPSHOT_SEED_VARIABLE`] if that is set, else by the
/// operating system. Every call starts the seeded stream again.
///
/// # Panics
/// If the variable is set to anything but 64 hex digits.
#[cfg(feature = "test-hooks")]
pub fn snapshot_rng() -> impl rand::CryptoRng + Send {
    use rand::{Rng, SeedableRng};

    let mut seed = zeroize::Zeroizing::new([0_u8; 32]);
    match std::env::var(SNAPSHOT_SEED_VARIABLE) {
        Ok(text) => hex::decode_to_slice(text, seed.as_mut_slice()).expect("a test sets 64 hex digits"),
        Err(_unset) => rng().fill_bytes(seed.as_mut_slice()),
    }
    rand_chacha::ChaCha20Rng::from_seed(*seed)
}

/// Says on standard error where the work is and waits for a byte of standard input, so that a test can search this
/// process's memory. Only if the test asked for it, with a list of points separated by commas.
#[cfg(feature = "test-hooks")]
pub fn wait_for_search(point: &str) {
    let asked = std::env::var("LEGATION_TEST_WAIT").is_ok_and(|points| points.split(',').any(|asked| asked == point));
    if asked {
        eprintln!("ready for the search: {point}");
        let _end = std::io::Read::read(&mut std::io::stdin(), &mut [0]);
    }
}
