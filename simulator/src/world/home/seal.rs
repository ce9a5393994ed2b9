//! Dealing the snapshot key, sealing the root, signing the manifest. The key lives only in here.

use std::collections::BTreeMap;

use protocol::catalog::publish::share_context;
use protocol::contents::root_context;
use protocol::document::{Custody, Database, LiveStripes, Manifest, Suspicion};
use protocol::identifier::SiteName;
use protocol::signature::{Keypair, Signed};
use serde_bytes::ByteBuf;
use shard_codec::sealing::seal_root;
use shard_codec::secret_sharing::{Share, deal};
use shard_codec::share_sealing::seal_to;
use shard_codec::{Digest, SealingPublicKey, SnapshotSecret};

use super::Home;
use crate::world::client::survey::Survey;
use crate::world::random::Stream;
use crate::world::workload::Packed;

/// A signed manifest and each custodian's sealed share: all that publishing needs, and nothing that opens anything.
#[derive(Clone, Debug)]
pub(in crate::world) struct SealedSnapshot {
    pub(super) manifest: Signed<Manifest>,
    pub(super) shares: BTreeMap<SiteName, ByteBuf>,
    /// The manifests before it that were not durable when it was signed, oldest first.
    pub(super) before: Vec<Vec<u8>>,
}

impl SealedSnapshot {
    pub(super) fn sequence(&self) -> u64 {
        self.manifest.document().sequence
    }

    pub(super) fn digest(&self) -> Digest {
        self.manifest.digest()
    }

    pub(super) fn charter(&self) -> Digest {
        self.manifest.document().charter
    }
}

/// The shares of one snapshot that have not reached their sites.
#[derive(Clone, Debug)]
pub(in crate::world) struct Waiting {
    pub(super) manifest: Digest,
    pub(super) shares: BTreeMap<SiteName, ByteBuf>,
}

impl Waiting {
    pub(super) fn of(snapshot: &SealedSnapshot) -> Self {
        Self { manifest: snapshot.digest(), shares: snapshot.shares.clone() }
    }
}

/// Makes the next manifest. When this returns, the snapshot key exists only as sealed shares.
pub(super) fn seal(
    home: &Home,
    survey: &Survey,
    entry: &Database,
    writer: &Keypair,
    live: &LiveStripes,
    packed: Packed,
) -> Result<SealedSnapshot, String> {
    let head = survey.catalog.history(&entry.name).and_then(|history| history.head());
    let (sequence, previous) = head.map_or((1, None), |head| (head.document().sequence + 1, Some(head.digest())));
    let dropped =
        live.iter().map(|live| live.stripe.number).filter(|number| !packed.referenced.contains(number)).collect();
    let disk = home.disk.borrow();
    let is_suspicious = disk.databases.get(&entry.name).is_some_and(|home| home.suspicious.contains(&sequence));
    drop(disk);
    let mut manifest = Manifest {
        state: survey.catalog.state(),
        database: entry.name.clone(),
        sequence,
        previous,
        charter: survey.catalog.charters().newest().digest(),
        created: home.clock.read(home.port.now()),
        data_shards: entry.data_shards,
        placement: entry.placement.clone(),
        stripes_added: packed.stripe.into_iter().map(|(stripe, _encoded)| stripe).collect(),
        stripes_dropped: dropped,
        custody: Custody {
            epoch: 1,
            threshold: entry.threshold,
            custodians: entry.custodians.clone(),
            commitments: Vec::new(),
            share_digests: Vec::new(),
        },
        sealed_root: Vec::new(),
        suspicions: if is_suspicious { vec![Suspicion::Entropy] } else { Vec::new() },
    };
    let mut disk = home.disk.borrow_mut();
    let shares = deal_and_seal(survey, &mut manifest, &packed.root.encode(), &mut disk.stream)?;
    let manifest = Signed::sign_new(manifest, writer).map_err(|error| error.to_string())?;
    Ok(SealedSnapshot { manifest, shares, before: Vec::new() })
}

/// Puts a fresh key's commitments, its sealed root and the digests of its sealed shares into `manifest`.
pub(in crate::world) fn deal_and_seal(
    survey: &Survey,
    manifest: &mut Manifest,
    root: &[u8],
    stream: &mut Stream,
) -> Result<BTreeMap<SiteName, ByteBuf>, String> {
    let secret = SnapshotSecret::random(stream.crypto());
    let (threshold, count) = (usize::from(manifest.custody.threshold), manifest.custody.custodians.len());
    let (shares, commitments) = deal(&secret, threshold, count, stream.crypto()).map_err(|error| error.to_string())?;
    let place = root_context(&manifest.state, &manifest.database, manifest.sequence);
    manifest.sealed_root =
        seal_root(&secret.snapshot_key(&place), &place, root, stream.crypto()).map_err(|error| error.to_string())?;
    manifest.custody.commitments = commitments.to_bytes().concat();
    let sealed = seal_shares(survey, manifest, &shares, stream)?;
    manifest.custody.share_digests = sealed.iter().map(|(_site, sealed)| Digest::of(sealed)).collect();
    Ok(sealed.into_iter().map(|(site, sealed)| (site, ByteBuf::from(sealed))).collect())
}

fn seal_shares(
    survey: &Survey,
    manifest: &Manifest,
    shares: &[Share],
    stream: &mut Stream,
) -> Result<Vec<(SiteName, Vec<u8>)>, String> {
    let charter = survey.catalog.charter();
    let seal_one = |(name, share): (&SiteName, &Share)| {
        let site = charter.site(name).ok_or_else(|| format!("no site {name}"))?;
        let key = SealingPublicKey::from_bytes(&site.sealing_key).map_err(|error| error.to_string())?;
        let context = share_context(manifest, manifest.custody.epoch, name);
        let sealed = share.to_bytes().expose(|bytes| seal_to(&key, &context, bytes, stream.crypto()));
        Ok((name.clone(), sealed.map_err(|error| error.to_string())?))
    };
    manifest.custody.custodians.iter().zip(shares).map(seal_one).collect()
}
