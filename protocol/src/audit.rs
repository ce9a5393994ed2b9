//! Audits: this site asks others for random leaves of the shards they hold, and judges what they answer.
//!
//! A leaf is proven against the root in the manifest, so no key is needed and nothing is kept for the purpose. Three
//! verdicts: *valid*; *skip*, because silence proves nothing; *fault*, for which the site's own signature stands
//! ([`verdict`]). What was found is spread as reports now and then, a fault at once. How much that proves, and how soon
//! a loss is seen, is computed in [`coverage`]; which leaf is asked for, in `schedule`.
//!
//! # Security
//! A site that has lost a shard can answer only with the help of `data_shards` others, and they give bytes of a stripe
//! only to a site that has said in its inventory that it lacks its own shard of it (`Request::Columns`): it would have
//! to confess first. That holds as long as fewer than `data_shards` other sites of the stripe work together with it, and
//! it does not tell on which disk of the host the bytes lie, or how many sites share one disk.

pub mod answer;
pub mod coverage;
pub(crate) mod schedule;
pub mod verdict;

use std::collections::BTreeMap;

use rand::CryptoRng;

use crate::audit::verdict::{Verdict, judge};
use crate::catalog::Catalog;
use crate::document::{AuditAnswer, AuditReport, Challenge, Tally};
use crate::evidence::{Evidence, ShardName};
use crate::identifier::SiteName;
use crate::machine::{Announcement, Output, SiteKeys, Ticket};
use crate::signature::Signed;
use crate::timestamp::Timestamp;
use crate::wire::{Request, Response};

/// How often this site asks, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditOptions {
    /// Mean time between two challenges to one site.
    pub interval_ms: u64,
    /// Time between two reports.
    pub report_interval_ms: u64,
    /// A site that has not answered by then is left for this time.
    pub patience_ms: u64,
}

impl Default for AuditOptions {
    /// A challenge a minute to each site; a report every six hours.
    fn default() -> Self {
        Self { interval_ms: 60_000, report_interval_ms: 6 * 3_600_000, patience_ms: 60_000 }
    }
}

/// A challenge that waits for its answer.
#[derive(Clone, Debug)]
struct Asked {
    ticket: Ticket,
    challenge: Challenge,
    at: Timestamp,
}

/// What is known of one audited site.
#[derive(Clone, Debug, Default)]
struct Target {
    due: Timestamp,
    asked: Option<Asked>,
    valid_count: u64,
    skip_count: u64,
    fault_count: u64,
    proven_bytes: u64,
    last_valid: Option<Timestamp>,
}

/// The machine.
#[derive(Debug)]
pub struct Audit {
    options: AuditOptions,
    targets: BTreeMap<SiteName, Target>,
    next_ticket: u64,
    since: Option<Timestamp>,
    report_due: Timestamp,
}

impl Audit {
    /// A machine that has asked nobody yet.
    #[must_use]
    pub const fn new(options: AuditOptions) -> Self {
        let report_due = Timestamp::from_unix_ms(0);
        Self { options, targets: BTreeMap::new(), next_ticket: 0, since: None, report_due }
    }

    /// How often it asks.
    #[must_use]
    pub const fn options(&self) -> AuditOptions {
        self.options
    }

    /// What this site found since it was started, by site.
    pub fn tallies(&self) -> impl Iterator<Item = Tally> {
        self.targets.iter().map(|(site, target)| Tally {
            site: site.clone(),
            valid_count: target.valid_count,
            skip_count: target.skip_count,
            fault_count: target.fault_count,
            proven_bytes: target.proven_bytes,
            last_valid: target.last_valid,
        })
    }

