//! What so many sites say that no coalition made it up.

use std::collections::BTreeSet;

use crate::catalog::Catalog;
use crate::document::{Charter, Database};
use crate::evidence::Evidence;
use crate::identifier::{DatabaseName, SiteName};
use crate::ledger::CoalitionSets;
use crate::number_set::{NumberSet, Run};
use crate::signature::Signed;

/// Who has a say about a database: the members that its shards or shares lie at.
fn keepers<'a>(charter: &'a Charter, entry: &'a Database) -> BTreeSet<&'a SiteName> {
    let named = entry.placement.iter().chain(&entry.custodians);
    named.filter(|site| charter.active_site(site).is_some()).collect()
}

/// Whether these keepers decide: they are more than half, and `threshold` of them whichever coalition is taken away.
fn decide(saying: &BTreeSet<&SiteName>, keeper_count: usize, threshold: usize, sets: &CoalitionSets<'_>) -> bool {
    saying.len() * 2 > keeper_count && sets.worst(&sets.set(saying.iter().copied())).0 >= threshold
}

/// Whether these saw it decided: too many to be liars, and not all of one coalition, so one of them at least is honest. For
/// who was not there, when those who decided may not be there any more.
fn witness(saying: &BTreeSet<&SiteName>, threshold: usize, sets: &CoalitionSets<'_>) -> bool {
    saying.len() >= threshold && sets.worst(&sets.set(saying.iter().copied())).0 > 0
}

/// The snapshots of a database that are due by the word of enough keepers, or that enough of them have seen let go.
pub(super) fn agreed(catalog: &Catalog, database: &DatabaseName, evidence: &Evidence) -> NumberSet {
    let charter = catalog.charter();
    let Some(entry) = charter.database(database) else { return NumberSet::default() };
    // On the two branches of a fork a number is two snapshots: people decide.
    if catalog.history(database).is_none_or(|history| history.forks().next().is_some()) {
        return NumberSet::default();
    }
    let keepers = keepers(charter, entry);
    let said = evidence.inventories(database).map(Signed::document).filter(|said| keepers.contains(&said.site));
    let said = said.filter(|said| !said.expired.is_empty() || !said.let_go.is_empty());
    let said: Vec<Word<'_>> = said
        .map(|said| Word { site: &said.site, due: said.expired.union(&said.let_go), let_go: &said.let_go })
        .collect();
    if said.is_empty() {
        return NumberSet::default();
    }
    let sets = CoalitionSets::of(charter);
    let threshold = usize::from(entry.threshold);
    #[cfg(feature = "planted-bugs")]
    let one_is_enough = crate::planted::is_planted(crate::planted::Bug::ExpiryByOneSite);
    #[cfg(not(feature = "planted-bugs"))]
    let one_is_enough = false;
    // Between two bounds of runs everybody says the same.
    let runs = said.iter().flat_map(|word| word.due.runs().iter().chain(word.let_go.runs()));
    let bounds: BTreeSet<u64> = runs.flat_map(|run| [run.first, run.end()]).collect();
    let stretches = bounds.iter().zip(bounds.iter().skip(1)).filter(|(first, _end)| {
        let saying = |says: &dyn Fn(&Word<'_>) -> bool| -> BTreeSet<&SiteName> {
            said.iter().filter(|word| says(word)).map(|word| word.site).collect()
        };
        let (due, let_go) = (saying(&|word| word.due.contains(**first)), saying(&|word| word.let_go.contains(**first)));
        decide(&due, keepers.len(), threshold, &sets)
            || witness(&let_go, threshold, &sets)
            || one_is_enough && !due.is_empty()
    });
    let agreed = NumberSet::joining(stretches.map(|(first, end)| Run { first: *first, count: end - first }));
    // What was said before a hold was laid on it counts for nothing.
    let holds = entry.retention.iter().flat_map(|rules| &rules.holds);
    let held = holds.map(|span| NumberSet::of_run(span.first, (span.last - span.first).saturating_add(1)));
    held.fold(agreed, |agreed, held| agreed.without(&held))
}

/// What one keeper says.
struct Word<'a> {
    site: &'a SiteName,
    due: NumberSet,
    let_go: &'a NumberSet,
}
