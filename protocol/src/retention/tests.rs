//! The rules against a plain reading of them, the moment of acceptance against liars, and what is collected against what
//! is referred to.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::rules::{Candidate, let_go};
use crate::catalog::Catalog;
use crate::document::{Keep, Period, Receipt, Retention, Span};
use crate::fixture::{NOW, State, database, sign};
use crate::machine::RecordKind;
use crate::number_set::NumberSet;
use crate::retention::accepted::{Acceptance, Moments};
use crate::timestamp::Timestamp;

const PERIODS: [Period; 7] =
    [Period::Snapshot, Period::Minute, Period::Hour, Period::Day, Period::Week, Period::Month, Period::Year];

/// What the documentation says, word by word: slow, and without the order in which the machine goes.
fn kept_by_the_book(rules: &Retention, all: &[Candidate], now: Timestamp) -> BTreeSet<u64> {
    let Some(newest) = all.iter().filter(|one| one.is_good).max_by_key(|one| one.sequence) else {
        return all.iter().map(|one| one.sequence).collect();
    };
    let now = newest.witnessed.map_or(now, |at| at.min(now));
    let is_condemned = |one: &Candidate| {
        [&rules.deletions, &rules.holds].map(|spans| spans.iter().any(|span| span.contains(one.sequence)))
            == [true, false]
    };
    let is_kept = |one: &&Candidate| {
        let held = rules.holds.iter().any(|span| span.contains(one.sequence));
        let by_rule = rules.keep.iter().any(|rule| {
            let is_young = rule.for_seconds.is_none_or(|seconds| one.at.plus_ms(seconds * 1_000) > now);
            let number = |of: &Candidate| Some(rule.one_per.number(of.witnessed?, of.sequence));
            let stands = |other: &Candidate| other.is_good && other.sequence > one.sequence && !is_condemned(other);
            let is_alike = |other: &Candidate| number(one).is_some() && number(other) == number(one);
            let mut others = all.iter().filter(|other| other.sequence <= newest.sequence);
            let is_stood_for = others.any(|other| stands(other) && is_alike(other));
            is_young && !is_stood_for
        });
        one.sequence >= newest.sequence || held || by_rule && !is_condemned(one)
    };
    all.iter().filter(is_kept).map(|one| one.sequence).collect()
}

fn rules() -> impl Strategy<Value = Retention> {
    let keep = (0..PERIODS.len(), prop::option::of(1_u64..4_000_000));
    let keep = keep.prop_map(|(period, for_seconds)| Keep { one_per: PERIODS[period], for_seconds });
    let span = (1_u64..60, 0_u64..5).prop_map(|(first, more)| Span { first, last: first + more, reason: "x".into() });
    let spans = prop::collection::vec(span, 0..2);
    (prop::collection::vec(keep, 1..4), spans.clone(), spans).prop_map(|(keep, holds, deletions)| Retention {
        keep,
        delay_seconds: 0,
        holds,
        deletions,
    })
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    // Steps of seconds to weeks between them.
    let one = (0_u64..2_000_000_000, 0_u32..24, prop::bool::weighted(0.8));
    prop::collection::vec(one, 0..60).prop_map(|steps| {
        let mut at = NOW;
        let made = steps.into_iter().zip(1..).map(|((step, shift, is_good), sequence)| {
            at = at.plus_ms(step >> shift);
            // Signed for by some a little before it was accepted; of one that is not good perhaps by too few ever.
            let witnessed = Timestamp::from_unix_ms(at.unix_ms() - (step & 0xffff));
            let is_known = is_good || step % 3 > 0;
            Candidate { sequence, at, witnessed: is_known.then_some(witnessed), is_good }
        });
        made.collect()
    })
}

proptest! {
    #[test]
    fn the_rules_are_what_the_documentation_says(rules in rules(), all in candidates(), later in 0_u64..4_000_000_000) {
        let now = NOW.plus_ms(later);
        let kept = kept_by_the_book(&rules, &all, now);
        let gone: BTreeSet<u64> = all.iter().map(|one| one.sequence).filter(|one| !kept.contains(one)).collect();
        prop_assert_eq!(let_go(&rules, &all, now), gone);
    }

    /// What has gone changes nothing for the others: the rules may be asked again and again.
    #[test]
    fn what_is_left_stays_when_the_rest_has_gone(rules in rules(), all in candidates(), later in 0_u64..4_000_000_000) {
        let now = NOW.plus_ms(later);
        let gone = let_go(&rules, &all, now);
        let left: Vec<Candidate> = all.into_iter().filter(|one| !gone.contains(&one.sequence)).collect();
        prop_assert_eq!(let_go(&rules, &left, now), BTreeSet::new());
    }

    /// As time goes, more goes and nothing comes back.
    #[test]
    fn what_is_due_stays_due(rules in rules(), all in candidates(), later in 0_u64..4_000_000_000, more in 0_u64..4_000_000_000) {
        let (before, after) = (NOW.plus_ms(later), NOW.plus_ms(later + more));
        prop_assert!(let_go(&rules, &all, before).is_subset(&let_go(&rules, &all, after)));
    }
}

