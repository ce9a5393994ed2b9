//! Whoever holds the lost sites: their disks, their key files and the passphrases. Tries to open the snapshots.
//!
//! Works from the open format alone (`docs/format.md`): the arithmetic of the attempt is written here again, without
//! the checks of the real reconstruction, so that a check that refuses does not stand in for a secret that holds.
//! [`Occupier::opens_with_enough`] shows that the same arithmetic opens everything as soon as there are enough shares.

use std::path::Path;

use curve25519_dalek::scalar::Scalar;
use hkdf::Hkdf;
use protocol::catalog::publish::share_context;
use protocol::contents::{ContentsRoot, root_context};
use protocol::document::Manifest;
use protocol::signature::Signed;
use rand::Rng as _;
use sha2::Sha256;
use shard_codec::SecretBytes;
use shard_codec::sealing::open_root;
use shard_codec::secret_sharing::{SHARE_BYTES, Share, SnapshotKey, reconstruct};
use shard_codec::share_sealing::open_sealed;

use crate::cli::Failure;
use crate::cli::keys::Passphrases;
use crate::entropy;
use crate::machine_state::{MachineState, RecordKind};

const KEY_LABEL: &[u8] = b"legation v1 snapshot key";
/// Forged shares that are tried in each missing place.
const FORGERIES: usize = 64;

/// A point of the secret polynomial: index and value.
type Point = (u8, Scalar);

/// One snapshot as the lost sites know it.
struct Snapshot {
    manifest: Manifest,
    shares: Vec<Share>,
}

/// Everything that was taken.
#[derive(Default)]
pub(super) struct Occupier {
    snapshots: Vec<Snapshot>,
    /// Every 32 bytes of every secret that lay in a key file.
    secrets: Vec<[u8; 32]>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    pub(super) count: u64,
    pub(super) opened: u64,
    /// Shares of one snapshot at hand.
    pub(super) shares: usize,
}

impl Occupier {
    /// Opens the key file of a lost site and all shares that the site holds.
    pub(super) fn take_site(&mut self, dir: &Path, passphrase_file: &Path) -> Result<(), Failure> {
        let keys = Passphrases::new(Some(passphrase_file.to_owned())).site(&dir.join("site.key"))?;
        keys.sealing.expose(|key| self.secrets.push(*key));
        keys.identity.secret().expose(|key| self.secrets.push(*key));
        let state = MachineState::open(&dir.join("state.redb"))?;
        for (key, bytes) in state.load(RecordKind::Manifest)? {
            let manifest = Signed::<Manifest>::decode(&bytes)?.document().clone();
            let held = state.get(RecordKind::Share, &key)?;
            let Some(sealed) = held.filter(|sealed| !sealed.is_empty()) else { continue };
            let opened =
                open_sealed(&keys.sealing, &share_context(&manifest, manifest.custody.epoch, &keys.name), &sealed);
            let opened = opened.map_err(|error| Failure::unexpected(format!("{}: {error}", keys.name)))?;
            let share = Share::from_bytes(&opened).map_err(Failure::unexpected)?;
            match self.snapshots.iter_mut().find(|known| known.manifest.sequence == manifest.sequence) {
                Some(known) => known.shares.push(share),
                None => self.snapshots.push(Snapshot { manifest, shares: vec![share] }),
            }
        }
        Ok(())
    }

    /// Opens the key file of the home: its writer key and its dedup root.
    pub(super) fn take_home(&mut self, dir: &Path, passphrase_file: &Path, database: &str) -> Result<(), Failure> {
        let keys = Passphrases::new(Some(passphrase_file.to_owned())).home(&dir.join("home.key"))?;
        keys.writer.secret().expose(|key| self.secrets.push(*key));
        let database = database.parse().map_err(Failure::unexpected)?;
        keys.dedup_secret(&database).expose(|key| self.secrets.push(*key));
        Ok(())
    }

    /// Tries everything that can be tried with what was taken.
    pub(super) fn try_all(&self) -> Attempts {
        let mut attempts = Attempts::default();
        for snapshot in &self.snapshots {
            attempts.shares = attempts.shares.max(snapshot.shares.len());
            let mut note = |opened: bool| {
                attempts.count += 1;
                attempts.opened += u64::from(opened);
            };
            note(snapshot.real_reconstruction_opens(&[]));
            for secret in &self.secrets {
                note(snapshot.key_opens(SecretBytes::build(|key| key.copy_from_slice(secret))));
                note(snapshot.scalar_opens(&Scalar::from_bytes_mod_order(*secret)));
            }
            let held = snapshot.points();
            for subset in subsets(&held) {
                note(snapshot.points_open(&subset)); // as if the threshold were smaller
            }
            for forged in self.forgeries(snapshot) {
                note(snapshot.points_open(&[held.as_slice(), &points(&forged)].concat()));
                note(snapshot.real_reconstruction_opens(&forged));
            }
        }
        attempts
    }

    /// Whether the shares taken by now open every snapshot: the control of [`Occupier::try_all`].
    pub(super) fn opens_with_enough(&self) -> bool {
        let opens = |snapshot: &Snapshot| {
            let threshold = usize::from(snapshot.manifest.custody.threshold);
            let enough: Vec<Point> = snapshot.points().into_iter().take(threshold).collect();
            snapshot.points_open(&enough) && snapshot.real_reconstruction_opens(&[])
        };
        !self.snapshots.is_empty() && self.snapshots.iter().all(opens)
    }

