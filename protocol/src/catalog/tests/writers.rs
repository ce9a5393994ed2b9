//! Attacks with a writer's key, old or new: which charter a manifest names, and who signed it.

use shard_codec::Digest;

use super::{announced, published, refused};
use crate::catalog::fork::ForkProof;
use crate::document::Manifest;
use crate::fixture::{RunningSite, Snapshot, State, database, kinds, name, rng};
use crate::machine::{Announcement, Output, Record, RecordKind};
use crate::signature::{Keypair, Signed};
use crate::wire::RefusalCode;

const NOT_A_WRITER: &str = "not signed by a writer of land-register";

/// Replaces the writer by charter; gives the digest of the charter before, and the key that is worth nothing now.
fn replace_writer(state: &mut State) -> (Digest, Keypair) {
    let before = state.chain.newest().digest();
    let successor = Keypair::generate(&mut rng(21));
    state.amend(|charter| charter.databases[0].writers = vec![successor.public()]);
    (before, std::mem::replace(&mut state.writer, successor))
}

/// Taken live, it would be refused at the next start, and the site would not come up any more.
#[test]
fn a_new_writer_does_not_sign_under_the_charter_of_the_old_one() {
    let mut state = State::new();
    let (founding, _old) = replace_writer(&mut state);
    let backdated = state.snapshot_with(None, 1, |manifest| manifest.charter = founding);
    let mut site = state.site(0);
    let refusals = [refused(&mut site, &state, &backdated), {
        let refusal = site.hear(announced(&backdated.manifest)).unwrap_err();
        (refusal.code, refusal.message)
    }];
    for (code, text) in refusals {
        assert_eq!(code, RefusalCode::Manifest);
        assert!(text.starts_with(NOT_A_WRITER), "{text}");
    }
    assert!(site.records.is_empty());
    // Nor is it taken from a state file, or by a client that reads it.
    let record = Record { kind: RecordKind::Manifest, key: Vec::new(), value: backdated.manifest.encode() };
    assert!(site.catalog.replay(&record).unwrap_err().starts_with(NOT_A_WRITER));
}

#[test]
fn no_snapshot_goes_back_to_an_older_charter() {
    let mut state = State::new();
    let founding = state.chain.newest().digest();
    state.amend(|_| {});
    let first = state.snapshot(None, 1);
    let backdated = state.snapshot_with(Some(&first.manifest), 1, |manifest| manifest.charter = founding);
    let mut site = state.site(0);
    published(&mut site, &state, &first);
    let older = "the manifest names an older charter than the snapshot before it".to_owned();
    assert_eq!(refused(&mut site, &state, &backdated), (RefusalCode::Manifest, older.clone()));
    assert_eq!(site.hear(announced(&backdated.manifest)).unwrap_err().message, older);
    let learned = site.catalog.learn(RecordKind::Manifest, &backdated.manifest.encode());
    assert_eq!(learned.unwrap_err().message, older);
    assert_eq!(site.catalog.history(&database()).unwrap().head_sequence(), 1);
}

/// The same manifest with another sealed root, whose digest is smaller than that of `than`, or greater.
fn rival(of: &Manifest, than: Digest, smaller: bool, writer: &Keypair) -> Signed<Manifest> {
    let mut rivals = (0_u8..).map(|byte| {
        let rival = Manifest { sealed_root: vec![byte, 1], ..of.clone() };
        Signed::sign_new(rival, writer).unwrap()
    });
    rivals.find(|rival| (rival.digest() < than) == smaller).unwrap()
}

#[test]
fn a_proof_of_a_fork_outlives_the_writer() {
    let mut state = State::new();
    let (ours, theirs) = (state.snapshot(None, 1), state.snapshot(None, 2));
    let proof = ForkProof::of(&ours.manifest, &theirs.manifest);
    replace_writer(&mut state);
    assert_eq!(proof.verify(&state.chain).unwrap().sequence, 1);
    // One of each writer, each under its own charter: the new one did not follow what is there.
    let by_new = state.snapshot(None, 1);
    assert_eq!(ForkProof::of(&ours.manifest, &by_new.manifest).verify(&state.chain).unwrap().sequence, 1);
}

