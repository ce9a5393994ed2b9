//! Audit truth: what an auditor was shown to be wrong it knows to be lost, and no honest site is convicted of losing what
//! it holds.

use protocol::document::{AuditAnswer, Challenge};
use protocol::host::Machines;
use protocol::ledger::holders;
use protocol::machine::RecordKind;
use protocol::signature::Signed;
use protocol::signature::quorum::verify_single;
use shard_codec::shard_tree::verify_range;

use super::{Fact, Invariant, Scene};
use crate::world::sim_site::SimSite;
use crate::world::trace::NodeId;

#[derive(Debug, Default)]
pub(super) struct Audit;

impl Invariant for Audit {
    fn name(&self) -> &'static str {
        "audit truth"
    }

    fn observe(&mut self, scene: &Scene<'_>, node: NodeId, fact: &Fact) -> Result<(), String> {
        let Some(site) = scene.honest(node) else { return Ok(()) };
        match fact {
            Fact::AnswerLeft(answer) => check_answer(scene, answer),
            Fact::Judged(answer) => check_judged(scene, site, answer),
            Fact::Synced(records) => {
                let mut faults = records.iter().filter(|record| record.kind == RecordKind::Fault);
                faults.try_for_each(|record| check_conviction(scene, &record.value))
            }
            Fact::Started
            | Fact::Crashed
            | Fact::Struck
            | Fact::Emptied { .. }
            | Fact::Ticked
            | Fact::ColumnsLeft { .. }
            | Fact::BlindedLeft { .. }
            | Fact::Mended(_)
            | Fact::Reached(_)
            | Fact::Handled { .. }
            | Fact::Conflict(_)
            | Fact::ReceiptLeft(_)
            | Fact::ShareLeft { .. }
            | Fact::Refused(_)
            | Fact::Noted(_) => Ok(()),
        }
    }
}

/// What an honest site signs proves its leaf: it would be evidence against it for ever.
fn check_answer(scene: &Scene<'_>, answer: &Signed<AuditAnswer>) -> Result<(), String> {
    let said = answer.document();
    if proves(scene, said) == Some(false) {
        return Err(format!("it signs what convicts it of having lost shard {}", said.challenge.root.short()));
    }
    Ok(())
}

/// A site is convicted only if it lies, and by a wrong answer.
fn check_conviction(scene: &Scene<'_>, record: &[u8]) -> Result<(), String> {
    let answer = Signed::<AuditAnswer>::decode(record).map_err(|error| error.to_string())?;
    let said = answer.document();
    let accused = scene.cast.node_of(&said.site).and_then(|node| scene.honest(node));
    if proves(scene, said) != Some(true) && accused.is_none() {
        return Ok(());
    }
    Err(format!("{} is held to have lost a shard, which it never said", said.site))
}

/// Whether an answer proves the leaf, by what the manifests really say; `None` if none of them has such a shard.
fn proves(scene: &Scene<'_>, said: &AuditAnswer) -> Option<bool> {
    let challenge = &said.challenge;
    let placed = scene.chronicle.chapters.values().find_map(|chapter| {
        let live = chapter.live.get(challenge.stripe_number)?;
        let (index, root) = scene.chronicle.shard_of(live, &said.site)?;
        let is_it = chapter.signed.document().database == challenge.database;
        (is_it && (index.get(), root) == (challenge.shard_index, challenge.root)).then_some(live)
    })?;
    let shard_bytes = placed.layout.shard_bytes() as u64;
    let range = challenge.range(shard_bytes);
    Some(verify_range(&challenge.root, shard_bytes, range, &said.proof).is_ok())
}

/// A wrong answer, signed, makes its shard count as lost at the auditor, if the site has not said so itself.
fn check_judged(scene: &Scene<'_>, auditor: &SimSite, answer: &Signed<AuditAnswer>) -> Result<(), String> {
    let (said, Some(process)) = (answer.document(), &auditor.process) else { return Ok(()) };
    let challenge = &said.challenge;
    let node = scene.cast.node_of(&said.site);
    let key = node.and_then(|node| scene.site(node)).map(|site| site.keys.identity.public());
    let is_signed = key.is_some_and(|key| verify_single(answer, key).is_ok());
    if !is_signed || proves(scene, said) != Some(false) {
        return Ok(());
    }
    let (database, evidence) = (&challenge.database, &process.machines.evidence);
    let is_lost = evidence.is_lost(database, challenge.stripe_number, challenge.shard_index, challenge.root);
    let is_known = is_lost || evidence.lacks(database, &said.site, challenge.stripe_number);
    if is_known && !counts_on(&process.machines, said) {
        return Ok(());
    }
    Err(format!("{} answered wrongly for shard {}, and it counts as held", said.site, challenge.root.short()))
}

/// Whether a site's ledger counts on the shard that an answer was about.
fn counts_on(machines: &Machines, said: &AuditAnswer) -> bool {
    let Challenge { database, stripe_number, shard_index, root, .. } = &said.challenge;
    let Some(history) = machines.catalog.history(database) else { return false };
    let found = history.kept_stripes().find(*stripe_number, *shard_index, root);
    found.is_some_and(|(_position, stripe)| {
        let mut believed = holders(database, history, stripe, machines.catalog.charter(), &machines.evidence);
        believed.any(|name| *name == said.site)
    })
}
