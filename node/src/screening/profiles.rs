//! The profiles of a database's snapshots, kept at home.

use std::collections::BTreeMap;

use protocol::identifier::DatabaseName;
use serde::{Deserialize, Serialize};
use shard_codec::Digest;

use super::Profile;
use crate::machine_state::{AppendError, MachineState, Record, RecordKind};

/// Profiles that are kept: of the newest snapshots, and of the accepted ones that a new one is held against.
const PROFILES_MAX: usize = 1_024;
/// Accepted profiles that a new one is held against.
const USUAL_MAX: usize = 64;
/// All of them, in bytes.
const BYTES_MAX: usize = 1 << 20;

/// By sequence, with the digest of the manifest: another copy of this home may have published that number.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profiles(BTreeMap<u64, (Digest, Profile)>);

/// The accepted ones.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    /// Their sequences, the newest last.
    pub sequences: Vec<u64>,
    /// In the same order.
    pub profiles: Vec<Profile>,
}

impl Profiles {
    /// Those that are kept of a database; none if the file says nothing that can be read: the next snapshot then has
    /// nothing to be compared with, and says so.
    ///
    /// # Errors
    /// Home's file cannot be read.
    pub fn load(state: &MachineState, database: &DatabaseName) -> Result<Self, AppendError> {
        let bytes = state.get(RecordKind::Profiles, database.as_str().as_bytes())?;
        Ok(bytes.and_then(|bytes| protocol::cbor::decode(&bytes, BYTES_MAX).ok()).unwrap_or_default())
    }

    /// The newest accepted ones.
    #[must_use]
    pub fn accepted(&self, is_accepted: impl Fn(u64, Digest) -> bool) -> Accepted {
        let newest = self.0.iter().rev().filter(|(sequence, (digest, _profile))| is_accepted(**sequence, *digest));
        let (mut sequences, mut profiles): (Vec<u64>, Vec<Profile>) =
            newest.take(USUAL_MAX).map(|(sequence, (_digest, profile))| (*sequence, *profile)).unzip();
        sequences.reverse();
        profiles.reverse();
        Accepted { sequences, profiles }
    }

    /// Keeps the profile of a snapshot that is about to be published. The accepted ones stay, however many come after them
    /// that are not.
    ///
    /// # Errors
    /// Home's file cannot be written.
    pub fn keep(
        mut self,
        state: &MachineState,
        database: &DatabaseName,
        (sequence, digest): (u64, Digest),
        (profile, accepted): (Profile, &[u64]),
    ) -> Result<(), AppendError> {
        self.0.insert(sequence, (digest, profile));
        self.make_room(accepted);
        let (key, value) = (database.as_str().as_bytes(), protocol::cbor::encode(&self));
        state.append(&[Record { kind: RecordKind::Profiles, key, value: &value }])
    }

    fn make_room(&mut self, accepted: &[u64]) {
        while self.0.len() > PROFILES_MAX {
            let oldest = self.0.keys().find(|sequence| !accepted.contains(sequence)).copied();
            let Some(oldest) = oldest else { return };
            self.0.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: the damage is backed up every hour for months, until there is nothing left to hold it against.
    #[test]
    fn accepted_profiles_stay_however_many_suspicious_ones_follow() {
        let mut profiles = Profiles::default();
        let digest = Digest::of(b"a manifest");
        for sequence in 1..=3_000_u64 {
            profiles.0.insert(sequence, (digest, Profile::default()));
            let accepted = profiles.accepted(|sequence, _digest| sequence <= 70).sequences;
            profiles.make_room(&accepted);
        }
        let accepted = profiles.accepted(|sequence, found| sequence <= 70 && found == digest);
        assert_eq!((accepted.sequences.first(), accepted.sequences.last()), (Some(&7), Some(&70)));
        assert!(profiles.0.len() <= PROFILES_MAX && profiles.0.contains_key(&3_000));
        assert!(protocol::cbor::encode(&profiles).len() < BYTES_MAX);
        assert!(profiles.accepted(|_sequence, found| found != digest).sequences.is_empty());
    }
}
