//! What tests are made of: a state of five officials (quorum 3) and seven sites, snapshots with real dealings and
//! sealed shares, and a host that carries out what the machines say. Everything follows from one seed.

#![allow(dead_code, reason = "each test binary that includes this file uses another part of it")]

use std::collections::BTreeSet;

use protocol::catalog;
use protocol::catalog::publish::share_context;
use protocol::document::{
    Alliance, Charter, CharterChain, Custody, Database, Manifest, Official, Purpose, ReleaseOrder, Roles, Selector,
    Site, SiteKind, SiteState, Stripe,
};
use protocol::host::{Brought, Input, Machines, Pace};
use protocol::identifier::{DatabaseName, SiteName};
use protocol::machine::{Announcement, Output, Record, SiteKeys, Ticket};
use protocol::release;
use protocol::signature::{Keypair, PublicKey, Signed};
use protocol::timestamp::Timestamp;
use protocol::wire::{Refusal, RefusalCode, Response};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use shard_codec::secret_sharing::deal;
use shard_codec::share_sealing::seal_to;
use shard_codec::{Digest, SealingPublicKey, SealingSecretKey, SnapshotSecret};

/// Name and jurisdiction of each site.
pub(crate) const SITES: [(&str, &str); 7] = [
    ("tallinn", "EE"),
    ("luxembourg", "LU"),
    ("helsinki", "FI"),
    ("reykjavik", "IS"),
    ("bern", "CH"),
    ("tokyo", "JP"),
    ("ottawa", "CA"),
];
/// The moment at which tests happen.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_ms(1_795_368_600_000);

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn database() -> DatabaseName {
    name("land-register")
}

pub(crate) fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

/// The keys of everybody, and the charters so far.
pub(crate) struct State {
    pub(crate) officials: Vec<Keypair>,
    pub(crate) sites: Vec<SiteKeys>,
    pub(crate) writer: Keypair,
    pub(crate) recipient: Recipient,
    pub(crate) chain: CharterChain,
    pub(crate) rng: ChaCha20Rng,
}

/// Who opens snapshots under an order.
pub(crate) struct Recipient {
    pub(crate) identity: Keypair,
    pub(crate) sealing: SealingSecretKey,
}

/// A published snapshot as its writer knows it.
pub(crate) struct Snapshot {
    pub(crate) manifest: Signed<Manifest>,
    /// The sealed share of each custodian, in order.
    pub(crate) sealed_shares: Vec<Vec<u8>>,
    pub(crate) secret: SnapshotSecret,
}

impl State {
    /// The state of the standard seed.
    pub(crate) fn new() -> Self {
        Self::founded(|_charter| {})
    }

    /// The same, with its founding charter changed before it is signed.
    pub(crate) fn founded(change: impl FnOnce(&mut Charter)) -> Self {
        let mut rng = rng(7);
        let officials: Vec<Keypair> = (0..5).map(|_| Keypair::generate(&mut rng)).collect();
        let sites: Vec<SiteKeys> = SITES
            .iter()
            .map(|(site, _)| SiteKeys {
                name: name(site),
                identity: Keypair::generate(&mut rng),
                sealing: SealingSecretKey::generate(&mut rng),
            })
            .collect();
        let writer = Keypair::generate(&mut rng);
        let recipient =
            Recipient { identity: Keypair::generate(&mut rng), sealing: SealingSecretKey::generate(&mut rng) };
        let mut charter = founding_charter(&officials, &sites, &writer);
        change(&mut charter);
        let chain = CharterChain::found(sign(charter, &officials[..3]), None).unwrap();
        Self { officials, sites, writer, recipient, chain, rng }
    }

    pub(crate) fn charter(&self) -> &Charter {
        self.chain.charter()
    }

    /// The next version, changed by `change` and not signed.
    pub(crate) fn next_charter(&self, change: impl FnOnce(&mut Charter)) -> Charter {
        let mut next = self.charter().clone();
        next.version += 1;
        next.genesis = Some(self.chain.state());
        next.previous = Some(self.chain.newest().digest());
        change(&mut next);
        next
    }

