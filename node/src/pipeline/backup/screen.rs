//! The next snapshot, held against the last accepted one before it is signed.

use std::collections::BTreeSet;

use protocol::document::{LiveStripe, Suspicion};
use protocol::identifier::DatabaseName;
use protocol::signature::Signed;

use super::seal::SealedSnapshot;
use super::{BackupContext, BackupError};
use crate::pipeline::survey::Survey;
use crate::screening::{Accepted, Finding, Profile, Profiler, Profiles, judge};

/// What there is to compare with.
pub(super) struct Screen {
    /// Stripes of the last accepted snapshot that has a profile, of which home knows what lies in them.
    pub(super) accepted_stripes: BTreeSet<u64>,
    /// Whether that is all of them: what home does not know looks fresh, and is not.
    is_comparable: bool,
    accepted: Accepted,
    profiles: Profiles,
    /// What home said of the newest snapshot, if that is in quarantine.
    said_before: Vec<Suspicion>,
    has_history: bool,
}

/// What came of it.
pub(super) struct Screened {
    findings: Vec<Finding>,
    /// What is signed into the manifest unless the change was expected.
    pub(super) suspicions: Vec<Suspicion>,
    /// For the report.
    note: Option<String>,
    profile: Profile,
    accepted: Vec<u64>,
    profiles: Profiles,
}

impl Screen {
    pub(super) fn prepare(
        context: &BackupContext,
        survey: &Survey,
        database: &DatabaseName,
    ) -> Result<Self, BackupError> {
        let profiles = Profiles::load(&context.state, database)?;
        let quarantined = survey.catalog.quarantined(database);
        let manifest = |sequence| survey.catalog.history(database).and_then(|history| history.manifest(sequence));
        let accepted = profiles.accepted(|sequence, digest| {
            manifest(sequence).map(Signed::digest) == Some(digest) && !quarantined.contains_key(&sequence)
        });
        let newest = accepted.sequences.last();
        let live = newest.map(|sequence| survey.live_stripes_at(database, *sequence)).transpose();
        let live = live.map_err(BackupError::Seal)?.unwrap_or_default();
        let known = live.iter().filter(|stripe| is_known(context, stripe));
        let accepted_stripes: BTreeSet<u64> = known.map(|stripe| stripe.stripe.number).collect();
        let is_comparable = newest.is_some() && accepted_stripes.len() == live.iter().count();
        let has_history = survey.head_sequence(database) > 0;
        let said_before = quarantined.get(&survey.head_sequence(database)).map(|reasons| reasons.by_home.clone());
        let said_before = said_before.unwrap_or_default();
        Ok(Self { accepted_stripes, is_comparable, accepted, profiles, said_before, has_history })
    }

    /// Damage that cannot be compared with what was before it is not taken for well.
    pub(super) fn judge(self, profiler: &Profiler) -> Screened {
        let profile = profiler.finish(self.is_comparable);
        let findings = judge(&self.accepted.profiles, &profile);
        let mut suspicions: Vec<Suspicion> = findings.iter().map(|finding| finding.suspicion).collect();
        let mut note = None;
        if !self.is_comparable && !self.said_before.is_empty() {
            suspicions.extend(self.said_before);
            suspicions.sort_unstable();
            suspicions.dedup();
            note = Some(
                "home has not what it needs to compare with the last accepted snapshot: it repeats what it said of the \
                         one before. If the register is well, run the next backup with --expect-change",
            );
        } else if self.accepted.profiles.is_empty() && self.has_history {
            note = Some("there is no accepted snapshot to compare with: home looks for damage from the next one on");
        }
        let note = note.map(ToOwned::to_owned);
        Screened { findings, suspicions, note, profile, accepted: self.accepted.sequences, profiles: self.profiles }
    }
}

impl Screened {
    /// Keeps the profile, before the snapshot is published. The findings, and the note.
    pub(super) fn keep(
        self,
        context: &BackupContext,
        database: &DatabaseName,
        sealed: &SealedSnapshot,
    ) -> Result<(Vec<Finding>, Option<String>), BackupError> {
        let place = (sealed.sequence(), sealed.manifest()?.digest());
        self.profiles.keep(&context.state, database, place, (self.profile, &self.accepted))?;
        Ok((self.findings, self.note))
    }
}

/// Whether the stripe is the one that home stored under that number.
fn is_known(context: &BackupContext, live: &LiveStripe) -> bool {
    let record = context.index.stripe(live.stripe.number).ok().flatten();
    let roots = live.stripe.roots.chunks_exact(32);
    record.is_some_and(|record| record.shards.iter().map(|shard| shard.root.as_slice()).eq(roots))
}
