//! Sites whose operators lie. Thieves of writer keys and captured officials act through the same messages as everybody
//! else; what they do is in [`super::enemy`].

use protocol::catalog::Catalog;
use protocol::document::{Inventory, Manifest, Receipt, Said, Vote};
use protocol::host::Machines;
use protocol::identifier::DatabaseName;
use protocol::machine::{Announcement, RecordKind, SiteKeys};
use protocol::number_set::NumberSet;
use protocol::signature::Signed;
use protocol::wire::resharing::Answer;
use protocol::wire::{Request, Response};
use serde_bytes::ByteBuf;
use shard_codec::Digest;

use super::config::Lie;
use super::sim_disk::{Bytes, Disk};
use super::trace::NodeId;
use super::virtual_clock::{Clock, Time};

/// Documents kept for sending again at the most.
const HEARD_MAX: usize = 16;

/// A site that lies.
#[derive(Clone, Debug)]
pub struct Liar {
    /// How.
    pub lie: Lie,
    /// It behaves well again from then on, and is trusted no more.
    pub until: Time,
    /// What it was told, to be sent again.
    pub heard: Vec<Announcement>,
}

impl Liar {
    fn lies(&self, now: Time, lie: Lie) -> bool {
        self.lie == lie && now < self.until
    }

    /// Whether it leaves a request without an answer.
    #[must_use]
    pub fn withholds(&self, now: Time) -> bool {
        self.lies(now, Lie::Withhold)
    }

    /// Whether it throws shards away.
    #[must_use]
    pub fn discards(&self, now: Time) -> bool {
        self.hides(now)
    }

    /// Whether it says that it holds what it has thrown away.
    #[must_use]
    pub fn hides(&self, now: Time) -> bool {
        self.lies(now, Lie::FalseReceipts) || self.freeloads(now)
    }

    /// Whether it answers audits with what it fetches from others.
    #[must_use]
    pub fn freeloads(&self, now: Time) -> bool {
        self.lies(now, Lie::Freeload)
    }

    /// Whether it denies what it holds.
    #[must_use]
    pub fn denies(&self, now: Time) -> bool {
        self.lies(now, Lie::FalseMissing)
    }

    /// Keeps what it may send again when it is old.
    pub fn hears(&mut self, announcement: &Announcement) {
        let gets_old = matches!(announcement, Announcement::Inventory(_) | Announcement::AuditReport(_));
        if self.lie == Lie::Replay && gets_old && self.heard.len() < HEARD_MAX {
            self.heard.push(announcement.clone());
        }
    }

    /// What it shows instead of the truth.
    #[must_use]
    pub fn shows(&self, now: Time, to: NodeId, machines: &Machines, request: &Request) -> Option<Response> {
        if self.lies(now, Lie::FalseMissing)
            && let Request::MissingShards { roots } = request
        {
            return Some(Response::Missing(roots.clone()));
        }
        if !self.lies(now, Lie::Equivocate) || to.0.is_multiple_of(2) {
            return None;
        }
        // Whoever asks must not think that it knows the same.
        if let Request::Summary { database, .. } = request {
            let mut parts = machines.summary(database.as_ref());
            parts.iter_mut().for_each(|(_part, digest)| *digest = Digest::of(digest.as_bytes()));
            return Some(Response::Summary(parts));
        }
        let first =
            |database: &DatabaseName| machines.catalog.history(database).and_then(|history| history.manifest(1));
        if let Request::Head { database } = request {
            return Some(Response::Head(first(database).map(|first: &Signed<Manifest>| (1, first.digest()))));
        }
        if let Request::Receipts { .. } | Request::ReceiptsOf { .. } | Request::Forks { .. } = request {
            return Some(Response::Documents(Vec::new()));
        }
        None
    }

    /// A shard as it serves it.
    #[must_use]
    pub fn alter(&self, now: Time, bytes: Bytes) -> Bytes {
        if !self.lies(now, Lie::WrongBytes) {
            return bytes;
        }
        let mut altered = bytes.to_vec();
        if let Some(byte) = altered.first_mut() {
            *byte ^= 1;
        }
        altered.into()
    }

