//! The profiles of a database's snapshots, kept at home.

use std::collections::BTreeMap;

use protocol::identifier::DatabaseName;
use serde::{Deserialize, Serialize};

use super::Profile;
use crate::machine_state::{AppendError, MachineState, Record, RecordKind};

/// Profiles that are kept: of the newest snapshots, and so many quarantined ones may follow an accepted one before there is
/// nothing left to compare with.
const PROFILES_MAX: usize = 1_024;
/// Accepted profiles that a new one is held against.
const USUAL_MAX: usize = 8;
/// All of them, in bytes.
const BYTES_MAX: usize = 1 << 20;

/// By sequence.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profiles(BTreeMap<u64, Profile>);

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

    /// The newest accepted ones, the newest last, with the number of that.
    #[must_use]
    pub fn accepted(&self, is_accepted: impl Fn(u64) -> bool) -> (Option<u64>, Vec<Profile>) {
        let newest = self.0.iter().rev().filter(|(sequence, _profile)| is_accepted(**sequence)).take(USUAL_MAX);
        let (numbers, mut profiles): (Vec<u64>, Vec<Profile>) =
            newest.map(|(number, profile)| (*number, *profile)).unzip();
        profiles.reverse();
        (numbers.first().copied(), profiles)
    }

    /// Keeps the profile of a snapshot that is about to be published.
    ///
    /// # Errors
    /// Home's file cannot be written.
    pub fn keep(
        mut self,
        state: &MachineState,
        database: &DatabaseName,
        sequence: u64,
        profile: Profile,
    ) -> Result<(), AppendError> {
        self.0.insert(sequence, profile);
        while self.0.len() > PROFILES_MAX {
            self.0.pop_first();
        }
        let (key, value) = (database.as_str().as_bytes(), protocol::cbor::encode(&self));
        state.append(&[Record { kind: RecordKind::Profiles, key, value: &value }])
    }
}