    /// Adopts the next version, signed by officials 0 to 3.
    pub(crate) fn amend(&mut self, change: impl FnOnce(&mut Charter)) -> Signed<Charter> {
        let next = sign(self.next_charter(change), &self.officials[..4]);
        assert_eq!(self.chain.extend(next.clone()), Ok(true));
        next
    }

    /// A snapshot that follows `previous` and adds `stripe_count` stripes.
    pub(crate) fn snapshot(&mut self, previous: Option<&Signed<Manifest>>, stripe_count: u64) -> Snapshot {
        self.snapshot_with(previous, stripe_count, |_manifest| {})
    }

    /// The same, with the manifest changed before it is signed.
    pub(crate) fn snapshot_with(
        &mut self,
        previous: Option<&Signed<Manifest>>,
        stripe_count: u64,
        change: impl FnOnce(&mut Manifest),
    ) -> Snapshot {
        let charter = self.charter().clone();
        let entry = charter.database(&database()).unwrap();
        let sequence = previous.map_or(1, |previous| previous.document().sequence + 1);
        let (threshold, count) = (usize::from(entry.threshold), entry.custodians.len());
        let secret = SnapshotSecret::random(&mut self.rng);
        let (shares, commitments) = deal(&secret, threshold, count, &mut self.rng).unwrap();
        let mut manifest = Manifest {
            state: self.chain.state(),
            database: database(),
            sequence,
            previous: previous.map(Signed::digest),
            charter: self.chain.newest().digest(),
            created: NOW,
            data_shards: entry.data_shards,
            placement: entry.placement.clone(),
            stripes_added: (0..stripe_count).map(|i| stripe(sequence * 1_000 + i, entry.placement.len())).collect(),
            stripes_dropped: Vec::new(),
            custody: Custody {
                epoch: 1,
                threshold: entry.threshold,
                custodians: entry.custodians.clone(),
                commitments: commitments.to_bytes().concat(),
                share_digests: Vec::new(),
            },
            sealed_root: vec![0xa5; 64],
            suspicions: Vec::new(),
        };
        let mut sealed_shares = Vec::new();
        for (custodian, share) in entry.custodians.iter().zip(&shares) {
            let public = SealingPublicKey::from_bytes(&charter.site(custodian).unwrap().sealing_key).unwrap();
            let context = share_context(&manifest, manifest.custody.epoch, custodian);
            let rng = &mut self.rng;
            sealed_shares.push(share.to_bytes().expose(|bytes| seal_to(&public, &context, bytes, rng).unwrap()));
        }
        manifest.custody.share_digests = sealed_shares.iter().map(|sealed| Digest::of(sealed)).collect();
        change(&mut manifest);
        Snapshot { manifest: Signed::sign_new(manifest, &self.writer).unwrap(), sealed_shares, secret }
    }

    /// An order for the recipient, changed by `change`, signed by the first `signers` officials.
    pub(crate) fn order(&self, signers: usize, change: impl FnOnce(&mut ReleaseOrder)) -> Signed<ReleaseOrder> {
        let mut order = ReleaseOrder {
            state: self.chain.state(),
            nonce: [9; 16],
            databases: vec![database()],
            selector: Selector::Sequence(1),
            recipient: self.recipient.identity.public(),
            recipient_sealing_key: self.recipient.sealing.public().as_bytes().to_vec(),
            purpose: Purpose::Restore,
            reason: "home is occupied".to_owned(),
            not_before: NOW,
            expires: NOW.plus_ms(3_600_000),
        };
        change(&mut order);
        sign(order, &self.officials[..signers])
    }

    /// A running site that knows the charters so far.
    pub(crate) fn site(&self, index: usize) -> RunningSite<'_> {
        RunningSite::new(&self.sites[index], self.chain.clone())
    }
}

/// Signs with every key.
pub(crate) fn sign<T: protocol::document::Document>(document: T, keys: &[Keypair]) -> Signed<T> {
    let mut signed = Signed::draft(document).unwrap();
    keys.iter().for_each(|key| signed.sign(key));
    signed
}

pub(crate) fn stripe(number: u64, total_shards: usize) -> Stripe {
    let root = |shard: usize| *Digest::of(&[number.to_be_bytes(), (shard as u64).to_be_bytes()].concat()).as_bytes();
    Stripe { number, payload_bytes: 100_000, roots: (0..total_shards).flat_map(root).collect() }
}