    /// An answer as it gives it.
    pub fn answers(&mut self, keys: &SiteKeys, catalog: &Catalog, disk: &mut Disk, response: Response) -> Response {
        match (self.lie, response) {
            (Lie::WrongBytes, Response::Share { index, mut sealed }) => {
                if let Some(byte) = sealed.last_mut() {
                    *byte ^= 1;
                }
                Response::Share { index, sealed }
            }
            (Lie::WrongBytes, Response::BlindedShares { mut sealed }) => {
                if let Some(byte) = sealed.last_mut() {
                    *byte ^= 1;
                }
                Response::BlindedShares { sealed }
            }
            (Lie::WrongBytes, Response::Reshared(Answer::Part(mut sealed))) => {
                if let Some(byte) = sealed.last_mut() {
                    *byte ^= 1;
                }
                Response::Reshared(Answer::Part(sealed))
            }
            (Lie::Equivocate, Response::Reshared(Answer::Promised { vote, .. })) => {
                let vote = forget_lock(keys, &vote).unwrap_or(vote);
                Response::Reshared(Answer::Promised { vote, lock: None })
            }
            (Lie::FalseMissing, Response::Published { missing, .. }) => Response::Published { receipt: None, missing },
            (Lie::FalseReceipts, Response::Published { receipt, missing }) => {
                disk.discard_all_shards();
                let newest = catalog.histories().filter_map(|(_name, history)| history.head()).last();
                let receipt = newest.and_then(|head| promise_all(keys, head)).map(Into::into).or(receipt);
                Response::Published { receipt, missing }
            }
            (_, response) => response,
        }
    }

    /// What it sends around again and again: old documents, the oldest first, or made-up ones.
    #[must_use]
    pub fn replays(&self, now: Time, keys: &SiteKeys, disk: &Disk) -> Vec<Announcement> {
        if self.lies(now, Lie::LetGo) {
            return disk.records(RecordKind::Inventory).filter_map(|(_key, bytes)| let_all_go(keys, bytes)).collect();
        }
        if !self.lies(now, Lie::Replay) {
            return Vec::new();
        }
        let first = |kind| disk.records(kind).next().map(|(_key, value)| value.to_vec().into());
        let run = first(RecordKind::Manifest).map(|manifest| Announcement::Manifests(vec![manifest]));
        let others = [
            first(RecordKind::Charter).map(Announcement::Charter),
            first(RecordKind::Receipt).map(Announcement::Receipt),
            first(RecordKind::Order).map(Announcement::Order),
            first(RecordKind::Notice).map(Announcement::Notice),
        ];
        run.into_iter().chain(others.into_iter().flatten()).chain(self.heard.iter().cloned()).collect()
    }
}

/// A promise that says nothing of what was confirmed before.
fn forget_lock(keys: &SiteKeys, vote: &[u8]) -> Option<ByteBuf> {
    let mut vote = Signed::<Vote>::decode(vote).ok()?.document().clone();
    vote.said = Said::Promised { locked: None };
    Some(Signed::sign_new(vote, &keys.identity).ok()?.encode().into())
}

/// This site's inventory of a database, if it is one, that says that everything may go.
fn let_all_go(keys: &SiteKeys, bytes: &[u8]) -> Option<Announcement> {
    let mut said = Signed::<Inventory>::decode(bytes).ok()?.document().clone();
    if said.site != keys.name {
        return None;
    }
    let all = NumberSet::of_run(1, 1_000_000);
    (said.expired, said.let_go, said.at) = (all.clone(), all, said.at.plus_ms(1));
    Some(Announcement::Inventory(Signed::sign_new(said, &keys.identity).ok()?.encode().into()))
}

/// A receipt for everything, whatever is there.
fn promise_all(keys: &SiteKeys, head: &Signed<Manifest>) -> Option<Vec<u8>> {
    let manifest = head.document();
    let receipt = Receipt {
        state: manifest.state,
        database: manifest.database.clone(),
        sequence: manifest.sequence,
        manifest: head.digest(),
        site: keys.name.clone(),
        holds_shards: true,
        holds_share: true,
        at: Clock::default().read(Time::default()),
    };
    Signed::sign_new(receipt, &keys.identity).ok().map(|signed| signed.encode())
}