    /// Time has passed: asks whoever is due. The host calls it every second or so; it costs little when nothing is due.
    pub fn tick(
        &mut self,
        now: Timestamp,
        catalog: &Catalog,
        evidence: &mut Evidence,
        keys: &SiteKeys,
        rng: &mut impl CryptoRng,
    ) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.since.get_or_insert(now);
        self.targets.retain(|site, _target| catalog.charter().active_site(site).is_some());
        for site in catalog.charter().active_sites().map(|site| &site.name).filter(|site| **site != keys.name) {
            // The first round comes at random too: sites that start together do not ask together.
            let first_due =
                || Target { due: now.plus_ms(spread(self.options.interval_ms, rng) / 2), ..Target::default() };
            let target = self.targets.entry(site.clone()).or_insert_with(first_due);
            if let Some(asked) = &target.asked {
                if now < asked.at.plus_ms(self.options.patience_ms) {
                    continue;
                }
                (target.asked, target.skip_count) = (None, target.skip_count + 1);
            }
            if now < target.due {
                continue;
            }
            target.due = now.plus_ms(spread(self.options.interval_ms, rng));
            if let Some(challenge) = schedule::draw(site, catalog, evidence, rng) {
                self.next_ticket += 1;
                let ticket = Ticket(self.next_ticket);
                let request = Box::new(Request::Audit(challenge.clone()));
                target.asked = Some(Asked { ticket, challenge, at: now });
                outputs.push(Output::Ask { ticket, site: site.clone(), request });
            }
        }
        self.report(now, catalog, evidence, keys, &mut outputs);
        outputs
    }

    /// What came back for [`Output::Ask`]; `None` if nothing did.
    pub fn answered(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        response: Option<Response>,
        catalog: &Catalog,
        evidence: &mut Evidence,
    ) -> Vec<Output> {
        let mut outputs = Vec::new();
        let waits = |target: &Target| target.asked.as_ref().is_some_and(|asked| asked.ticket == ticket);
        let Some((site, target)) = self.targets.iter_mut().find(|(_site, target)| waits(target)) else {
            return outputs;
        };
        let Some(asked) = target.asked.take() else { return outputs };
        let Some((answer, verdict)) = response.and_then(|response| read(response, site, &asked.challenge, catalog))
        else {
            target.skip_count += 1;
            return outputs;
        };
        match verdict {
            Verdict::Valid => {
                target.valid_count += 1;
                target.last_valid = Some(now);
                target.proven_bytes += (answer.document().proof.len() as u64).min(shard_codec::shard_tree::LEAF_BYTES);
                evidence.close_fault(&ShardName::from(&asked.challenge));
            }
            Verdict::Fault => {
                target.fault_count += 1;
                // A shard that was declared lost in the meantime is no news.
                let (said, bytes) = (answer.document(), answer.encode());
                let is_declared = evidence.lacks(&said.challenge.database, site, said.challenge.stripe_number);
                if !is_declared && evidence.open_fault(answer, &mut outputs) {
                    outputs.push(Output::Announce(Announcement::Fault(bytes.into())));
                }
            }
        }
        outputs
    }

    fn report(
        &mut self,
        now: Timestamp,
        catalog: &Catalog,
        evidence: &mut Evidence,
        keys: &SiteKeys,
        outputs: &mut Vec<Output>,
    ) {
        let counted = |target: &Target| target.valid_count + target.skip_count + target.fault_count > 0;
        if now < self.report_due || !self.targets.values().any(counted) {
            return;
        }
        let is_first = self.report_due == Timestamp::default();
        self.report_due = now.plus_ms(self.options.report_interval_ms);
        if is_first {
            // One challenge is not worth a report.
            return;
        }
        let (state, auditor) = (catalog.state(), keys.name.clone());
        let since = self.since.unwrap_or(now);
        let report = AuditReport { state, auditor, since, at: now, tallies: self.tallies().collect() };
        let Ok(signed) = Signed::sign_new(report, &keys.identity) else { return };
        let bytes = signed.encode();
        if evidence.take_report(&bytes, catalog, outputs).is_ok() {
            outputs.push(Output::Announce(Announcement::AuditReport(bytes.into())));
        }
    }
}

/// Between half and three halves of `interval_ms`: nobody can tell when the next challenge comes.
fn spread(interval_ms: u64, rng: &mut impl CryptoRng) -> u64 {
    interval_ms / 2 + schedule::below(interval_ms.saturating_add(1), rng)
}

/// The answer, if it is one to `challenge` by `site` that proves anything.
fn read(
    response: Response,
    site: &SiteName,
    challenge: &Challenge,
    catalog: &Catalog,
) -> Option<(Signed<AuditAnswer>, Verdict)> {
    let Response::Audited(bytes) = response else { return None };
    let signed = Signed::<AuditAnswer>::decode(&bytes).ok()?;
    if signed.document().challenge != *challenge || signed.document().site != *site {
        return None;
    }
    let verdict = judge(&signed, catalog).ok()?;
    Some((signed, verdict))
}
