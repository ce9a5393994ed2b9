//! A recipient: presents an order, collects shares, fetches shards, opens the snapshot. The way of the node's restore.

use std::collections::BTreeMap;
use std::rc::Rc;

use protocol::contents::{ContentsRoot, root_context};
use protocol::document::{CharterChain, Custody, LiveStripes, Manifest, Purpose, ReleaseOrder, Selector};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::release::release_context;
use protocol::signature::{Keypair, Signed};
use protocol::wire::{Request, Response};
use shard_codec::sealing::open_root;
use shard_codec::secret_sharing::{reconstruct, verify_share};
use shard_codec::share_sealing::open_sealed;
use shard_codec::{SealingSecretKey, Share, ShareIndex, SnapshotSecret};

use super::client::survey::{Nodes, Survey};
use super::client::{Port, join_all};
use super::fetch;
use super::home::Note;
use super::random::Stream;
use super::trace::NodeId;
use super::virtual_clock::{Clock, Time};
use super::workload::open_all;

/// Orders begin a little before they are signed: clocks are off.
const WINDOW_BEFORE_MS: u64 = 900_000;
/// And end two minutes later.
const WINDOW_AFTER_MS: u64 = 120_000;
/// Pause before a restore that failed is tried again.
const RETRY_MS: u64 = 10_000;
/// Tries before a recipient gives up.
const TRIES: u32 = 6;

/// Who opens snapshots under an order.
#[derive(Debug)]
pub struct Recipient {
    /// The key of its connections.
    pub identity: Keypair,
    /// Shares are sealed to it.
    pub sealing: SealingSecretKey,
}

impl Recipient {
    /// A recipient with fresh keys.
    pub fn new(stream: &mut Stream) -> Self {
        let identity = Keypair::generate(stream.crypto());
        Self { identity, sealing: SealingSecretKey::generate(stream.crypto()) }
    }

    /// An order for this recipient, as officials draft it at `now`.
    pub fn order(
        &self,
        state: shard_codec::Digest,
        database: &DatabaseName,
        selector: Selector,
        now: Time,
        stream: &mut Stream,
    ) -> ReleaseOrder {
        let mut nonce = [0; 16];
        nonce.iter_mut().for_each(|byte| *byte = u8::try_from(stream.below(256)).unwrap_or(0));
        let founding_ms = Clock::default().read(Time::default()).unix_ms();
        let begins_ms = (founding_ms + now.as_ms()).saturating_sub(WINDOW_BEFORE_MS);
        ReleaseOrder {
            state,
            nonce,
            databases: vec![database.clone()],
            selector,
            recipient: self.identity.public(),
            recipient_sealing_key: self.sealing.public().as_bytes().to_vec(),
            purpose: Purpose::Restore,
            reason: "home is occupied".to_owned(),
            not_before: protocol::timestamp::Timestamp::from_unix_ms(begins_ms),
            expires: Clock::default().read(now).plus_ms(WINDOW_AFTER_MS),
        }
    }
}

/// What a restore needs.
#[derive(Debug)]
pub struct Restore {
    /// Who.
    pub recipient: Rc<Recipient>,
    /// Under which order.
    pub order: Signed<ReleaseOrder>,
    /// What.
    pub database: DatabaseName,
    /// The charters the recipient was given.
    pub chain: CharterChain,
    /// Node of every site by name.
    pub nodes: Nodes,
    /// Its end of the world.
    pub port: Port<Note>,
    /// Comes back when the order has expired, and asks once more.
    pub comes_back: bool,
}

/// Restores, and tries again for a while.
pub async fn run(restore: Restore) {
    let restored = restore.run().await;
    if let Some(sequence) = restored.filter(|_sequence| restore.comes_back) {
        restore.port.sleep_ms(WINDOW_AFTER_MS).await;
        restore.ask_too_late(sequence).await;
    }
}

