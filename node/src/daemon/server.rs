//! Answering peers. Every stream is a task; every request is identified, allowed, bounded and answered in turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use protocol::catalog;
use protocol::evidence::ShardName;
use protocol::host::Input;
use protocol::host::answer::answer;
use protocol::identifier::{DatabaseName, SiteName};
use protocol::limits::{FRAME_BYTES_MAX, PAGE_ENTRIES_MAX, STRANGER_FRAME_BYTES_MAX};
use protocol::machine::{Announcement, SiteKeys};
use protocol::release;
use protocol::resharing;
use protocol::signature::PublicKey;
use protocol::wire::access::{self, Caller};
use protocol::wire::{Refusal, RefusalCode, Request, Response};
use serde_bytes::ByteBuf;
use shard_codec::limits::{SHARD_ALIGN_BYTES, STRIPE_BYTES_MAX};
use shard_codec::{Digest, ShardIndex};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};

use super::SiteOptions;
use super::driver::Driver;
use super::strangers::STRANGER_STAY;
use crate::buffers::{Buffer, BufferPool};
use crate::network::frame::{self, FrameError};
use crate::network::identity::public_key;
use crate::shard_store::{Put, PutError, PutRequest, ReadError, ShardStore};

/// Streams served at once; a peer that opens more waits.
const STREAMS_MAX: usize = 512;
/// Shards in memory at once, read or written.
const SHARDS_IN_MEMORY_MAX: usize = 12;
/// Bytes of shard buffers that are kept for the next shards.
const KEPT_BYTES_MAX: usize = 48 << 20;
/// Streams of one peer,
const STREAMS_PER_PEER_MAX: usize = 24;
/// and of one that is not in the charter.
const STREAMS_PER_STRANGER_MAX: usize = 2;
/// Shards of one peer in memory at once.
const SHARDS_PER_PEER_MAX: usize = 4;
/// One request is answered within this time or not at all.
const ANSWER_LIMIT: Duration = Duration::from_secs(600);
/// A stream without a request for this long is closed.
const IDLE: Duration = Duration::from_secs(600);

/// What a request needs.
pub(super) struct Server {
    pub(super) driver: Driver,
    store: ShardStore,
    pub(super) keys: Arc<SiteKeys>,
    me: Option<SiteName>,
    pub(super) shards: Semaphore,
    bodies: BufferPool,
    peers: Mutex<BTreeMap<PublicKey, Arc<Peer>>>,
    #[cfg(feature = "test-hooks")]
    lie: Option<super::Lie>,
}

/// What all streams of one peer share.
struct Peer {
    shards: Semaphore,
}

impl Server {
    pub(super) fn new(driver: Driver, store: ShardStore, keys: &Arc<SiteKeys>, _options: &SiteOptions) -> Arc<Self> {
        let identity = keys.identity.public();
        let me = driver.read(|machines| {
            let charter = machines.catalog.charter();
            charter.active_site_by_identity(identity).map(|site| site.name.clone())
        });
        Arc::new(Self {
            driver,
            store,
            keys: keys.clone(),
            me,
            shards: Semaphore::new(SHARDS_IN_MEMORY_MAX),
            bodies: BufferPool::new(KEPT_BYTES_MAX),
            peers: Mutex::new(BTreeMap::new()),
            #[cfg(feature = "test-hooks")]
            lie: _options.lie,
        })
    }

    /// Serves until the mesh stops.
    pub(super) async fn run(self: Arc<Self>, mut incoming: libp2p_stream::IncomingStreams) {
        let mut streams = JoinSet::new();
        while let Some((peer, stream)) = incoming.next().await {
            while streams.len() >= STREAMS_MAX {
                streams.join_next().await;
            }
            while streams.try_join_next().is_some() {}
            // Nothing else is done here: the mesh drops whatever comes before this loop has come back.
            if let Some(caller) = public_key(&peer) {
                streams.spawn(self.clone().admit(caller, stream));
            }
        }
    }