/// A catalog with one snapshot and these receipts: site, and how long after the first moment.
/// Accepted and witnessed.
fn moments(receipts: &[(usize, i64)]) -> (Option<i64>, Option<i64>) {
    let mut state = State::new();
    let snapshot = state.snapshot(None, 1);
    let mut catalog = Catalog::new(state.chain.clone());
    catalog.learn(RecordKind::Manifest, &snapshot.manifest.encode()).unwrap();
    for (site, at) in receipts {
        let receipt = Receipt {
            state: state.chain.state(),
            database: database(),
            sequence: 1,
            manifest: snapshot.manifest.digest(),
            site: state.sites[*site].name.clone(),
            holds_shards: true,
            holds_share: true,
            at: Timestamp::from_unix_ms(NOW.unix_ms().saturating_add_signed(*at)),
        };
        let signed = sign(receipt, std::slice::from_ref(&state.sites[*site].identity));
        catalog.learn(RecordKind::Receipt, &signed.encode()).unwrap();
    }
    let acceptance = Acceptance::new(&catalog);
    let history = catalog.history(&database()).unwrap();
    let Moments { accepted, witnessed } = acceptance.moments(history, snapshot.manifest.document());
    let since = |at: Timestamp| i64::try_from(at.unix_ms()).unwrap() - i64::try_from(NOW.unix_ms()).unwrap();
    (accepted.map(since), witnessed.map(since))
}

/// Four shards and three shares are needed, and helsinki (2) and reykjavik (3) are allies: six sites survive either's loss.
#[test]
fn a_snapshot_is_accepted_when_enough_have_signed_whoever_lies_about_the_time() {
    let honest = [(0, 10), (1, 20), (4, 30), (5, 40), (6, 50)];
    assert_eq!(moments(&honest[..4]), (None, Some(30)), "one jurisdiction lost, three shards left");
    assert_eq!(moments(&honest), (Some(50), Some(30)));
    assert_eq!(moments(&honest[..2]), (None, None), "two are no witnesses of three");
    // The two allies say that they held it ten years ago, which is before its charter, or will in ten years.
    let ten_years = 3_650 * 86_400_000;
    let with = |of_allies: i64| moments(&[honest.as_slice(), &[(2, of_allies), (3, of_allies)]].concat());
    assert_eq!(with(ten_years), (Some(50), Some(30)));
    // Early, they cannot move it before what others say.
    assert_eq!(with(-ten_years), (Some(40), Some(10)));
    // A receipt of another site that comes late changes nothing.
    assert_eq!(moments(&[honest.as_slice(), &[(2, 1_000_000)]].concat()), (Some(50), Some(30)));
    // Where one more is needed and lies, the snapshot is younger; its place in the calendar is not moved.
    let pivotal = [(0, 10), (1, 20), (4, 30), (5, 40), (2, ten_years)];
    assert_eq!(moments(&pivotal), (Some(ten_years), Some(30)));
}

mod references {
    use super::*;
    use crate::catalog::History;
    use crate::evidence::ShardName;
    use crate::identifier::SiteName;
    use crate::machine::{Output, Ticket};
    use crate::retention::RetentionOptions;
    use crate::retention::collect::Collection;

    /// Per snapshot: how many stripes it adds, and which of those before it drops, by a mask over the live ones.
    fn history() -> impl Strategy<Value = Vec<(u64, u64)>> {
        prop::collection::vec((0_u64..4, any::<u64>()), 1..12)
    }

    /// Stripes that each snapshot refers to, folded here by hand.
    type Referred = Vec<BTreeSet<u64>>;

    fn catalog(state: &mut State, steps: &[(u64, u64)]) -> (Catalog, Referred) {
        let mut catalog = Catalog::new(state.chain.clone());
        let (mut live, mut referred, mut last) = (BTreeSet::new(), Vec::new(), None);
        for (adds, mask) in steps {
            let dropped: Vec<u64> =
                live.iter().copied().enumerate().filter(|(at, _)| mask >> (at % 64) & 1 == 1).map(|(_, n)| n).collect();
            let snapshot = state.snapshot_with(last.as_ref(), *adds, |manifest| {
                manifest.stripes_dropped = dropped.clone();
            });
            dropped.iter().for_each(|number| _ = live.remove(number));
            live.extend(snapshot.manifest.document().stripes_added.iter().map(|stripe| stripe.number));
            referred.push(live.clone());
            catalog.learn(RecordKind::Manifest, &snapshot.manifest.encode()).unwrap();
            last = Some(snapshot.manifest);
        }
        (catalog, referred)
    }