impl Restore {
    /// Tries a few times; returns the snapshot it restored.
    async fn run(&self) -> Option<u64> {
        let begun = self.port.now();
        let mut why = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                self.port.sleep_ms(RETRY_MS).await;
            }
            match self.once().await {
                Ok((manifest, plaintext)) => {
                    let (database, sequence) = (self.database.clone(), manifest.document().sequence);
                    let manifest = manifest.digest();
                    self.port.note(Note::Restored { database, sequence, manifest, plaintext, begun });
                    return Some(sequence);
                }
                Err(error) => why = error,
            }
        }
        self.port.note(Note::RestoreFailed { database: self.database.clone(), why });
        None
    }

    /// The order has expired by every clock that is right.
    async fn ask_too_late(&self, sequence: u64) {
        let (caller, order) = (self.recipient.identity.public(), self.order.digest());
        join_all(self.nodes.values().map(|node| {
            let request = Request::Share { order, database: self.database.clone(), sequence };
            self.port.call(*node, caller, request)
        }))
        .await;
    }

    async fn once(&self) -> Result<(Signed<Manifest>, shard_codec::Digest), String> {
        let caller = self.recipient.identity.public();
        let mut survey = Survey::take(&self.port, caller, self.chain.clone(), &self.nodes, Some(&self.order)).await;
        if survey.links.is_empty() {
            return Err("no site takes the order".to_owned());
        }
        let selector = self.order.document().selector;
        let is_forked = survey.read_history(&self.database).await.is_err();
        let head = survey.head_sequence(&self.database);
        let (newest, oldest) = match selector {
            Selector::Latest if is_forked => return Err("the history is forked".to_owned()),
            Selector::Latest => (head, 1),
            Selector::Sequence(sequence) => (sequence.min(head), sequence),
        };
        let mut why = "no snapshot".to_owned();
        let mut quarantined = survey.catalog.quarantined(&self.database);
        if selector != Selector::Latest {
            quarantined.clear();
        }
        if quarantined.contains_key(&newest) {
            self.port.note(Note::Reached("a suspicious snapshot was passed over"));
        }
        for sequence in (oldest..=newest).rev().filter(|sequence| !quarantined.contains_key(sequence)) {
            let history = survey.catalog.history(&self.database);
            let manifest = history.and_then(|history| history.manifest(sequence)).cloned();
            let manifest = manifest.ok_or("no such snapshot")?;
            survey.read_epochs(&self.database, sequence).await;
            match self.open(&survey, &manifest).await {
                Ok(plaintext) => return Ok((manifest, plaintext)),
                Err(error) => {
                    why = error;
                    self.port.note(Note::Reached("a snapshot was passed over"));
                }
            }
        }
        Err(why)
    }

    async fn open(&self, survey: &Survey, manifest: &Signed<Manifest>) -> Result<shard_codec::Digest, String> {
        let document = manifest.document();
        let secret = self.collect(survey, manifest).await?;
        let place = root_context(&document.state, &document.database, document.sequence);
        let root = open_root(&secret.snapshot_key(&place), &place, &document.sealed_root);
        let root =
            ContentsRoot::decode(&root.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
        let live = live_stripes(survey, document)?;
        let mut payloads = BTreeMap::new();
        for one in live.iter() {
            let caller = self.recipient.identity.public();
            if let Some(payload) =
                fetch::payload(&self.port, caller, &survey.links, one, None, &fetch::Wrong::default()).await
            {
                payloads.insert(one.stripe.number, payload);
            }
        }
        open_all(&root, |number| payloads.remove(&number))
    }

    async fn collect(&self, survey: &Survey, manifest: &Signed<Manifest>) -> Result<SnapshotSecret, String> {
        let document = manifest.document();
        let history = survey.catalog.history(&document.database);
        let custody = history.map_or(&document.custody, |history| history.custody_of(document));
        let holders = custody.holders(survey.catalog.succession());
        let asks = holders.filter_map(|(site, index)| {
            Some(self.ask(manifest, custody, site, survey.links.get(site).copied()?, index))
        });
        let shares: Vec<Share> = join_all(asks).await.into_iter().flatten().collect();
        let threshold = usize::from(custody.threshold);
        if shares.len() < threshold {
            return Err(format!("{} of {threshold} shares", shares.len()));
        }
        reconstruct(threshold, &shares, &custody.commitments()?).map_err(|error| error.to_string())
    }

    /// Asks one site and checks what it gives against the public commitments.
    async fn ask(
        &self,
        manifest: &Signed<Manifest>,
        custody: &Custody,
        site: &SiteName,
        node: NodeId,
        expected: ShareIndex,
    ) -> Option<Share> {
        let document = manifest.document();
        let order = self.order.digest();
        let request = Request::Share { order, database: document.database.clone(), sequence: document.sequence };
        let Ok(Response::Share { sealed, .. }) = self.port.call(node, self.recipient.identity.public(), request).await
        else {
            return None;
        };
        let share = self.check(manifest, custody, site, expected, &sealed);
        if share.is_none() {
            self.port.note(Note::Reached("a wrong share was thrown away"));
        }
        share
    }

    fn check(
        &self,
        manifest: &Signed<Manifest>,
        custody: &Custody,
        site: &SiteName,
        expected: ShareIndex,
        sealed: &[u8],
    ) -> Option<Share> {
        let document = manifest.document();
        let binding = release_context(self.order.digest(), document, site);
        let opened = open_sealed(&self.recipient.sealing, &binding, sealed).ok()?;
        let share = Share::from_bytes(&opened).ok()?;
        let commitments = custody.commitments().ok()?;
        verify_share(&share, expected, usize::from(custody.threshold), &commitments).ok()?;
        Some(share)
    }
}

fn live_stripes(survey: &Survey, manifest: &Manifest) -> Result<LiveStripes, String> {
    let mut live = LiveStripes::default();
    let history = survey.catalog.history(&manifest.database).into_iter();
    let manifests = history.flat_map(|history| history.manifests_from(1)).map(Signed::document);
    manifests
        .take_while(|older| older.sequence <= manifest.sequence)
        .try_for_each(|older| live.apply(older, survey.catalog.succession()))?;
    Ok(live)
}
