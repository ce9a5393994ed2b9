//! Dealing the snapshot key, sealing the root, signing the manifest. The key lives only in here.

use std::collections::BTreeMap;

use protocol::catalog::publish::share_context;
use protocol::contents::{ContentsRoot, root_context};
use protocol::document::{Custody, DEALT_EPOCH, Database, Manifest, Suspicion};
use protocol::identifier::SiteName;
use protocol::signature::Signed;
use protocol::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use shard_codec::Digest;
use shard_codec::sealing::seal_root;
use shard_codec::secret_sharing::{Share, SnapshotSecret, deal};
use shard_codec::share_sealing::{SealingPublicKey, seal_to};
use zeroize::Zeroizing;

use super::{BackupContext, BackupError, Change};
use crate::pipeline::survey::Survey;
use crate::{clock, entropy};

/// A signed manifest and each custodian's sealed share: all that publishing needs, and nothing that opens anything.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SealedSnapshot {
    manifest: ByteBuf,
    shares: BTreeMap<SiteName, ByteBuf>,
    /// The manifests before it that were not durable when it was signed, oldest first: too few sites show them, or none.
    /// Without them no site could take this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    before: Vec<ByteBuf>,
}

impl SealedSnapshot {
    /// A manifest that the sites show, with shares of it that were kept.
    pub(super) fn of(manifest: &Signed<Manifest>, shares: BTreeMap<SiteName, ByteBuf>) -> Self {
        Self { manifest: manifest.encode().into(), shares, before: Vec::new() }
    }

    /// The same, kept with the manifests before it.
    pub(super) fn after(self, before: Vec<ByteBuf>) -> Self {
        Self { before, ..self }
    }

    pub(super) fn before(&self) -> &[ByteBuf] {
        &self.before
    }

    pub(super) fn shares(&self) -> &BTreeMap<SiteName, ByteBuf> {
        &self.shares
    }

    pub(super) fn manifest_bytes(&self) -> &[u8] {
        &self.manifest
    }

    pub(super) fn manifest(&self) -> Result<Signed<Manifest>, BackupError> {
        Signed::decode(&self.manifest).map_err(|error| BackupError::Seal(error.to_string()))
    }

    pub(super) fn share(&self, site: &SiteName) -> Option<ByteBuf> {
        self.shares.get(site).cloned()
    }

    pub(super) fn sequence(&self) -> u64 {
        self.manifest().map_or(0, |manifest| manifest.document().sequence)
    }

    pub(super) fn stripe_numbers(&self) -> Vec<u64> {
        let stripes = |manifest: Signed<Manifest>| manifest.document().stripes_added.iter().map(|s| s.number).collect();
        self.manifest().map_or_else(|_error| Vec::new(), stripes)
    }
}

fn seal_error(error: impl std::fmt::Display) -> BackupError {
    BackupError::Seal(error.to_string())
}

/// Makes the next manifest. When this returns, the snapshot key exists only as sealed shares.
pub(super) fn seal(
    context: &BackupContext,
    survey: &Survey,
    entry: &Database,
    change: Change,
    (root, suspicions): (&ContentsRoot, Vec<Suspicion>),
) -> Result<SealedSnapshot, BackupError> {
    let (sequence, previous) = next_place(survey, entry);
    let state = survey.catalog.state();
    let place = root_context(&state, &entry.name, sequence);
    let secret = SnapshotSecret::random(&mut entropy::snapshot_rng());
    let threshold = usize::from(entry.threshold);
    let dealt = deal(&secret, threshold, entry.custodians.len(), &mut entropy::rng()).map_err(seal_error)?;
    let (shares, commitments) = dealt;
    let plaintext = Zeroizing::new(root.encode());
    let sealed_root =
        seal_root(&secret.snapshot_key(&place), &place, &plaintext, &mut entropy::rng()).map_err(seal_error)?;
    drop(secret);
    let custody = Custody {
        epoch: DEALT_EPOCH,
        threshold: entry.threshold,
        custodians: entry.custodians.clone(),
        commitments: commitments.to_bytes().concat(),
        share_digests: Vec::new(),
    };
    let mut manifest = Manifest {
        state,
        database: entry.name.clone(),
        sequence,
        previous,
        charter: survey.catalog.charters().newest().digest(),
        created: Timestamp::from_unix_ms(clock::now_ms()),
        data_shards: entry.data_shards,
        placement: entry.placement.clone(),
        stripes_added: change.added,
        stripes_dropped: change.dropped,
        custody,
        sealed_root,
        suspicions,
    };
    let sealed_shares = seal_shares(survey, &manifest, &shares)?;
    drop(shares);
    manifest.custody.share_digests = sealed_shares.iter().map(|(_site, sealed)| Digest::of(sealed)).collect();
    let signed = Signed::sign_new(manifest, &context.writer).map_err(seal_error)?;
    let shares = sealed_shares.into_iter().map(|(site, sealed)| (site, ByteBuf::from(sealed))).collect();
    Ok(SealedSnapshot { manifest: signed.encode().into(), shares, before: Vec::new() })
}

fn next_place(survey: &Survey, entry: &Database) -> (u64, Option<Digest>) {
    let head = survey.catalog.history(&entry.name).and_then(|history| history.head());
    head.map_or((1, None), |head| (head.document().sequence + 1, Some(head.digest())))
}

fn seal_shares(
    survey: &Survey,
    manifest: &Manifest,
    shares: &[Share],
) -> Result<Vec<(SiteName, Vec<u8>)>, BackupError> {
    let charter = survey.catalog.charter();
    let seal_one = |(name, share): (&SiteName, &Share)| {
        let site = charter.site(name).ok_or_else(|| BackupError::Seal(format!("no site {name}")))?;
        let key = SealingPublicKey::from_bytes(&site.sealing_key).map_err(seal_error)?;
        let context = share_context(manifest, manifest.custody.epoch, name);
        let sealed = share.to_bytes().expose(|bytes| seal_to(&key, &context, bytes, &mut entropy::rng()));
        Ok((name.clone(), sealed.map_err(seal_error)?))
    };
    manifest.custody.custodians.iter().zip(shares).map(seal_one).collect()
}