#[test]
fn a_key_proves_nothing_under_a_charter_that_does_not_name_it() {
    let mut state = State::new();
    let ours = state.snapshot(None, 1);
    let (founding, old) = replace_writer(&mut state);
    let by_new = state.snapshot(None, 1);
    let backdated = Manifest { charter: founding, ..by_new.manifest.document().clone() };
    let by_thief = by_new.manifest.document().clone();
    let unknown = Manifest { charter: Digest::of(b"my own charter"), ..by_thief.clone() };
    let chain = &state.chain;
    for (genuine, false_one, key, code) in [
        (&ours, &backdated, &state.writer, RefusalCode::Manifest),
        (&by_new, &backdated, &state.writer, RefusalCode::Manifest),
        (&ours, &by_thief, &old, RefusalCode::Manifest),
        (&by_new, &by_thief, &old, RefusalCode::Manifest),
        (&ours, &unknown, &state.writer, RefusalCode::Charter),
    ] {
        // It must not get in at either place of the proof.
        for smaller in [true, false] {
            let false_one = rival(false_one, genuine.manifest.digest(), smaller, key);
            let refusal = ForkProof::of(&genuine.manifest, &false_one).verify(chain).unwrap_err();
            assert_eq!(refusal.code, code, "{refusal}");
            assert!(code == RefusalCode::Charter || refusal.message.starts_with(NOT_A_WRITER), "{refusal}");
        }
    }
}

/// A custodian that places no shards of a database has none to hold, which is not the same as all of them.
#[test]
fn a_site_without_a_place_does_not_claim_shards() {
    let mut state = State::founded(|charter| {
        charter.databases[0].placement.truncate(6);
        charter.databases[0].data_shards = 3;
    });
    let empty: Snapshot = state.snapshot(None, 0);
    let mut site: RunningSite<'_> = state.site(6);
    let receipt = published(&mut site, &state, &empty);
    assert_eq!((receipt.holds_shards, receipt.holds_share), (false, true));
    assert!(published(&mut state.site(0), &state, &empty).holds_shards);
}

fn run(snapshots: &[&Signed<Manifest>]) -> Announcement {
    Announcement::Manifests(snapshots.iter().map(|manifest| manifest.encode().into()).collect())
}

/// What a state may look like after its writer was replaced twice, and the thief went on with every key.
struct Succession {
    state: State,
    /// Snapshots 1 and 2 by the first writer, 3 by the second, 4 and 5 by the third.
    true_ones: Vec<Snapshot>,
    /// Snapshots 6 and 7, after the true ones, with the first writer's key.
    stolen: Vec<Signed<Manifest>>,
}

fn succession() -> Succession {
    let mut state = State::new();
    let mut true_ones: Vec<Snapshot> = Vec::new();
    let publish = |state: &mut State, true_ones: &mut Vec<Snapshot>| {
        let previous = true_ones.last().map(|snapshot: &Snapshot| snapshot.manifest.clone());
        true_ones.push(state.snapshot(previous.as_ref(), 1));
    };
    (0..2).for_each(|_| publish(&mut state, &mut true_ones));
    let (_founding, first_key) = replace_writer(&mut state);
    publish(&mut state, &mut true_ones);
    let third = Keypair::generate(&mut rng(22));
    state.amend(|charter| charter.databases[0].writers = vec![third.public()]);
    state.writer = third;
    (0..2).for_each(|_| publish(&mut state, &mut true_ones));
    let third = std::mem::replace(&mut state.writer, first_key);
    let mut stolen: Vec<Signed<Manifest>> = Vec::new();
    for _ in 0..2 {
        let previous = stolen.last().unwrap_or(&true_ones[4].manifest).clone();
        stolen.push(state.snapshot(Some(&previous), 1).manifest);
    }
    state.writer = third;
    Succession { state, true_ones, stolen }
}

impl Succession {
    fn run(&self, sequences: std::ops::RangeInclusive<usize>) -> Vec<&Signed<Manifest>> {
        let all: Vec<_> = self.true_ones.iter().map(|snapshot| &snapshot.manifest).chain(&self.stolen).collect();
        all[sequences.start() - 1..*sequences.end()].to_vec()
    }
}

fn head(site: &RunningSite<'_>) -> u64 {
    site.catalog.history(&database()).map_or(0, crate::catalog::History::head_sequence)
}

