//! A site of the tests' own making: it has the key of a real one, keeps shards, and says what the test wants.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use node::network::frame::{FrameError, read_body, read_frame, write_body, write_frame};
use node::network::{Mesh, MeshOptions};
use protocol::identifier::DatabaseName;
use protocol::limits::FRAME_BYTES_MAX;
use protocol::wire::summary::{Part, Summary};
use protocol::wire::{Refusal, RefusalCode, Request, Response};
use shard_codec::Digest;

use super::harness::State;

type Answer = Box<dyn Fn(&Request) -> Option<Response> + Send + Sync>;

/// Runs until it is dropped.
pub(crate) struct Pretender {
    _runtime: tokio::runtime::Runtime,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Answer,
    shards: Mutex<BTreeMap<Digest, Vec<u8>>>,
    asked: Mutex<Vec<Request>>,
}

impl State {
    /// Takes the place of a site that does not run. What `answer` leaves alone is answered as by a site that knows
    /// nothing and takes every shard.
    pub(crate) fn pretend(
        &self,
        index: usize,
        answer: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static,
    ) -> Pretender {
        let site = &self.sites[index];
        let key = self.keypair("site", &format!("{}/site.key", site.name));
        let options = MeshOptions { listen: vec![format!("/ip4/127.0.0.1/tcp/{}", site.port)] };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (mesh, _events) = runtime.block_on(Mesh::start(&key, &options)).unwrap();
        let (shards, asked) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { answer: Box::new(answer), shards, asked });
        let serving = shared.clone();
        runtime.spawn(async move {
            let mut incoming = mesh.accept().unwrap();
            while let Some((_peer, stream)) = incoming.next().await {
                tokio::spawn(serve(stream, serving.clone()));
            }
        });
        Pretender { _runtime: runtime, shared }
    }
}

impl Pretender {
    /// How often it was asked something of this kind.
    pub(crate) fn count(&self, is_it: impl Fn(&Request) -> bool) -> usize {
        self.shared.asked.lock().unwrap().iter().filter(|request| is_it(request)).count()
    }
}

async fn serve(mut stream: libp2p::Stream, shared: Arc<Shared>) -> Result<(), FrameError> {
    loop {
        let request: Request = read_frame(&mut stream, FRAME_BYTES_MAX, Duration::from_secs(600)).await?;
        if let Request::PutShard { root, bytes, .. } = &request {
            let body = read_body(&mut stream, *bytes as usize, Vec::new()).await?;
            shared.shards.lock().unwrap().insert(*root, body);
        }
        let answer = (shared.answer)(&request).unwrap_or_else(|| shared.usual(&request));
        write_frame(&mut stream, &answer).await?;
        if let (Request::Shard { root }, Response::Body { .. }) = (&request, &answer) {
            let shard = shared.shards.lock().unwrap()[root].clone();
            write_body(&mut stream, &shard).await?;
        }
        shared.asked.lock().unwrap().push(request);
    }
}

/// Says that everything is different: whoever asks goes on to ask for all of it.
fn other_summary(database: Option<&DatabaseName>) -> Summary {
    let parts = match database {
        None => vec![Part::Charters, Part::Database("land-register".parse().unwrap()), Part::Releases],
        Some(name) => vec![Part::Manifests(name.clone()), Part::Forks(name.clone()), Part::Receipts(name.clone())],
    };
    parts.into_iter().map(|part| (part, Digest::of(b"of another opinion"))).collect()
}

impl Shared {
    fn usual(&self, request: &Request) -> Response {
        match request {
            Request::Charters { .. }
            | Request::Manifests { .. }
            | Request::Receipts { .. }
            | Request::ReceiptsOf { .. }
            | Request::Forks { .. } => Response::Documents(Vec::new()),
            Request::Summary { database, .. } => Response::Summary(other_summary(database.as_ref())),
            Request::ReceiptSpans { .. } | Request::ReceiptSpan { .. } => Response::Digests(vec![Digest::of(b"?")]),
            Request::Head { .. } => Response::Head(None),
            Request::ReleaseLog { .. } => Response::Announcements(Vec::new()),
            Request::MissingShards { roots } => {
                let shards = self.shards.lock().unwrap();
                Response::Missing(roots.iter().filter(|root| !shards.contains_key(*root)).copied().collect())
            }
            Request::PutShard { .. } | Request::Announce(_) | Request::PresentOrder { .. } => Response::Done,
            Request::Shard { root } => match self.shards.lock().unwrap().get(root) {
                Some(shard) => Response::Body { bytes: shard.len() as u64 },
                None => Response::Refused(Refusal::new(RefusalCode::NotFound, "not here")),
            },
            _ => Response::Refused(Refusal::new(RefusalCode::Internal, "a site of the tests does not do this")),
        }
    }
}
