//! Ten years of hourly snapshots: what one look at the rules costs a site, and what letting most of them go does. One stripe
//! a snapshot, each dropping the one before, seven sites, a receipt of each. The setup signs and verifies 700,000
//! documents and takes about a minute.

#[path = "../src/fixture.rs"]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "made for tests: what panics has failed")]
mod fixture;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use fixture::{NOW, State, database, rng, sign, stripe};
use protocol::document::{Inventory, Keep, Period, Receipt, Retention};
use protocol::host::{Input, Machines, Pace};
use protocol::machine::{Announcement, RecordKind};
use protocol::number_set::NumberSet;
use protocol::retention::RetentionOptions;
use protocol::signature::Signed;
use protocol::timestamp::Timestamp;

const SNAPSHOTS: u64 = 10 * 8_766;
const HOUR_MS: u64 = 3_600_000;
const END: Timestamp = Timestamp::from_unix_ms(NOW.unix_ms() + (SNAPSHOTS + 1) * HOUR_MS);

fn rules() -> Retention {
    let days = |days: u64| Some(days * 86_400);
    let keep =
        [(Period::Snapshot, days(7)), (Period::Day, days(90)), (Period::Month, days(3_653)), (Period::Year, None)];
    let keep = keep.map(|(one_per, for_seconds)| Keep { one_per, for_seconds }).to_vec();
    Retention { keep, delay_seconds: 0, holds: Vec::new(), deletions: Vec::new() }
}

/// All of it known to one site, nothing looked at.
fn machines(state: &mut State) -> Machines {
    let retention = RetentionOptions { interval_ms: 1, ..RetentionOptions::default() };
    let model = state.snapshot(None, 0).manifest.document().clone();
    // The clock of retention begins at the newest charter.
    let _later = state.amend(|charter| charter.drafted = END);
    let mut machines = Machines::new(state.chain.clone(), Pace { retention, ..Pace::default() });
    let mut previous = None;
    for sequence in 1..=SNAPSHOTS {
        let mut manifest = model.clone();
        (manifest.sequence, manifest.previous) = (sequence, previous);
        manifest.stripes_added = vec![stripe(sequence, 7)];
        manifest.stripes_dropped = (sequence > 1).then_some(sequence - 1).into_iter().collect();
        let signed = Signed::sign_new(manifest, &state.writer).expect("a valid manifest");
        previous = Some(signed.digest());
        machines.catalog.learn(RecordKind::Manifest, &signed.encode()).expect("follows");
        for site in &state.sites {
            let receipt = Receipt {
                state: state.chain.state(),
                database: database(),
                sequence,
                manifest: signed.digest(),
                site: site.name.clone(),
                holds_shards: true,
                holds_share: true,
                at: NOW.plus_ms(sequence * HOUR_MS),
            };
            let receipt = Signed::sign_new(receipt, &site.identity).expect("a valid receipt").encode();
            machines.catalog.learn(RecordKind::Receipt, &receipt).expect("of a site");
        }
    }
    machines
}

#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "what is let go once cannot be let go again")]
fn timed(act: impl FnOnce()) -> Duration {
    let begun = std::time::Instant::now();
    act();
    begun.elapsed()
}

fn sweep(c: &mut Criterion) {
    let mut state = State::founded(|charter| {
        charter.databases.iter_mut().for_each(|database| database.retention = Some(rules()));
    });
    let mut machines = machines(&mut state);
    let (keys, mut rng) = (state.sites.first().expect("seven sites"), rng(3));
    let mut now = END;
    let mut tick = |machines: &mut Machines| {
        now = now.plus_ms(1_000);
        machines.handle(now, Input::Tick, keys, &mut rng)
    };
    let mut group = c.benchmark_group("retention/ten years of hourly snapshots");
    group.sample_size(10).warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_secs(1));
    group.bench_function("a look, none gone yet", |b| b.iter(|| tick(&mut machines)));
    let due = machines.retention.due(&database()).expect("rules").clone();
    for site in state.sites.iter().skip(1) {
        let inventory = Inventory {
            state: state.chain.state(),
            site: site.name.clone(),
            database: database(),
            sequence: SNAPSHOTS,
            missing_stripes: NumberSet::default(),
            missing_shares: NumberSet::default(),
            epochs: Vec::new(),
            expired: due.last_runs(1_024),
            let_go: NumberSet::default(),
            at: END,
        };
        let bytes = sign(inventory, std::slice::from_ref(&site.identity)).encode();
        machines.handle(END, Input::announced(None, Announcement::Inventory(bytes.into())), keys, &mut fixture::rng(4));
    }
    let took = timed(|| drop(tick(&mut machines)));
    let history = machines.catalog.history(&database()).expect("known");
    let (gone, kept) = (history.discarded().count(), history.kept_stripes().len());
    assert_eq!(gone + kept as u64, SNAPSHOTS);
    println!("{gone} of {SNAPSHOTS} snapshots let go in {took:?}, {kept} kept, {} runs", due.runs().len());
    group.bench_function("a look, the rest", |b| b.iter(|| tick(&mut machines)));
    group.finish();
}

criterion_group!(benches, sweep);
criterion_main!(benches);
