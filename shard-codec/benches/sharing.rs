//! What it costs to deal a key, to give its shares on to other custodians, and to recover a lost one: for one snapshot, on
//! one core. Five of nine custodians hand over to seven of thirteen.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use shard_codec::secret_sharing::{
    Commitments, Share, combine_commitments, combine_parts, deal, reconstruct, redeal, verify_share,
};
use shard_codec::{ShareIndex, SnapshotSecret};

const OLD: (usize, usize) = (5, 9);
const NEW: (usize, u8) = (7, 13);

struct Dealt {
    shares: Vec<Share>,
    old: Commitments,
    indices: Vec<ShareIndex>,
    /// Of each dealer: its index, its parts, its dealing.
    dealings: Vec<(ShareIndex, Vec<Share>, Commitments)>,
}

impl Dealt {
    fn new(rng: &mut ChaCha20Rng) -> Self {
        let (shares, old) = deal(&SnapshotSecret::random(rng), OLD.0, OLD.1, rng).expect("valid parameters");
        let indices: Vec<ShareIndex> = (1..=NEW.1).filter_map(ShareIndex::new).collect();
        let dealings = shares.iter().take(OLD.0).map(|share| {
            let (parts, dealing) = redeal(share, NEW.0, &indices, rng).expect("valid parameters");
            (share.index(), parts, dealing)
        });
        let dealings = dealings.collect();
        Self { shares, old, indices, dealings }
    }

    fn points(&self) -> Vec<(ShareIndex, Commitments)> {
        self.dealings.iter().map(|(dealer, _parts, dealing)| (*dealer, dealing.clone())).collect()
    }

    fn parts_of_first(&self) -> Vec<(ShareIndex, Share, Commitments)> {
        let copy = |share: &Share| share.to_bytes().expose(|bytes| Share::from_bytes(bytes)).expect("a share");
        let first = |parts: &[Share]| copy(parts.first().expect("a part"));
        self.dealings.iter().map(|(dealer, parts, dealing)| (*dealer, first(parts), dealing.clone())).collect()
    }
}

fn sharing(criterion: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let dealt = Dealt::new(&mut rng);
    let new = combine_commitments(&dealt.old, NEW.0, &dealt.points()).expect("sound dealings");
    let mut group = criterion.benchmark_group("sharing 5 of 9 to 7 of 13");
    let secret = SnapshotSecret::random(&mut rng);
    group.bench_function("deal", |bencher| {
        bencher.iter(|| black_box(deal(&secret, OLD.0, OLD.1, &mut rng)));
    });
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let share = dealt.shares.first().expect("a share");
    group.bench_function("verify a share", |bencher| {
        bencher.iter(|| black_box(verify_share(share, share.index(), OLD.0, &dealt.old)));
    });
    group.bench_function("reconstruct", |bencher| {
        bencher.iter(|| black_box(reconstruct(OLD.0, &dealt.shares, &dealt.old)));
    });
    group.bench_function("redeal, each dealer", |bencher| {
        bencher.iter(|| black_box(redeal(share, NEW.0, &dealt.indices, &mut rng)));
    });
    let points = dealt.points();
    group.bench_function("check dealings and combine commitments, everybody", |bencher| {
        bencher.iter(|| black_box(combine_commitments(&dealt.old, NEW.0, &points)));
    });
    let parts = dealt.parts_of_first();
    let own = *dealt.indices.first().expect("an index");
    group.bench_function("combine parts, each custodian", |bencher| {
        bencher.iter(|| black_box(combine_parts(own, &dealt.old, &new, &parts)));
    });
    group.finish();
}

criterion_group!(benches, sharing);
criterion_main!(benches);
