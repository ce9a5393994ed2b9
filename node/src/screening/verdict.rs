//! One profile against the last accepted one.

use protocol::document::Suspicion;
use serde::Serialize;

use super::{Portion, Profile};

/// Databases smaller than this jump by themselves, in bytes: a MiB.
const BYTES_MIN: u64 = 1 << 20;
/// Something is replaced if so many percent of the accepted snapshot are gone and so many of this one are fresh.
const REPLACED_PERCENT: u64 = 5;
/// Less than so much that is fresh says nothing, in bytes.
const FRESH_BYTES_MIN: u64 = 64 << 10;
/// Random bytes have 7.9 bits and more even in samples; and so much more than what was accepted.
const ENTROPY_MILLIBITS: u64 = 7_900;
const ENTROPY_RISE_MILLIBITS: u64 = 200;
/// Percent of the plaintext that are left after compression, more than there were.
const COMPRESSION_RISE_PERCENT: u64 = 25;
/// Less than so many percent of what was in use is suspicious; so it is with pages.
const LEFT_PERCENT: u64 = 90;
/// Of pages that can be told to be broken, so many percent more than before.
const BROKEN_PERCENT: u64 = 1;
/// A snapshot that rewrites more than this, where none of the accepted ones did more than that.
const REWRITTEN_PERCENT: u64 = 50;
const REWRITTEN_USUALLY_PERCENT: u64 = 25;
/// Of what was rewritten, this much does not compress.
const RANDOM_PERCENT: u64 = 90;

/// What is suspicious, and the figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub suspicion: Suspicion,
    /// Before and now, in words.
    pub figures: String,
}

/// What is suspicious in `now`, held against the accepted ones, the newest of them last. Nothing without one.
#[must_use]
pub fn judge(accepted: &[Profile], now: &Profile) -> Vec<Finding> {
    let Some(before) = accepted.last().filter(|before| before.all.bytes >= BYTES_MIN) else { return Vec::new() };
    let rules: [(Suspicion, Option<String>); 5] = [
        (Suspicion::Entropy, entropy(before, now)),
        (Suspicion::Compressibility, compressibility(before, now)),
        (Suspicion::Size, size(before, now)),
        (Suspicion::ChangeRate, change_rate(accepted, now)),
        (Suspicion::PageStructure, page_structure(before, now)),
    ];
    let found = rules.into_iter().filter_map(|(suspicion, figures)| Some(Finding { suspicion, figures: figures? }));
    found.collect()
}

fn percent(part: u64, of: u64) -> String {
    format!("{} %", u128::from(part) * 100 / u128::from(of.max(1)))
}

fn is_less(part: u64, percent: u64, of: u64) -> bool {
    u128::from(part) * 100 < u128::from(of) * u128::from(percent)
}

/// What took the place of something: all of it, where it is not known what is fresh. `None` if too little did.
fn replacing(before: &Profile, now: &Profile) -> Option<Portion> {
    if !now.is_comparable {
        return Some(now.all);
    }
    let lost = before.all.bytes.saturating_sub(now.kept_bytes());
    let is_enough = now.fresh.bytes >= FRESH_BYTES_MIN
        && !is_less(lost, REPLACED_PERCENT, before.all.bytes)
        && !is_less(now.fresh.bytes, REPLACED_PERCENT, now.all.bytes);
    is_enough.then_some(now.fresh)
}

fn entropy(before: &Profile, now: &Profile) -> Option<String> {
    let replacing = replacing(before, now)?;
    let (was, is) = (before.all.entropy_millibits, replacing.entropy_millibits);
    (is >= ENTROPY_MILLIBITS && is >= was + ENTROPY_RISE_MILLIBITS).then(|| {
        let bits = |millibits: u64| format!("{}.{:02}", millibits / 1_000, millibits % 1_000 / 10);
        format!(
            "{} were rewritten with {} bits of entropy a byte, the accepted snapshot has {}",
            percent(replacing.bytes, now.all.bytes),
            bits(is),
            bits(was)
        )
    })
}

fn compressibility(before: &Profile, now: &Profile) -> Option<String> {
    let replacing = replacing(before, now)?;
    let left = |of: Portion| of.sealed_bytes.saturating_mul(100) / of.bytes.max(1);
    let (was, is) = (left(before.all), left(replacing));
    (is >= was + COMPRESSION_RISE_PERCENT).then(|| {
        format!(
            "{} were rewritten and compress to {is} % of their size, the accepted snapshot to {was} %",
            percent(replacing.bytes, now.all.bytes)
        )
    })
}

fn size(before: &Profile, now: &Profile) -> Option<String> {
    let (was, is) = (before.used_bytes(), now.used_bytes());
    is_less(is, LEFT_PERCENT, was).then(|| format!("{is} bytes are in use, {was} were: {} are left", percent(is, was)))
}

/// For contents that never compressed, such as scanned documents: all that can be seen is that they were rewritten.
fn change_rate(accepted: &[Profile], now: &Profile) -> Option<String> {
    let before = accepted.last()?;
    // The first snapshot is all fresh; what counts is what gave way to it.
    let rewritten = |(before, after): (&Profile, &Profile)| {
        let lost = before.all.bytes.saturating_sub(after.kept_bytes());
        (after.is_comparable, !is_less(lost, REWRITTEN_USUALLY_PERCENT, before.all.bytes))
    };
    let mut usual =
        accepted.iter().zip(accepted.iter().skip(1)).map(rewritten).filter(|(is_known, _)| *is_known).peekable();
    usual.peek()?;
    let is_usual = usual.any(|(_known, is_rewritten)| is_rewritten);
    let (fresh, all) = (now.fresh.bytes, now.all.bytes);
    let is_much = !is_less(fresh, REWRITTEN_PERCENT, all) && !is_less(now.fresh.random_bytes, RANDOM_PERCENT, fresh);
    (now.is_comparable && is_much && !is_usual && replacing(before, now).is_some()).then(|| {
        format!("{} were rewritten, and do not compress; no accepted snapshot rewrote a quarter", percent(fresh, all))
    })
}

fn page_structure(before: &Profile, now: &Profile) -> Option<String> {
    let (was, is) = (before.pages, now.pages);
    let is_broken = is.broken > was.broken + was.written * BROKEN_PERCENT / 100;
    let is_gone = is_less(is.used(), LEFT_PERCENT, was.used()) || is_less(is.sound, LEFT_PERCENT, was.sound);
    (is_gone || is_broken).then(|| {
        format!(
            "{} pages of databases are in use and {} look like it, where {} and {} did; {} are broken",
            is.used(),
            is.sound,
            was.used(),
            was.sound,
            is.broken
        )
    })
}

#[cfg(test)]
mod tests;
