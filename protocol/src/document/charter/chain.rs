//! The versions of a charter, from genesis to the newest, each authorised by the one before.

use shard_codec::Digest;

use super::{Charter, Site, succession};
use crate::identifier::SiteName;
use crate::signature::quorum::{self, QuorumError};
use crate::signature::{EnvelopeError, Signed};

/// Why a charter is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CharterError {
    /// Form or content.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Not the state that was asked for.
    #[error("this charter founds state {found}, not {expected}")]
    OtherState {
        /// The state pinned here.
        expected: Digest,
        /// The state of the charter.
        found: Digest,
    },
    /// Not the next version of the newest one here.
    #[error("charter version {found} does not follow version {newest} held here")]
    NotNext {
        /// The newest version here.
        newest: u64,
        /// The version offered.
        found: u64,
    },
    /// Another charter of the same or the next version: somebody forked the state.
    #[error("charter version {version} conflicts with the one held here: the state's history is forked")]
    Fork {
        /// The version in conflict.
        version: u64,
    },
    /// A site of the version before is gone or has other keys.
    #[error(
        "charter version {version} drops site {site} or changes its keys: mark it lost or expelled, and give its \
         successor a new name"
    )]
    SiteChanged {
        /// The version offered.
        version: u64,
        /// The site.
        site: SiteName,
    },
    /// A succession is taken back, changed, or names nobody.
    #[error(
        "charter version {version}, site {site}: whom a site succeeds is said once, by the version that admits it, must be a \
         site of the version before, and does not come back"
    )]
    Succession {
        /// The version offered.
        version: u64,
        /// The successor.
        site: SiteName,
    },
    /// Signatures.
    #[error("charter version {version}, quorum of version {roll}: {error}")]
    Quorum {
        /// The version offered.
        version: u64,
        /// Whose officials are missing.
        roll: u64,
        /// What is wrong.
        error: QuorumError,
    },
}

/// A verified chain.
///
/// # Invariants
/// Never empty; version i + 1 stands at position i; each version carries a quorum of itself and of its predecessor, and
/// has passed every check of its content.
#[derive(Clone, Debug)]
pub struct CharterChain {
    genesis: Signed<Charter>,
    later: Vec<Signed<Charter>>,
}

impl CharterChain {
    /// Begins a chain. `state` is the digest the caller trusts, from a release order or an earlier start; `None` on
    /// first use, when the caller shows the digest to a person.
    ///
    /// # Errors
    /// Not version 1, another state, no quorum of its own officials, or content that contradicts itself.
    pub fn found(genesis: Signed<Charter>, state: Option<Digest>) -> Result<Self, CharterError> {
        let (found, version) = (genesis.digest(), genesis.document().version);
        if version != 1 {
            return Err(CharterError::NotNext { newest: 0, found: version });
        }
        match state {
            Some(expected) if expected != found => return Err(CharterError::OtherState { expected, found }),
            Some(_) | None => {}
        }
        if let Some(site) = genesis.document().sites.iter().find(|site| site.succeeds.is_some()) {
            return Err(CharterError::Succession { version, site: site.name.clone() });
        }
        check_quorum(&genesis, genesis.document())?;
        genesis.check_costly()?;
        Ok(Self { genesis, later: Vec::new() })
    }

    /// Verifies and appends the next version; a version that is already here is taken silently. What costs most comes
    /// last: who is no official gets no further than the signatures.
    ///
    /// # Errors
    /// Another state, a gap, a fork, no quorum of the newest version and of itself, a site dropped, or content that
    /// contradicts itself.
    pub fn extend(&mut self, next: Signed<Charter>) -> Result<bool, CharterError> {
        let version = next.document().version;
        if let Some(held) = self.version(version) {
            if held.digest() == next.digest() {
                return Ok(false);
            }
            // Only officials can fork a state; anybody can write a file that says it is version 1.
            let authority = self.version(version.saturating_sub(1)).unwrap_or(&self.genesis);
            check_quorum(&next, authority.document())?;
            return Err(CharterError::Fork { version });
        }
        let newest = self.newest();
        if version != newest.document().version + 1 {
            return Err(CharterError::NotNext { newest: newest.document().version, found: version });
        }
        let found = next.document().genesis.unwrap_or_else(|| next.digest());
        if found != self.state() {
            return Err(CharterError::OtherState { expected: self.state(), found });
        }
        check_quorum(&next, newest.document())?;
        check_quorum(&next, next.document())?;
        if next.document().previous != Some(newest.digest()) {
            return Err(CharterError::Fork { version: version - 1 });
        }
        check_sites_stay(newest.document(), next.document())?;
        succession::check_new(newest.document(), next.document())?;
        next.check_costly()?;
        self.later.push(next);
        Ok(true)
    }

    /// The digest of genesis: the name of the state.
    #[must_use]
    pub fn state(&self) -> Digest {
        self.genesis.digest()
    }

    /// The newest version with its signatures.
    #[must_use]
    pub fn newest(&self) -> &Signed<Charter> {
        self.later.last().unwrap_or(&self.genesis)
    }

    /// The newest charter.
    #[must_use]
    pub fn charter(&self) -> &Charter {
        self.newest().document()
    }

    /// One version.
    #[must_use]
    pub fn version(&self, version: u64) -> Option<&Signed<Charter>> {
        self.iter().nth(usize::try_from(version.checked_sub(1)?).ok()?)
    }

    /// All versions, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Signed<Charter>> {
        std::iter::once(&self.genesis).chain(&self.later)
    }
}

/// Receipts and sealed shares name a site for ever: its name must go on meaning the same keys.
fn check_sites_stay(newest: &Charter, next: &Charter) -> Result<(), CharterError> {
    let stays = |held: &&Site| {
        next.site(&held.name).is_some_and(|site| site.identity == held.identity && site.sealing_key == held.sealing_key)
    };
    match newest.sites.iter().find(|held| !stays(held)) {
        Some(site) => Err(CharterError::SiteChanged { version: next.version, site: site.name.clone() }),
        None => Ok(()),
    }
}

fn check_quorum(signed: &Signed<Charter>, roll: &Charter) -> Result<(), CharterError> {
    quorum::verify(signed, &roll.roll(), roll.quorum.into()).map(|_signers| ()).map_err(|error| CharterError::Quorum {
        version: signed.document().version,
        roll: roll.version,
        error,
    })
}