    /// What the machine would have removed from a store that holds every shard of this site.
    fn collected(catalog: &Catalog, me: &SiteName, all: &BTreeSet<u64>, total: usize) -> BTreeSet<u64> {
        let mut collection = Collection::default();
        let mut outputs = Vec::new();
        collection.tick(NOW, RetentionOptions::default(), catalog, me, &mut outputs);
        assert!(matches!(outputs.as_slice(), [Output::ListShards { ticket: Ticket(1), .. }]));
        let index = crate::fixture::SITES.iter().position(|(name, _)| *name == me.as_str()).unwrap();
        let shard_index = shard_codec::ShardIndex::new(u8::try_from(index).unwrap());
        let shard = |number: &u64| {
            let root = crate::fixture::stripe(*number, total).root(shard_index).unwrap();
            ShardName { database: database(), stripe_number: *number, shard_index: shard_index.get(), root }
        };
        let shards: Vec<ShardName> = all.iter().map(shard).collect();
        let outputs = collection.listed(Ticket(1), &shards, NOW, 0, catalog, me);
        let Some(Output::Collect { unreferenced, referenced, .. }) = outputs.first() else {
            assert!(shards.is_empty());
            return BTreeSet::new();
        };
        assert_eq!(unreferenced.len() + referenced.len(), shards.len());
        let number_of = |root: &shard_codec::Digest| shards.iter().find(|one| one.root == *root).unwrap().stripe_number;
        unreferenced.iter().map(number_of).collect()
    }

    /// A site that lost its state, or got back an older one, must not take for garbage what it has forgotten.
    #[test]
    fn what_a_site_may_have_forgotten_is_left_alone() {
        let mut state = State::new();
        let (catalog, _referred) = catalog(&mut state, &[(2, 0), (1, u64::MAX)]);
        let name = |database: &str, stripe_number| {
            let root = shard_codec::Digest::of(database.as_bytes());
            ShardName { database: database.parse().unwrap(), stripe_number, shard_index: 3, root }
        };
        let free = |shard: ShardName| {
            let mut collection = Collection::default();
            collection.tick(NOW, RetentionOptions::default(), &catalog, &state.sites[3].name, &mut Vec::new());
            let outputs = collection.listed(Ticket(1), &[shard], NOW, 0, &catalog, &state.sites[3].name);
            matches!(outputs.as_slice(), [Output::Collect { unreferenced, .. }] if unreferenced.len() == 1)
        };
        assert!(free(name("land-register", 2_000)));
        assert!(!free(name("land-register", 2_001)), "newer than all that is known");
        assert!(!free(name("state-gazette", 1)), "of a database of which nothing is known");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn only_what_nothing_refers_to_is_collected(
            steps in history(),
            agreed: BTreeSet<u8>,
            due: BTreeSet<u8>,
            restarted: bool,
        ) {
            let mut state = State::new();
            let (mut catalog, referred) = catalog(&mut state, &steps);
            let set = |of: &BTreeSet<u8>| NumberSet::covering(of.iter().map(|n| u64::from(n % 16)), usize::MAX);
            let (agreed, due) = (
                set(&agreed.iter().map(|n| n % 16).collect()),
                set(&due.iter().map(|n| n % 16).collect()),
            );
            let mut outputs = Vec::new();
            catalog.let_go(&database(), &agreed, &due, &mut outputs);
            if restarted {
                // The manifests come back first, then what was let go.
                let manifests: Vec<Vec<u8>> =
                    catalog.history(&database()).unwrap().manifests_from(1).map(|one| one.encode()).collect();
                catalog = Catalog::new(state.chain.clone());
                manifests.iter().for_each(|bytes| catalog.learn(RecordKind::Manifest, bytes).unwrap());
                for output in &outputs {
                    if let Output::Persist(record) = output
                        && record.kind == RecordKind::Expiry
                    {
                        catalog.replay(record).unwrap();
                    }
                }
            }
            let head = referred.len() as u64;
            let stays = |sequence: u64| sequence == head || !agreed.contains(sequence) || !due.contains(sequence);
            let needed: BTreeSet<u64> =
                (1..=head).filter(|sequence| stays(*sequence)).flat_map(|one| referred[usize::try_from(one).unwrap() - 1].clone()).collect();
            let all: BTreeSet<u64> = referred.iter().flatten().copied().collect();
            let unneeded: BTreeSet<u64> = all.difference(&needed).copied().collect();
            let me = state.sites[3].name.clone();
            prop_assert_eq!(collected(&catalog, &me, &all, 7), unneeded);
            // What others still count is what is not agreed on.
            let counted: BTreeSet<u64> = (1..=head)
                .filter(|sequence| *sequence == head || !agreed.contains(*sequence))
                .flat_map(|one| referred[usize::try_from(one).unwrap() - 1].clone())
                .collect();
            let kept = catalog.history(&database()).map(History::kept_stripes).unwrap();
            let kept_numbers: BTreeSet<u64> = kept.iter().map(|stripe| stripe.live.stripe.number).collect();
            prop_assert_eq!((kept_numbers.len(), kept.len()), (counted.len(), counted.len()));
            prop_assert_eq!(kept_numbers, counted);
        }
    }
}