#[test]
fn a_writer_of_today_vouches_for_those_before_him() {
    let all = succession();
    let mut site = all.state.site(0);
    // Alone, what a replaced writer signed is nothing.
    for count in 1..=3 {
        let refusal = site.hear(run(&all.run(1..=count))).unwrap_err();
        assert_eq!((refusal.code, refusal.message.starts_with(NOT_A_WRITER)), (RefusalCode::Manifest, true));
    }
    assert!(site.records.is_empty() && head(&site) == 0);
    let ticket = Some(site.ticket());
    let envelopes = all.run(1..=4).iter().map(|manifest| manifest.encode()).collect();
    let outputs = site.tell(crate::catalog::Input::Manifests { ticket, run: envelopes });
    let kept = ["persist manifest"; 4];
    assert_eq!(kinds(&outputs), [kept.as_slice(), &["announce manifests", "reply"]].concat());
    let newest = outputs
        .iter()
        .find_map(|output| if let Output::Announce(announcement) = output { Some(announcement.clone()) } else { None });
    assert_eq!(newest, Some(announced(&all.true_ones[3].manifest)), "who lacks the others asks");
    // It begins in what is known, and says nothing new.
    assert!(site.hear(run(&all.run(1..=3))).is_ok());
    assert!(site.hear(run(&all.run(2..=5))).is_ok());
    assert_eq!((head(&site), site.records.len()), (5, 5));
    site.restart().unwrap();
    assert_eq!(head(&site), 5);
}

#[test]
fn what_comes_after_the_one_who_vouches_is_refused() {
    let all = succession();
    let mut site = all.state.site(0);
    let refusal = site.hear(run(&all.run(1..=7))).unwrap_err();
    assert!(refusal.message.starts_with(NOT_A_WRITER), "{refusal}");
    assert_eq!(head(&site), 5, "what was vouched for is kept");
    assert!(site.hear(run(&all.run(6..=7))).is_err());
    assert!(site.hear(run(&all.run(4..=7))).is_err());
    site.restart().unwrap();
    assert_eq!(head(&site), 5);
}

/// A home that took over publishes to a site that was away.
#[test]
fn a_new_home_brings_a_site_up_and_gets_its_receipt() {
    let all = succession();
    let mut site = all.state.site(0);
    let newest = &all.true_ones[4];
    assert_eq!(refused(&mut site, &all.state, newest).0, RefusalCode::Behind);
    site.hear(run(&all.run(1..=5))).unwrap();
    let receipt = published(&mut site, &all.state, newest);
    assert_eq!((receipt.sequence, receipt.holds_shards, receipt.holds_share), (5, true, true));
    site.restart().unwrap();
    assert_eq!(site.catalog.history(&database()).unwrap().receipts(5).count(), 1);
}

/// All of a run or nothing: what is wrong in the middle leaves nothing behind of what stood before it.
#[test]
fn a_run_that_does_not_hold_leaves_nothing() {
    let mut all = succession();
    let (one, two, four) = (&all.true_ones[0].manifest, &all.true_ones[1].manifest, &all.true_ones[3].manifest);
    let (one, two, four) = (one.clone(), two.clone(), four.clone());
    let old_key = Keypair::from_secret(&State::new().writer.secret());
    let old = |manifest: Manifest| Signed::sign_new(manifest, &old_key).unwrap();
    let second = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = two.document().clone();
        change(&mut manifest);
        old(manifest)
    };
    let bad_seconds = [
        ("placement of the manifest", second(&|manifest| manifest.placement.swap(0, 1))),
        ("drops stripe 9", second(&|manifest| manifest.stripes_dropped = vec![9])),
        ("adds stripe 1000", second(&|manifest| manifest.stripes_added[0].number = 1_000)),
        ("the manifest's charter", second(&|manifest| manifest.charter = Digest::of(b"mine"))),
        (NOT_A_WRITER, second(&|manifest| manifest.charter = four.document().charter)),
        (NOT_A_WRITER, Signed::sign_new(two.document().clone(), &Keypair::generate(&mut rng(5))).unwrap()),
        ("the manifest is of state", second(&|manifest| manifest.state = Digest::of(b"Sylvania"))),
    ];
    let state = &mut all.state;
    for (text, bad) in bad_seconds {
        // A writer of today goes on from it: then he vouches for what does not hold.
        let voucher = state.snapshot(Some(&bad), 1).manifest;
        let mut site = state.site(0);
        let refusal = site.hear(run(&[&one, &bad, &voucher])).unwrap_err();
        assert!(refusal.message.starts_with(text), "{refusal}");
        assert!(site.records.is_empty() && head(&site) == 0, "{text}");
    }
    // Back to an older charter, in the middle of the run.
    let third = all.true_ones[2].manifest.clone();
    let state = &mut all.state;
    let back = Manifest { sequence: 4, previous: Some(third.digest()), ..two.document().clone() };
    let back = old(Manifest { stripes_added: Vec::new(), ..back });
    let voucher = state.snapshot(Some(&back), 1).manifest;
    let mut site = state.site(0);
    let refusal = site.hear(run(&[&one, &two, &third, &back, &voucher])).unwrap_err();
    assert_eq!(refusal.message, "the manifest names an older charter than the snapshot before it");
    assert!(site.records.is_empty());
}

