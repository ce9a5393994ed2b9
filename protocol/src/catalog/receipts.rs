//! All receipts of one database, with digests by which two sites find out where theirs differ: of each snapshot, of each
//! span of snapshots, of all. Those of spans and of all are kept until a receipt changes them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use shard_codec::Digest;

use crate::document::Receipt;
use crate::identifier::SiteName;
use crate::signature::Signed;
use crate::wire::summary::known;

/// Sequences of one span. A span's digests are one small page, and a year of hourly snapshots is 35 spans.
pub const SPAN: u64 = 256;

/// By sequence and site.
#[derive(Debug, Default)]
pub struct Receipts {
    spans: BTreeMap<u64, Span>,
    digest: OnceLock<Digest>,
}

#[derive(Debug, Default)]
struct Span {
    snapshots: BTreeMap<u64, BTreeMap<SiteName, Signed<Receipt>>>,
    digest: OnceLock<Digest>,
}

/// Of two receipts of one site for one snapshot the one that says more stays, on every site the same one: both, else
/// shards, else a share. (What differs in time or signature only says the same.)
const fn rank(receipt: &Receipt) -> (bool, bool) {
    (receipt.holds_shards && receipt.holds_share, receipt.holds_shards)
}

impl Receipts {
    /// Those of one snapshot, one a site.
    pub fn of(&self, sequence: u64) -> impl Iterator<Item = &Signed<Receipt>> {
        let span = self.spans.get(&(sequence / SPAN));
        span.and_then(|span| span.snapshots.get(&sequence)).into_iter().flat_map(BTreeMap::values)
    }

    /// Those that one site gave for any of these snapshots.
    pub(super) fn given_by(&self, site: &SiteName, snapshots: Range<u64>) -> impl Iterator<Item = &Receipt> {
        let spans = self.spans.range(snapshots.start / SPAN..=snapshots.end / SPAN).map(|(_number, span)| span);
        let of_all = spans.flat_map(move |span| span.snapshots.range(snapshots.clone()));
        of_all.filter_map(move |(_sequence, of_snapshot)| of_snapshot.get(site)).map(Signed::document)
    }

    /// How many spans there are, up to the last that has a receipt.
    #[must_use]
    pub fn span_count(&self) -> u64 {
        self.spans.keys().next_back().map_or(0, |last| last + 1)
    }

    /// What is said of one snapshot.
    #[must_use]
    pub fn digest_of(&self, sequence: u64) -> Digest {
        let said = |receipt: &Receipt| (receipt.site.clone(), receipt.holds_shards, receipt.holds_share);
        let all: Vec<_> = self.of(sequence).map(|signed| said(signed.document())).collect();
        known("receipts of a snapshot", &all)
    }

    /// What is said of the snapshots of one span.
    #[must_use]
    pub fn digest_of_span(&self, span: u64) -> Digest {
        let digest = |snapshots: Vec<(u64, Digest)>| known("receipts of a span", &snapshots);
        let Some(held) = self.spans.get(&span) else { return digest(Vec::new()) };
        *held.digest.get_or_init(|| {
            digest(held.snapshots.keys().map(|sequence| (*sequence, self.digest_of(*sequence))).collect())
        })
    }

    /// What is said of all snapshots.
    #[must_use]
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let spans: Vec<(u64, Digest)> = self.spans.keys().map(|span| (*span, self.digest_of_span(*span))).collect();
            known("receipts", &spans)
        })
    }

    /// Whether a receipt says more than the one of its site that is held.
    pub(super) fn is_news(&self, receipt: &Receipt) -> bool {
        let held = self.of(receipt.sequence).find(|held| held.document().site == receipt.site);
        held.is_none_or(|held| rank(receipt) > rank(held.document()))
    }

    /// Keeps the receipt that says more; true if it is news.
    pub(super) fn put(&mut self, receipt: Signed<Receipt>) -> bool {
        let is_news = self.is_news(receipt.document());
        if is_news {
            let (sequence, site) = (receipt.document().sequence, receipt.document().site.clone());
            let span = self.spans.entry(sequence / SPAN).or_default();
            span.snapshots.entry(sequence).or_default().insert(site, receipt);
            (span.digest, self.digest) = (OnceLock::new(), OnceLock::new());
        }
        is_news
    }
}