    /// Serves the stream, unless the peer has too many.
    async fn admit(self: Arc<Self>, caller: PublicKey, stream: libp2p::Stream) {
        let is_stranger = self.driver.identify(caller) == Caller::Stranger;
        let streams_max = if is_stranger { STREAMS_PER_STRANGER_MAX } else { STREAMS_PER_PEER_MAX };
        let peer = self.peer(caller);
        // This task holds one handle and every stream another: dropping the stream refuses it.
        if Arc::strong_count(&peer) <= streams_max + 1 {
            self.serve(caller, peer, stream).await;
        }
    }

    /// What one peer shares among its streams; peers without a stream are forgotten.
    fn peer(&self, caller: PublicKey) -> Arc<Peer> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.retain(|_key, peer| Arc::strong_count(peer) > 1);
        peers.entry(caller).or_insert_with(|| Arc::new(Peer { shards: Semaphore::new(SHARDS_PER_PEER_MAX) })).clone()
    }

    async fn serve(self: Arc<Self>, caller: PublicKey, peer: Arc<Peer>, mut stream: libp2p::Stream) {
        if let Err(error) = self.serve_requests(caller, &peer, &mut stream).await {
            match error {
                FrameError::Closed | FrameError::Io(_) => {}
                FrameError::Stalled | FrameError::TooLong { .. } | FrameError::Decode(_) => {
                    tracing::warn!(%caller, %error, "closing the stream");
                }
            }
        }
    }

    async fn serve_requests(
        &self,
        caller: PublicKey,
        peer: &Peer,
        stream: &mut libp2p::Stream,
    ) -> Result<(), FrameError> {
        loop {
            let is_stranger = self.driver.identify(caller) == Caller::Stranger;
            let (bytes_max, idle) =
                if is_stranger { (STRANGER_FRAME_BYTES_MAX, STRANGER_STAY) } else { (FRAME_BYTES_MAX, IDLE) };
            let request: Request = match frame::read_frame(stream, bytes_max, idle).await {
                Ok(request) => request,
                Err(error @ FrameError::Decode(_)) => {
                    // Whatever follows is out of step: say why, and close.
                    let refusal = Refusal::new(RefusalCode::Malformed, &error);
                    frame::write_frame(stream, &Response::Refused(refusal)).await?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            };
            let role = self.driver.identify(caller);
            if !access::allows(&role, &request) {
                let refusal = self.not_allowed(caller, &role);
                tracing::warn!(%refusal, "refused");
                frame::write_frame(stream, &Response::Refused(refusal)).await?;
                if let Request::PutShard { .. } = request {
                    return Ok(()); // its body is not read: the stream would be out of step
                }
                continue;
            }
            let is_bulk = matches!(
                request,
                Request::PutShard { .. }
                    | Request::Shard { .. }
                    | Request::ShardRange { .. }
                    | Request::Columns { .. }
                    | Request::Audit(_)
                    | Request::DealMasks { .. }
                    | Request::BlindShares { .. }
                    | Request::Reshare(_)
            );
            // One peer, however slow, takes only its part of the memory for shards, and not for ever.
            let _permit = if is_bulk { peer.shards.acquire().await.ok() } else { None };
            let answered = tokio::time::timeout(ANSWER_LIMIT, self.answer(caller, request, stream)).await;
            answered.unwrap_or(Err(FrameError::Stalled))?;
        }
    }

    fn not_allowed(&self, caller: PublicKey, role: &Caller) -> Refusal {
        let version = self.driver.read(|machines| machines.catalog.charter().version);
        let why = match role {
            Caller::Stranger => format!(
                "{caller} is neither a site nor a writer of charter version {version}, nor the recipient of a valid \
                 release order"
            ),
            Caller::Site(name) => format!("site {name} may not ask this"),
            Caller::Writer(_) => format!("writer {caller} may not ask this: it is for another database, or for sites"),
            Caller::Recipient(_) => format!("recipient {caller} may not ask this under its release order"),
        };
        Refusal::new(RefusalCode::NotAllowed, why)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "`answer_small` lists all the others")]
    async fn answer(&self, caller: PublicKey, request: Request, stream: &mut libp2p::Stream) -> Result<(), FrameError> {
        let result = match request {
            Request::PutShard { database, stripe_number, shard_index, root, bytes } => {
                let _permit = self.shards.acquire().await;
                // The body is read even if the shard is refused, so that the stream stays in step.
                let body = self.bodies.take().into_bytes();
                let body = self.bodies.adopt(read_shard_body(stream, bytes, body).await?);
                match self.check_placement(&database, shard_index) {
                    Ok(quota_bytes) => {
                        let request = PutRequest {
                            root,
                            bytes: body.len() as u64,
                            database: database.to_string(),
                            quota_bytes,
                            stripe_number,
                            shard_index: ShardIndex::new(shard_index),
                        };
                        self.put_shard(request, body).await.map(|()| Response::Done)
                    }
                    Err(refusal) => Err(refusal),
                }
            }
            Request::Shard { root } => return self.send_shard(root, stream).await,
            Request::ShardRange { root, offset, bytes } => {
                return self.send_range(root, offset, bytes, stream).await;
            }
            Request::Columns { database, stripe_number, shard_index, root, columns } => {
                let shard = ShardName { database, stripe_number, shard_index, root };
                return self.give_columns(caller, shard, columns, stream).await;
            }
            Request::Audit(challenge) => self.answer_audit(challenge).await,
            Request::DealMasks { scope } => self.deal_masks(caller, scope).await,
            Request::BlindShares { masks } => self.blind_shares(caller, masks).await,
            small => self.answer_small(caller, small).await,
        };
        frame::write_frame(stream, &result.unwrap_or_else(Response::Refused)).await
    }

    /// The quota of a database here, if the newest charter known here places such a shard at this site.
    fn check_placement(&self, database: &DatabaseName, shard_index: u8) -> Result<u64, Refusal> {
        let placed = self.driver.read(|machines| {
            let (entry, me) = machines.catalog.charter().database(database).zip(self.me.as_ref())?;
            Some((entry.shard_index_of(me)?, entry.quota_bytes))
        });
        let quota_bytes =
            placed.filter(|(index, _quota_bytes)| index.get() == shard_index).map(|(_index, quota)| quota);
        quota_bytes.ok_or_else(|| {
            let why = format!("the charter does not place shard {shard_index} of {database} at this site");
            Refusal::new(RefusalCode::NotAllowed, why)
        })
    }

    async fn put_shard(&self, request: PutRequest, body: Buffer) -> Result<(), Refusal> {
        let store = self.store.clone();
        let stored = tokio::task::spawn_blocking(move || -> Result<(), PutError> {
            match store.begin(request)? {
                Put::AlreadyStored => Ok(()),
                Put::Writer(mut incoming) => {
                    incoming.write(&body)?;
                    incoming.commit().map(|_stored| ())
                }
            }
        });
        match stored.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a shard was not stored");
                Err(put_refusal(&error))
            }
            Err(error) => Err(Refusal::new(RefusalCode::Internal, error)),
        }
    }

    async fn read_shard(&self, root: Digest) -> Result<Buffer, Refusal> {
        let store = self.store.clone();
        let mut shard = self.bodies.take();
        let read = tokio::task::spawn_blocking(move || store.read_into(&root, &mut shard).map(|()| shard)).await;
        self.served(read).await
    }

    /// The proof of a range of a shard.
    pub(super) async fn prove_range(&self, root: Digest, offset: u64, bytes: u64) -> Result<Buffer, Refusal> {
        let (store, bodies) = (self.store.clone(), self.bodies.clone());
        let prove = move || store.prove_range(&root, offset, bytes).map(|proof| bodies.adopt(proof));
        self.served(tokio::task::spawn_blocking(prove).await).await
    }

    /// What a peer gets of what the store read.
    #[cfg_attr(
        not(feature = "test-hooks"),
        expect(clippy::unused_async, reason = "a site that lies may take its time")
    )]
    async fn served(&self, read: Result<Result<Buffer, ReadError>, JoinError>) -> Result<Buffer, Refusal> {
        let read = read.map_err(|error| Refusal::new(RefusalCode::Internal, error))?;
        let body = read.map_err(|error| {
            let code = match error {
                ReadError::Absent { .. } => RefusalCode::NotFound,
                ReadError::Rotten { .. } => RefusalCode::Corrupt,
                ReadError::Range { .. } => RefusalCode::Malformed,
                ReadError::Io { .. } | ReadError::Index(_) => RefusalCode::Internal,
            };
            Refusal::new(code, error)
        })?;
        #[cfg(feature = "test-hooks")]
        let body = self.lie_about(body).await;
        Ok(body)
    }

    #[cfg(feature = "test-hooks")]
    async fn lie_about(&self, mut shard: Buffer) -> Buffer {
        match self.lie {
            Some(super::Lie::FlipBits) => {
                if let Some(byte) = shard.first_mut() {
                    *byte ^= 1;
                }
            }
            Some(super::Lie::Truncate) => drop(shard.pop()),
            Some(super::Lie::Silent) => std::future::pending().await,
            Some(super::Lie::OldManifest | super::Lie::WrongShare | super::Lie::OtherShare) | None => {}
        }
        shard
    }

    pub(super) async fn send_shard(&self, root: Digest, stream: &mut libp2p::Stream) -> Result<(), FrameError> {
        let _permit = self.shards.acquire().await;
        match self.read_shard(root).await {
            Ok(shard) => send_body(stream, &shard).await,
            Err(refusal) => frame::write_frame(stream, &Response::Refused(refusal)).await,
        }
    }

    pub(super) async fn send_range(
        &self,
        root: Digest,
        offset: u64,
        bytes: u64,
        stream: &mut libp2p::Stream,
    ) -> Result<(), FrameError> {
        let _permit = self.shards.acquire().await;
        match self.prove_range(root, offset, bytes).await {
            Ok(proof) => send_body(stream, &proof).await,
            Err(refusal) => frame::write_frame(stream, &Response::Refused(refusal)).await,
        }
    }

    /// What the machines know, as they would know it again after a restart.
    fn read(&self, request: &Request) -> Option<Response> {
        self.driver.read(|machines| {
            #[cfg(feature = "test-hooks")]
            if self.lie == Some(super::Lie::OldManifest)
                && let Some(lie) = super::lie::old_manifest(machines, request)
            {
                return Some(lie);
            }
            answer(machines, request)
        })
    }

    async fn answer_small(&self, caller: PublicKey, request: Request) -> Result<Response, Refusal> {
        if let Some(response) = self.read(&request) {
            return Ok(response);
        }
        match request {
            Request::MissingShards { roots } => {
                if roots.len() > PAGE_ENTRIES_MAX {
                    return Err(Refusal::new(RefusalCode::Malformed, "too many shards in one question"));
                }
                // A writer counts on what is here; another site has nothing to do with it, and must not keep it from going.
                let is_site = matches!(self.driver.identify(caller), Caller::Site(_));
                let store = self.store.clone();
                let ask = move || if is_site { store.missing(&roots) } else { store.rely_on(&roots) };
                let missing = tokio::task::spawn_blocking(ask).await;
                let missing = missing.map_err(|error| Refusal::new(RefusalCode::Internal, error))?;
                missing.map(Response::Missing).map_err(|error| Refusal::new(RefusalCode::Internal, error))
            }
            Request::Publish { manifest, sealed_share } => {
                let (manifest, sealed_share) = (manifest.into_vec(), sealed_share.map(ByteBuf::into_vec));
                let make =
                    move |ticket| Input::Catalog(catalog::Input::Publish { ticket, caller, manifest, sealed_share });
                self.driver.ask(make).await
            }
            Request::PresentOrder { order } => {
                let order = order.into_vec();
                let make = move |ticket| Input::Release(release::Input::PresentOrder { ticket, caller, order });
                self.driver.ask(make).await
            }
            Request::Share { order, database, sequence } => {
                #[cfg(feature = "test-hooks")]
                let asked = database.clone();
                let make =
                    move |ticket| Input::Release(release::Input::Share { ticket, caller, order, database, sequence });
                let answer = self.driver.ask(make).await;
                #[cfg(feature = "test-hooks")]
                let answer = self.lie_about_share(answer, order, &asked, sequence);
                answer
            }
            Request::Reshare(question) => {
                let caller = self.helped(caller)?;
                let make = move |ticket| Input::Resharing(resharing::Input::Asked { ticket, caller, question });
                self.driver.ask(make).await
            }
            Request::Announce(announcement) => self.take(announcement).await,
            Request::PutShard { .. }
            | Request::Shard { .. }
            | Request::ShardRange { .. }
            | Request::Columns { .. }
            | Request::Audit(_)
            | Request::DealMasks { .. }
            | Request::BlindShares { .. }
            | Request::Evidence { .. }
            | Request::Charters { .. }
            | Request::Head { .. }
            | Request::Manifests { .. }
            | Request::Receipts { .. }
            | Request::Epochs { .. }
            | Request::Forks { .. }
            | Request::ReleaseLog { .. }
            | Request::Summary { .. }
            | Request::ReceiptSpans { .. }
            | Request::ReceiptSpan { .. }
            | Request::ReceiptsOf { .. } => Err(Refusal::new(RefusalCode::Internal, "answered elsewhere")),
        }
    }

    #[cfg(feature = "test-hooks")]
    fn lie_about_share(
        &self,
        answer: Result<Response, Refusal>,
        order: Digest,
        asked: &DatabaseName,
        sequence: u64,
    ) -> Result<Response, Refusal> {
        let Response::Share { index, mut sealed } = answer? else { return Ok(Response::Done) };
        if self.lie == Some(super::Lie::WrongShare)
            && let Some(byte) = sealed.last_mut()
        {
            *byte ^= 1;
        }
        if self.lie == Some(super::Lie::OtherShare) {
            let other =
                self.driver.read(|machines| super::lie::other_share(machines, &self.keys, order, asked, sequence));
            sealed = ByteBuf::from(other.unwrap_or_default());
        }
        Ok(Response::Share { index, sealed })
    }

    async fn take(&self, announcement: Announcement) -> Result<Response, Refusal> {
        self.driver.ask(move |ticket| Input::announced(Some(ticket), announcement)).await
    }
}

async fn read_shard_body(stream: &mut libp2p::Stream, bytes: u32, buffer: Vec<u8>) -> Result<Vec<u8>, FrameError> {
    let max = STRIPE_BYTES_MAX + SHARD_ALIGN_BYTES;
    let actual = usize::try_from(bytes).unwrap_or(usize::MAX);
    if actual > max {
        return Err(FrameError::TooLong { actual, max });
    }
    frame::read_body(stream, actual, buffer).await
}

async fn send_body(stream: &mut libp2p::Stream, body: &[u8]) -> Result<(), FrameError> {
    frame::write_frame(stream, &Response::Body { bytes: body.len() as u64 }).await?;
    frame::write_body(stream, body).await
}

fn put_refusal(error: &PutError) -> Refusal {
    let code = match error {
        PutError::RootMismatch { .. } | PutError::LengthMismatch { .. } => RefusalCode::Corrupt,
        PutError::DiskFull { .. } => RefusalCode::DiskFull,
        PutError::QuotaExceeded { .. } => RefusalCode::Quota,
        PutError::Io { .. } | PutError::Index(_) => RefusalCode::Internal,
    };
    Refusal::new(code, error)
}
