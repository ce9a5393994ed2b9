//! The next snapshot, held against the last accepted one before it is signed.

use std::collections::BTreeSet;

use protocol::document::{LiveStripes, Suspicion};
use protocol::identifier::DatabaseName;

use super::{BackupContext, BackupError};
use crate::pipeline::survey::Survey;
use crate::screening::{Finding, Profile, Profiler, Profiles, judge};

/// What there is to compare with.
pub(super) struct Screen {
    /// Stripes of the last accepted snapshot that has a profile.
    pub(super) accepted_stripes: BTreeSet<u64>,
    /// Whether home knows what lies in all of them: what it does not know looks fresh, and is not.
    is_comparable: bool,
    accepted: Vec<Profile>,
    profiles: Profiles,
}

/// What came of it.
pub(super) struct Screened {
    pub(super) findings: Vec<Finding>,
    profile: Profile,
    profiles: Profiles,
}

impl Screen {
    pub(super) fn prepare(
        context: &BackupContext,
        survey: &Survey,
        database: &DatabaseName,
    ) -> Result<Self, BackupError> {
        let profiles = Profiles::load(&context.state, database)?;
        let (head, quarantined) = (survey.head_sequence(database), survey.catalog.quarantined(database));
        let (newest, accepted) = profiles.accepted(|sequence| sequence <= head && !quarantined.contains_key(&sequence));
        let live = newest.map(|sequence| survey.live_stripes_at(database, sequence)).transpose();
        let live = live.map_err(BackupError::Seal)?.unwrap_or_default();
        let accepted_stripes = numbers(&live);
        let mut is_comparable = newest.is_some();
        for number in &accepted_stripes {
            is_comparable &= context.index.stripe(*number)?.is_some();
        }
        Ok(Self { accepted_stripes, is_comparable, accepted, profiles })
    }

    pub(super) fn judge(self, profiler: &Profiler) -> Screened {
        let profile = profiler.finish(self.is_comparable);
        Screened { findings: judge(&self.accepted, &profile), profile, profiles: self.profiles }
    }
}

impl Screened {
    pub(super) fn suspicions(&self) -> Vec<Suspicion> {
        self.findings.iter().map(|finding| finding.suspicion).collect()
    }

    pub(super) fn keep(
        self,
        context: &BackupContext,
        database: &DatabaseName,
        sequence: u64,
    ) -> Result<Vec<Finding>, BackupError> {
        self.profiles.keep(&context.state, database, sequence, self.profile)?;
        Ok(self.findings)
    }
}

fn numbers(live: &LiveStripes) -> BTreeSet<u64> {
    live.iter().map(|live| live.stripe.number).collect()
}