    /// Sets of shares for the missing places: random ones, zeros, copies of held ones, those of other snapshots.
    fn forgeries(&self, snapshot: &Snapshot) -> Vec<Vec<Share>> {
        let custody = &snapshot.manifest.custody;
        let held: Vec<u8> = snapshot.shares.iter().map(|share| share.index().get()).collect();
        let custodians = u8::try_from(custody.custodians.len()).unwrap_or(u8::MAX);
        let missing_count = usize::from(custody.threshold).saturating_sub(held.len());
        let missing: Vec<u8> =
            (1..=custodians).filter(|index| !held.contains(index)).take(missing_count.max(1)).collect();
        let mut bodies: Vec<Vec<u8>> = vec![vec![0; SHARE_BYTES - 1]];
        for known in self.snapshots.iter().flat_map(|snapshot| &snapshot.shares) {
            known.to_bytes().expose(|bytes| bodies.push(bytes.iter().skip(1).copied().collect()));
        }
        for _forgery in 0..FORGERIES {
            let random = || {
                let mut wide = [0; 64];
                entropy::rng().fill_bytes(&mut wide);
                Scalar::from_bytes_mod_order_wide(&wide).to_bytes()
            };
            bodies.push([random(), random()].concat());
        }
        let forge = |body: &Vec<u8>| {
            let share = |index: &u8| Share::from_bytes(&[std::slice::from_ref(index), body].concat()).ok();
            missing.iter().filter_map(share).collect::<Vec<_>>()
        };
        bodies.iter().map(forge).collect()
    }
}

/// Every set of one or more of the points.
fn subsets(points: &[Point]) -> Vec<Vec<Point>> {
    let chosen = |bits: usize| {
        let is_in = |(position, _): &(usize, &Point)| bits >> position & 1 == 1;
        points.iter().enumerate().filter(is_in).map(|(_, point)| *point).collect()
    };
    (1..1_usize << points.len().min(16)).map(chosen).collect()
}

fn points(shares: &[Share]) -> Vec<Point> {
    let point = |share: &Share| {
        share.to_bytes().expose(|bytes| {
            let value = bytes.get(1..33).and_then(|value| value.try_into().ok()).unwrap_or_default();
            (share.index().get(), Scalar::from_bytes_mod_order(value))
        })
    };
    shares.iter().map(point).collect()
}

/// The polynomial through `points`, at 0.
fn interpolate(points: &[Point]) -> Scalar {
    let term = |(x, value): &Point| {
        let others = points.iter().filter(|(other, _)| other != x);
        let weight = others.map(|(other, _)| {
            let (x, other) = (Scalar::from(*x), Scalar::from(*other));
            other * (other - x).invert()
        });
        value * weight.product::<Scalar>()
    };
    points.iter().map(term).sum()
}

impl Snapshot {
    fn place(&self) -> Vec<u8> {
        root_context(&self.manifest.state, &self.manifest.database, self.manifest.sequence)
    }

    fn points(&self) -> Vec<Point> {
        points(&self.shares)
    }

    fn points_open(&self, points: &[Point]) -> bool {
        self.scalar_opens(&interpolate(points))
    }

    fn scalar_opens(&self, secret: &Scalar) -> bool {
        let derivation = Hkdf::<Sha256>::new(None, secret.as_bytes());
        self.key_opens(SecretBytes::build(|key| {
            derivation
                .expand_multi_info(&[KEY_LABEL, &self.place()], key)
                .expect("32 bytes are within 255 hash lengths");
        }))
    }

    fn key_opens(&self, key: SecretBytes<32>) -> bool {
        open_root(&SnapshotKey::from_secret(key), &self.place(), &self.manifest.sealed_root)
            .is_ok_and(|root| ContentsRoot::decode(&root).is_ok())
    }

    /// What the restoring machine does, with the shares at hand and some that were made up.
    fn real_reconstruction_opens(&self, forged: &[Share]) -> bool {
        let copy = |share: &Share| share.to_bytes().expose(|bytes| Share::from_bytes(bytes).ok());
        let all: Vec<Share> = self.shares.iter().chain(forged).filter_map(copy).collect();
        let custody = &self.manifest.custody;
        let Ok(commitments) = custody.commitments() else { return false };
        let secret = reconstruct(usize::from(custody.threshold), &all, &commitments);
        secret.is_ok_and(|secret| {
            open_root(&secret.snapshot_key(&self.place()), &self.place(), &self.manifest.sealed_root).is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::scalar::Scalar;
    use shard_codec::secret_sharing::{SnapshotSecret, deal};

    use super::{interpolate, points, subsets};
    use crate::entropy;

    #[test]
    fn enough_points_give_the_secret_and_fewer_another_number() {
        let secret = SnapshotSecret::random(&mut entropy::rng());
        let (shares, _commitments) = deal(&secret, 4, 7, &mut entropy::rng()).unwrap();
        let points = points(&shares);
        let whole = interpolate(&points[..4]);
        assert_eq!(whole, interpolate(&points[3..]));
        assert_ne!(whole, interpolate(&points[..3]));
    }

    #[test]
    fn every_subset_is_tried_once() {
        let points: Vec<_> = (1..=3).map(|index| (index, Scalar::from(index))).collect();
        let found = subsets(&points);
        assert_eq!(found.len(), 7);
        assert!(found.iter().all(|subset| !subset.is_empty()));
    }
}
