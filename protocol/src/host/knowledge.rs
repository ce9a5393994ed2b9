//! What a site knows, as digests: of everything, of one database, of each part.

use shard_codec::Digest;

use crate::catalog::History;
use crate::host::Machines;
use crate::identifier::DatabaseName;
use crate::wire::summary::{Part, Summary, digest_of_summary, known};

impl Machines {
    /// The parts of everything, or of one database. Databases that are not in the newest charter are left out: nothing
    /// of them is taken any more.
    #[must_use]
    pub fn summary(&self, database: Option<&DatabaseName>) -> Summary {
        if let Some(database) = database {
            let mut parts = self.with_history(database, |history| history.summary(database));
            parts.push((Part::Evidence(database.clone()), self.evidence.digest(database)));
            return parts;
        }
        let mut parts: Summary =
            [Part::Charters, Part::Releases, Part::Reports].map(|part| (part.clone(), self.digest_of(&part))).into();
        for entry in &self.catalog.charter().databases {
            if self.catalog.history(&entry.name).is_some() {
                parts.push((Part::Database(entry.name.clone()), self.digest(Some(&entry.name))));
            }
        }
        parts.sort();
        parts
    }

    /// The digest of [`Machines::summary`].
    #[must_use]
    pub fn digest(&self, database: Option<&DatabaseName>) -> Digest {
        match database {
            None => *self.digest.get_or_init(|| digest_of_summary(&self.summary(None))),
            Some(database) => {
                let of_history = self.with_history(database, |history| history.digest(database));
                known("database", &(of_history, self.evidence.digest(database)))
            }
        }
    }

    /// The digest of one part.
    #[must_use]
    pub fn digest_of(&self, part: &Part) -> Digest {
        match part {
            Part::Charters => known("charters", &self.catalog.charters().newest().digest()),
            Part::Releases => self.release.digest(),
            Part::Reports => self.evidence.digest_of_reports(),
            Part::Database(database) => self.digest(Some(database)),
            Part::Manifests(database)
            | Part::Epochs(database)
            | Part::Forks(database)
            | Part::Receipts(database)
            | Part::Evidence(database) => {
                let parts = self.summary(Some(database)).into_iter();
                parts.filter(|(one, _digest)| one == part).map(|(_part, digest)| digest).next().unwrap_or(ABSENT)
            }
        }
    }

    /// A database without a history is one with an empty history.
    fn with_history<R>(&self, database: &DatabaseName, look: impl FnOnce(&History) -> R) -> R {
        look(self.catalog.history(database).unwrap_or(&History::default()))
    }
}

/// No digest at all: differs from every other.
const ABSENT: Digest = Digest::from_bytes([0; 32]);
