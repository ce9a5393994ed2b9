//! `legation site scrub`: the whole store, now.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::{Failure, Output};
use crate::clock;
use crate::exit_code::ExitCode;
use crate::progress::Progress;
use crate::shard_store::{Damage, ReadError, Scrub, ScrubOptions, ScrubStep, ShardStore, StoreOptions, StoredShard};

/// Lines about single shards that people are shown; `--json` has all.
const LINES_MAX: usize = 20;
const PAGE: usize = 1_024;

const NEXT: &str = "The site does not claim them any more, and nothing is lost as long as enough other sites hold theirs.\n\
Start the site again: it remakes what it lacks from the others, and so does the next `legation backup` at home.\n\
Look at the disk (smartctl, the kernel's log): a disk that rots once rots again.";

pub(super) fn run(dir: &Path, output: &Output) -> Result<(), Failure> {
    let (store, _report) = ShardStore::open_with(&dir.join("store"), StoreOptions::default())
        .map_err(|error| Failure::new(ExitCode::LocalStorage, error))?;
    let (shard_count, store_bytes) = (store.count(), store.stored_bytes_by_database().values().sum());
    let progress = Progress::bytes("scrub", Some(store_bytes));
    let scrubbed = scrub(&store, &progress);
    progress.finish();
    let (found, elapsed_ms) = scrubbed.map_err(|error| Failure::new(ExitCode::LocalStorage, error))?;
    let lacking = lacking(&store).map_err(|error| Failure::new(ExitCode::LocalStorage, error))?;
    let bytes_read = store.scrub_progress().bytes_read;
    let value = json!({ "shards_read": shard_count, "bytes_read": bytes_read, "elapsed_ms": elapsed_ms,
                        "found_now": found.len(),
                        "lacking": lacking.iter().map(|(shard, damage)| describe(shard, damage)).collect::<Vec<_>>() });
    let summary = format!("{shard_count} shards, {bytes_read} bytes read in {:.1} s", clock::seconds(elapsed_ms));
    if lacking.is_empty() {
        output.result(&value, || format!("{summary}: every one is what it was"));
        return Ok(());
    }
    let mut lines =
        vec![format!("{summary}: {} found rotten or missing now, {} lacking in all", found.len(), lacking.len())];
    lines
        .extend(lacking.iter().take(LINES_MAX).map(|(shard, damage)| line(shard, damage, found.contains(&shard.root))));
    if lacking.len() > LINES_MAX {
        lines.push(format!("  and {} more: --json names them all", lacking.len() - LINES_MAX));
    }
    lines.push(NEXT.to_owned());
    let mut failure = Failure::new(ExitCode::IntegrityFault, lines.join("\n"));
    failure.report = Some(value);
    Err(failure)
}

/// A whole pass; the shards it withdrew.
fn scrub(store: &ShardStore, progress: &Progress) -> Result<(BTreeSet<shard_codec::Digest>, u64), ReadError> {
    let started = clock::Monotonic::start();
    let mut found = BTreeSet::new();
    let mut scrub = Scrub::begin(store.clone(), ScrubOptions::UNPACED, clock::now_ms())?;
    loop {
        match scrub.step(clock::now_ms())? {
            ScrubStep::Read { bytes, found: finding } => {
                progress.advance(bytes);
                if let Some((shard, _verification)) = finding {
                    found.insert(shard.root);
                    progress.say(format!("{} bad", found.len()));
                }
            }
            ScrubStep::Wait { .. } => {} // nothing to wait for without a pace
            ScrubStep::Ended => return Ok((found, started.elapsed_ms())),
        }
    }
}

/// Every shard that the store should have and does not claim, those found in earlier passes too.
fn lacking(store: &ShardStore) -> Result<Vec<(StoredShard, Damage)>, ReadError> {
    let mut lacking: Vec<(StoredShard, Damage)> = Vec::new();
    loop {
        let page = store.withdrawn(lacking.last().map(|(shard, _damage)| &shard.root), PAGE)?;
        if page.is_empty() {
            return Ok(lacking);
        }
        for shard in page {
            let damage = store.damage(&shard.root)?.unwrap_or(Damage::Whole);
            lacking.push((shard, damage));
        }
    }
}

fn describe(shard: &StoredShard, damage: &Damage) -> Value {
    let damage = match damage {
        Damage::Whole => json!("whole"),
        Damage::Ranges(ranges) => ranges.iter().map(|range| json!([range.start, range.end])).collect(),
    };
    json!({ "root": shard.root.to_string(), "database": shard.database, "stripe_number": shard.stripe_number,
            "shard_index": shard.shard_index.get(), "bytes": shard.bytes, "damage": damage })
}

fn line(shard: &StoredShard, damage: &Damage, is_new: bool) -> String {
    let damage = match damage {
        Damage::Whole => "all of it".to_owned(),
        Damage::Ranges(ranges) if ranges.is_empty() => "its file is good again".to_owned(),
        Damage::Ranges(ranges) => {
            let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
            format!("{bytes} of {} bytes in {} ranges", shard.bytes, ranges.len())
        }
    };
    let StoredShard { root, database, stripe_number, shard_index, .. } = shard;
    let when = if is_new { "" } else { " (known before)" };
    format!("  {database} stripe {stripe_number} shard {}, {}: {damage}{when}", shard_index.get(), root.short())
}