#[test]
fn a_run_has_no_gaps_and_no_strangers() {
    let all = succession();
    let (state, five) = (&all.state, all.run(1..=5));
    let refusal = |run: Announcement| {
        let mut site = state.site(0);
        let refusal = site.hear(run).unwrap_err();
        assert!(site.records.is_empty());
        refusal.message
    };
    let gap = "manifest 4 does not follow the one before it in the run";
    assert_eq!(refusal(run(&[five[0], five[1], five[3], five[4]])), gap);
    assert_eq!(refusal(run(&[five[3], five[3]])), gap);
    // It links by its number and not by its digest.
    let mut unlinked = five[3].document().clone();
    unlinked.previous = Some(five[0].digest());
    let unlinked = Signed::sign_new(unlinked, &state.writer).unwrap();
    assert_eq!(refusal(run(&[five[0], five[1], five[2], &unlinked])), gap);
    // By its digest and not by its number, or into another database.
    let skipping = Manifest { sequence: 5, ..five[3].document().clone() };
    let elsewhere = Manifest { database: name("court-files"), ..five[3].document().clone() };
    for (manifest, number) in [(skipping, 5), (elsewhere, 4)] {
        let unlinked = Signed::sign_new(manifest, &state.writer).unwrap();
        let gap = format!("manifest {number} does not follow the one before it in the run");
        assert_eq!(refusal(run(&[five[0], five[1], five[2], &unlinked])), gap);
    }
    assert_eq!(refusal(run(&five[1..])), "manifests of land-register from sequence 1 on are missing here");
    // A forged signature of today's writer vouches for nothing.
    let mut forged: Vec<Vec<u8>> = five[..3].iter().map(|manifest| manifest.encode()).collect();
    let mut damaged = five[3].encode();
    *damaged.last_mut().unwrap() ^= 1;
    forged.push(damaged);
    let forged = Announcement::Manifests(forged.into_iter().map(Into::into).collect());
    assert!(refusal(forged).contains("altered after signing, or forged"));
    let bounds = "a run has 1 to 16384 manifests of 71303168 bytes together";
    assert_eq!(refusal(run(&[])), bounds);
    let many = Announcement::Manifests(vec![serde_bytes::ByteBuf::new(); 16_385]);
    assert_eq!(refusal(many), bounds);
    let long = Announcement::Manifests(vec![vec![0; 16 << 20].into(); 5]);
    assert_eq!(refusal(long), bounds);
}

/// The first other manifest of a run that overlaps what is held proves the fork, even of a writer replaced since.
#[test]
fn a_run_of_another_branch_proves_the_fork() {
    let mut all = succession();
    let mut site = all.state.site(0);
    site.hear(run(&all.run(1..=5))).unwrap();
    let records = site.records.clone();
    let old_key = Keypair::from_secret(&State::new().writer.secret());
    let one = all.true_ones[0].manifest.clone();
    let other = Manifest { sealed_root: vec![7], ..all.true_ones[1].manifest.document().clone() };
    let other = Signed::sign_new(other, &old_key).unwrap();
    let third = all.state.snapshot(Some(&other), 1).manifest;
    let mut site = RunningSite::new(&all.state.sites[0], all.state.chain.clone());
    site.records = records;
    site.restart().unwrap();
    let refusal = site.hear(run(&[&one, &other, &third])).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Fork);
    let history = site.catalog.history(&database()).unwrap();
    assert_eq!((history.forks().count(), history.head_sequence()), (1, 5));
    site.restart().unwrap();
}