fn founding_charter(officials: &[Keypair], sites: &[SiteKeys], writer: &Keypair) -> Charter {
    let names: Vec<SiteName> = sites.iter().map(|site| site.name.clone()).collect();
    let site = |(keys, (_, jurisdiction)): (&SiteKeys, &(&str, &str))| Site {
        name: keys.name.clone(),
        kind: if *jurisdiction == "EE" { SiteKind::Home } else { SiteKind::DataCentre },
        jurisdiction: (*jurisdiction).to_owned(),
        owner: None,
        vendor: None,
        network: None,
        roles: Roles { shards: true, shares: true },
        identity: keys.identity.public(),
        sealing_key: keys.sealing.public().as_bytes().to_vec(),
        addresses: vec![format!("/dns/{}.example/tcp/4001", keys.name)],
        state: SiteState::Active,
        succeeds: None,
        agreement: None,
    };
    let official =
        |(index, keys): (usize, &Keypair)| Official { name: format!("official {index}"), key: keys.public() };
    Charter {
        state_name: "Ruritania".to_owned(),
        version: 1,
        genesis: None,
        previous: None,
        drafted: NOW,
        officials: officials.iter().enumerate().map(official).collect(),
        quorum: 3,
        alliances: vec![Alliance {
            name: "Nordic mutual assistance".to_owned(),
            jurisdictions: vec!["FI".to_owned(), "IS".to_owned()],
        }],
        sites: sites.iter().zip(&SITES).map(site).collect(),
        databases: vec![Database {
            name: database(),
            data_shards: 4,
            threshold: 3,
            placement: names.clone(),
            custodians: names,
            writers: vec![writer.public()],
            stripe_bytes: 16 << 20,
            quota_bytes: 1 << 40,
            rpo_seconds: Some(7_200),
            refresh_days: None,
            retention: None,
            quarantine: None,
        }],
    }
}

/// A site as its host runs it: records on a disk, shards in a store.
pub(crate) struct RunningSite<'a> {
    pub(crate) keys: &'a SiteKeys,
    pub(crate) machines: Machines,
    pub(crate) records: Vec<Record>,
    /// Roots that are *not* in the store.
    pub(crate) absent: BTreeSet<Digest>,
    founding: CharterChain,
    tickets: u64,
    rng: ChaCha20Rng,
}

