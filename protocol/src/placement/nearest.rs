//! The numbers nearest to those of a charter under which no coalition endangers its databases.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;

use crate::document::{Charter, Database};
use crate::identifier::DatabaseName;
use crate::placement::coalition::{Weight, weigh};

/// What one database needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// Which.
    pub database: DatabaseName,
    /// Data shards as they are, and as they would have to be.
    pub data_shards: (u8, u8),
    /// The threshold as it is, and as it would have to be.
    pub threshold: (u8, u8),
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, data_shards, threshold } = self;
        let change = |what: &str, (before, after): (u8, u8)| {
            (before != after).then(|| format!("{what} {after} instead of {before}"))
        };
        let changes = [change("data_shards", *data_shards), change("threshold", *threshold)];
        write!(f, "database {database}: {}", changes.into_iter().flatten().collect::<Vec<_>>().join(" and "))
    }
}

/// For each database that a coalition endangers, the nearest numbers that would work with the same sites; nothing if none is
/// endangered. A database that no numbers would save has no remedy.
#[must_use]
pub fn nearest(charter: &Charter) -> Vec<(DatabaseName, Option<Remedy>)> {
    let mut worst: BTreeMap<&DatabaseName, (&Database, Weight)> = BTreeMap::new();
    let weighed = weigh(charter, |database, _coalition, weight| {
        let (_database, worst) = worst.entry(&database.name).or_insert((database, weight));
        worst.shares = worst.shares.max(weight.shares);
        worst.shards_left = worst.shards_left.min(weight.shards_left);
        worst.shares_left = worst.shares_left.min(weight.shares_left);
        Ok::<(), Infallible>(())
    });
    weighed.unwrap_or_else(|never| match never {});
    let remedies = worst.into_iter().filter_map(|(name, (database, worst))| {
        let (shards, threshold) = (usize::from(database.data_shards), usize::from(database.threshold));
        let (least, most) = (worst.shares.max(1) + 1, worst.shares_left);
        if shards <= worst.shards_left && (least..=most).contains(&threshold) {
            return None;
        }
        let is_possible = worst.shards_left > 0 && least <= most;
        let number = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
        let remedy = is_possible.then(|| Remedy {
            database: name.clone(),
            data_shards: (database.data_shards, number(shards.min(worst.shards_left))),
            threshold: (database.threshold, number(threshold.clamp(least, most))),
        });
        Some((name.clone(), remedy))
    });
    remedies.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::State;
    use crate::placement::coalition::check;

    /// In words; `None` for a database that no numbers save.
    fn told(change: impl FnOnce(&mut Charter)) -> Vec<Option<String>> {
        let mut charter = State::new().charter().clone();
        change(&mut charter);
        let found = nearest(&charter);
        assert_eq!(found.is_empty(), check(&charter).is_ok());
        let remedies: Vec<&Remedy> = found.iter().filter_map(|(_name, remedy)| remedy.as_ref()).collect();
        // What is told works, and nothing that is nearer does.
        for (entry, remedy) in charter.databases.iter_mut().zip(remedies) {
            (entry.data_shards, entry.threshold) = (remedy.data_shards.1, remedy.threshold.1);
        }
        assert_eq!(check(&charter).is_ok(), found.iter().all(|(_name, remedy)| remedy.is_some()));
        found.into_iter().map(|(_name, remedy)| remedy.map(|remedy| remedy.to_string())).collect()
    }

    #[test]
    fn the_nearest_numbers_that_work_are_told() {
        // Seven sites, four shards and three shares; helsinki and reykjavik are allies.
        assert_eq!(told(|_charter| {}), []);
        assert_eq!(
            told(|charter| charter.databases[0].threshold = 2),
            [Some("database land-register: threshold 3 instead of 2".to_owned())]
        );
        assert_eq!(
            told(|charter| charter.databases[0].data_shards = 7),
            [Some("database land-register: data_shards 5 instead of 7".to_owned())]
        );
        assert_eq!(
            told(|charter| (charter.databases[0].data_shards, charter.databases[0].threshold) = (6, 6)),
            [Some("database land-register: data_shards 5 instead of 6 and threshold 5 instead of 6".to_owned())]
        );
        // Four sites of one law, three others: it must not have the threshold, and leaves too few without it.
        let one_law = |charter: &mut Charter| {
            charter.sites[..4].iter_mut().for_each(|site| site.jurisdiction = "EE".to_owned());
        };
        assert_eq!(told(one_law), [None]);
    }
}
