//! Letting snapshots go: for everybody first, and on this site's disk once it agrees.

use crate::catalog::{Catalog, History, history};
use crate::document::Manifest;
use crate::identifier::DatabaseName;
use crate::machine::{Output, Record, RecordKind};
use crate::number_set::NumberSet;
use crate::signature::Signed;

/// In the key of a record, after the database.
const AGREED: u64 = 1;
const DISCARDED: u64 = 2;

/// Snapshots of one database that the sites have let go.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    agreed: NumberSet,
    /// Of these, the ones that this site has let go too.
    discarded: NumberSet,
}

impl Expiry {
    pub(super) const fn agreed(&self) -> &NumberSet {
        &self.agreed
    }

    pub(super) const fn discarded(&self) -> &NumberSet {
        &self.discarded
    }
}

impl History {
    /// Snapshots that the sites have agreed to let go: nobody counts, audits or repairs them.
    #[must_use]
    pub const fn agreed_gone(&self) -> &NumberSet {
        &self.expiry().agreed
    }

    /// Of these, the ones of which this site keeps nothing any more but the manifest and its receipts.
    #[must_use]
    pub const fn discarded(&self) -> &NumberSet {
        &self.expiry().discarded
    }

    /// Whether the sites have let a snapshot go.
    #[must_use]
    pub fn is_let_go(&self, sequence: u64) -> bool {
        self.agreed_gone().contains(sequence)
    }

    /// Whether this site keeps nothing of a snapshot any more but the manifest and its receipts.
    #[must_use]
    pub fn is_discarded(&self, sequence: u64) -> bool {
        self.discarded().contains(sequence)
    }

    /// Manifests from `sequence` on of snapshots that are not let go.
    pub fn retained_from(&self, sequence: u64) -> impl Iterator<Item = &Signed<Manifest>> {
        self.manifests_from(sequence).filter(|signed| !self.is_let_go(signed.document().sequence))
    }
}

impl Catalog {
    /// Lets snapshots go: `agreed` is what the sites say, `due` what this one's own clock says. What is agreed counts for
    /// nothing any more; of what is due besides, this site's share is erased. How many of each are new.
    pub(crate) fn let_go(
        &mut self,
        database: &DatabaseName,
        agreed: &NumberSet,
        due: &NumberSet,
        outputs: &mut Vec<Output>,
    ) -> (u64, u64) {
        let Some(history) = self.databases.get_mut(database) else { return (0, 0) };
        // Never the head, whatever is said.
        let before_head = NumberSet::of_run(1, history.head_sequence().saturating_sub(1));
        let all_agreed = history.agreed_gone().union(&agreed.intersection(&before_head));
        let new_agreed = all_agreed.without(history.agreed_gone());
        let new_discarded = all_agreed.intersection(due).without(history.discarded());
        if new_agreed.is_empty() && new_discarded.is_empty() {
            return (0, 0);
        }
        let all_discarded = history.discarded().union(&new_discarded);
        for (stage, before, after) in
            [(AGREED, history.agreed_gone(), &all_agreed), (DISCARDED, history.discarded(), &all_discarded)]
        {
            if before != after {
                outputs.push(Output::Persist(record(database, stage, after)));
            }
        }
        let shares: Vec<u64> =
            history.sequences_with_share().filter(|sequence| new_discarded.contains(*sequence)).collect();
        for sequence in shares {
            history.remove_share(sequence);
            let (kind, key) = (RecordKind::Share, history::key(database, sequence));
            outputs.push(Output::Persist(Record { kind, key, value: Vec::new() }));
        }
        history.put_expiry(Expiry { agreed: all_agreed, discarded: all_discarded });
        (new_agreed.count(), new_discarded.count())
    }

    pub(super) fn replay_expiry(&mut self, record: &Record) -> Result<(), String> {
        let (database, stage) = history::split_key(&record.key)?;
        let set = NumberSet::from_bytes(&record.value)?;
        let history = self.databases.get_mut(&database).ok_or("retention of a database without snapshots")?;
        let Expiry { agreed, discarded } = history.expiry();
        let expiry = match stage {
            AGREED => Expiry { agreed: set, discarded: discarded.clone() },
            DISCARDED => Expiry { agreed: agreed.clone(), discarded: set },
            _ => return Err("a damaged record of retention".to_owned()),
        };
        history.put_expiry(expiry);
        Ok(())
    }
}

fn record(database: &DatabaseName, stage: u64, set: &NumberSet) -> Record {
    Record { kind: RecordKind::Expiry, key: history::key(database, stage), value: set.to_bytes() }
}