impl<'a> RunningSite<'a> {
    pub(crate) fn new(keys: &'a SiteKeys, founding: CharterChain) -> Self {
        Self {
            keys,
            machines: Machines::new(founding.clone(), Pace::default()),
            records: Vec::new(),
            absent: BTreeSet::new(),
            founding,
            tickets: 0,
            rng: rng(99),
        }
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Gives one input to the catalog and carries out what it says, looking into the store where it asks.
    pub(crate) fn tell(&mut self, input: catalog::Input) -> Vec<Output> {
        let mut outputs = self.handle(NOW, Input::Catalog(input));
        let check = outputs.iter().find_map(|output| {
            if let Output::CheckShards { ticket, roots } = output { Some((*ticket, roots.clone())) } else { None }
        });
        if let Some((ticket, roots)) = check {
            let missing = roots.into_iter().filter(|root| self.absent.contains(root)).collect();
            outputs.extend(self.handle(NOW, Input::Catalog(catalog::Input::ShardsChecked { ticket, missing })));
        }
        self.keep(&outputs);
        outputs
    }

    fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Output> {
        self.machines.handle(now, input, self.keys, &mut self.rng)
    }

    /// Gives one input to the release machine.
    pub(crate) fn ask(&mut self, now: Timestamp, input: release::Input) -> Vec<Output> {
        let outputs = self.handle(now, Input::Release(input));
        self.keep(&outputs);
        outputs
    }

    /// Appends what is to be kept, as a state file does: the same key never gets other bytes.
    fn keep(&mut self, outputs: &[Output]) {
        for output in outputs {
            if let Output::Persist(record) = output {
                let clash = self.records.iter().any(|kept| kept.kind == record.kind && kept.key == record.key);
                assert!(!clash, "{:?} {:02x?} is kept twice", record.kind, record.key);
                self.records.push(record.clone());
            }
        }
    }

    /// The writer publishes `snapshot` here, with the share that belongs here.
    pub(crate) fn publish(&mut self, caller: PublicKey, snapshot: &Snapshot) -> Result<Response, Refusal> {
        let custodians = &snapshot.manifest.document().custody.custodians;
        let position = custodians.iter().position(|custodian| *custodian == self.keys.name);
        let sealed_share = position.map(|position| snapshot.sealed_shares[position].clone());
        answer(&self.publish_bytes(caller, snapshot.manifest.encode(), sealed_share))
    }

    pub(crate) fn publish_bytes(
        &mut self,
        caller: PublicKey,
        manifest: Vec<u8>,
        sealed_share: Option<Vec<u8>>,
    ) -> Vec<Output> {
        let ticket = self.ticket();
        self.tell(catalog::Input::Publish { ticket, caller, manifest, sealed_share })
    }

    /// Somebody spreads a document to this site.
    pub(crate) fn hear(&mut self, announcement: Announcement) -> Result<Response, Refusal> {
        self.take_up(Brought::Document(announcement))
    }

    /// This site's own round brings something.
    pub(crate) fn take_up(&mut self, brought: Brought) -> Result<Response, Refusal> {
        let outputs = match Input::brought(Some(self.ticket()), brought) {
            Input::Catalog(input) => self.tell(input),
            Input::Release(input) => self.ask(NOW, input),
            other @ (Input::Evidence(_)
            | Input::Repair(_)
            | Input::Resharing(_)
            | Input::Retention(_)
            | Input::Answered { .. }
            | Input::Tick) => {
                let outputs = self.handle(NOW, other);
                self.keep(&outputs);
                outputs
            }
        };
        answer(&outputs)
    }

    /// The process dies and starts again with what it kept, in the order in which a state file gives it back.
    pub(crate) fn restart(&mut self) -> Result<(), String> {
        let mut records = self.records.clone();
        records.sort_by(|a, b| (a.kind, &a.key).cmp(&(b.kind, &b.key)));
        self.machines = Machines::new(self.founding.clone(), Pace::default());
        records.iter().try_for_each(|record| self.machines.replay(record))?;
        Ok(())
    }
}

impl std::ops::Deref for RunningSite<'_> {
    type Target = Machines;

    fn deref(&self) -> &Machines {
        &self.machines
    }
}

impl std::ops::DerefMut for RunningSite<'_> {
    fn deref_mut(&mut self) -> &mut Machines {
        &mut self.machines
    }
}

/// What the peer that waits is told. A machine answers a ticket once.
pub(crate) fn answer(outputs: &[Output]) -> Result<Response, Refusal> {
    let mut replies = outputs
        .iter()
        .filter_map(|output| if let Output::Reply(_, reply) = output { Some(reply.as_ref().clone()) } else { None });
    let reply = replies.next().unwrap();
    assert!(replies.next().is_none(), "two replies");
    reply
}

/// Code and text of a refusal.
pub(crate) fn refusal(outputs: &[Output]) -> (RefusalCode, String) {
    let refusal = answer(outputs).unwrap_err();
    (refusal.code, refusal.message)
}

/// The kinds of outputs, in order, one word each.
pub(crate) fn kinds(outputs: &[Output]) -> Vec<String> {
    let kind = |output: &Output| match output {
        Output::Persist(record) => format!("persist {:?}", record.kind).to_lowercase(),
        Output::CheckShards { .. } => "check".to_owned(),
        Output::Announce(announcement) => {
            let text = format!("{announcement:?}");
            format!("announce {}", text.split('(').next().unwrap_or_default()).to_lowercase()
        }
        Output::Reply(_, reply) => if reply.is_ok() { "reply" } else { "refuse" }.to_owned(),
        Output::Report(_) => "report".to_owned(),
        Output::Sweep { .. } => "sweep".to_owned(),
        Output::ListShards { .. } => "list".to_owned(),
        Output::Collect { .. } => "collect".to_owned(),
        Output::Ask { .. } => "ask".to_owned(),
        Output::Repair(_) => "repair".to_owned(),
    };
    outputs.iter().map(kind).collect()
}
