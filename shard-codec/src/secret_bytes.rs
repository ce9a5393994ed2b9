//! The one wrapper around secret bytes.
//!
//! Zeroised on drop, redacted in `Debug`, opened only inside a closure. It has no `Clone`, no `Copy`,
//! no serialisation and no `PartialEq`: [`SecretBytes::ct_eq`] compares in constant time.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N` secret bytes on the heap, so that a move leaves no copy behind.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SecretBytes<const N: usize>(Box<[u8; N]>);

impl<const N: usize> SecretBytes<N> {
    /// Lets `fill` write the secret in place, so that no copy of it is ever on the stack of the caller.
    pub fn build(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut bytes = Box::new([0; N]);
        fill(&mut bytes);
        Self(bytes)
    }

    /// Fills the secret from `rng`.
    pub fn random(rng: &mut impl rand::CryptoRng) -> Self {
        Self::build(|bytes| rng.fill_bytes(bytes))
    }

    /// A copy of `bytes`, or `None` if their number is not `N`. The caller still owns, and wipes, the original.
    #[must_use]
    pub fn copy_from(bytes: &[u8]) -> Option<Self> {
        let source: &[u8; N] = bytes.try_into().ok()?;
        Some(Self::build(|target| target.copy_from_slice(source)))
    }

    /// Shows the bytes to `use_bytes` and to nobody else.
    pub fn expose<R>(&self, use_bytes: impl FnOnce(&[u8; N]) -> R) -> R {
        use_bytes(&self.0)
    }

    /// Constant-time comparison.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> Choice {
        self.0.as_slice().ct_eq(other.0.as_slice())
    }
}

impl<const N: usize> fmt::Debug for SecretBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes<{N}>(redacted)")
    }
}
