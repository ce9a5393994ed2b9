//! A peer of the tests' own making: any key, any request, any bytes.

use std::fs;

use futures::AsyncWriteExt as _;
use node::keystore::{Passphrase, open_key_file};
use node::network::frame::{self, FrameError};
use node::network::{CallError, Link, Mesh, MeshOptions};
use protocol::armor;
use protocol::document::{Charter, CharterChain, Document, Site};
use protocol::limits::FRAME_BYTES_MAX;
use protocol::signature::{Keypair, Signed};
use protocol::wire::{Refusal, Request, Response};
use shard_codec::SecretBytes;

use super::harness::State;

/// Somebody on the mesh who keeps to no rule.
pub(crate) struct Peer {
    pub(crate) runtime: tokio::runtime::Runtime,
    mesh: Mesh,
}

impl Peer {
    pub(crate) fn new(keypair: &Keypair) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (mesh, _events) = runtime.block_on(Mesh::start(keypair, &MeshOptions::default())).unwrap();
        Self { runtime, mesh }
    }

    /// A key that no charter knows.
    pub(crate) fn stranger() -> Self {
        Self::new(&Keypair::generate(&mut node::entropy::rng()))
    }

    /// Asks as the program does; the connection itself must work.
    #[track_caller]
    pub(crate) fn ask(&self, site: &Site, request: &Request) -> Result<Response, Refusal> {
        let answer = self.runtime.block_on(async { Link::new(self.mesh.clone(), site).call(request).await });
        answer.map_err(|error| match error {
            CallError::Refused { refusal, .. } => refusal,
            error => panic!("{error}"),
        })
    }

    /// A stream to write anything on.
    pub(crate) fn stream(&self, site: &Site) -> libp2p::Stream {
        self.runtime.block_on(async {
            let peer = self.mesh.connect(site.identity, &site.addresses).await.unwrap();
            self.mesh.open_stream(peer).await.unwrap()
        })
    }

    /// A new stream that the site answers on, if it takes one more.
    pub(crate) fn hoard(&self, site: &Site) -> Option<libp2p::Stream> {
        self.runtime.block_on(async {
            let peer = self.mesh.connect(site.identity, &site.addresses).await.ok()?;
            let mut stream = self.mesh.open_stream(peer).await.ok()?;
            frame::write_frame(&mut stream, &Request::Charters { from_version: 1 }).await.ok()?;
            let answer = frame::read_frame::<Response>(&mut stream, FRAME_BYTES_MAX, frame::STALL).await;
            answer.ok().map(|_charters| stream)
        })
    }

    /// Sends raw bytes on a new stream and reads what is said to them.
    pub(crate) fn send(&self, site: &Site, bytes: &[u8]) -> Result<Response, FrameError> {
        let mut stream = self.stream(site);
        self.runtime.block_on(async {
            stream.write_all(bytes).await?;
            stream.flush().await?;
            frame::read_frame(&mut stream, FRAME_BYTES_MAX, std::time::Duration::from_secs(10)).await
        })
    }
}

/// One frame around a body.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes()[..], body].concat()
}

impl State {
    /// The charter's chain, from its file.
    pub(crate) fn charters(&self, file: &str) -> CharterChain {
        let text = fs::read_to_string(self.path(file)).unwrap();
        let end = format!("-----END LEGATION {}-----", Charter::KIND.to_uppercase());
        let mut charters = text
            .split_inclusive(&end)
            .filter(|part| part.contains(&end))
            .map(|part| Signed::decode(&armor::dearmor(Charter::KIND, part, 4 << 20).unwrap()).unwrap());
        let mut chain = CharterChain::found(charters.next().unwrap(), None).unwrap();
        charters.for_each(|charter| assert!(chain.extend(charter).unwrap()));
        chain
    }

    /// The sites as the charter has them, in the order of [`State::sites`].
    pub(crate) fn charter_sites(&self) -> Vec<Site> {
        let chain = self.charters("charter.txt");
        self.sites.iter().map(|site| chain.charter().site(&site.name.parse().unwrap()).unwrap().clone()).collect()
    }

    /// The signing key in any of the key files.
    pub(crate) fn keypair(&self, kind: &str, file: &str) -> Keypair {
        let passphrase = Passphrase::from_file(&self.path("passphrase")).unwrap();
        let opened = open_key_file(&self.path(file), kind, &passphrase).unwrap();
        Keypair::from_secret(&SecretBytes::copy_from(&opened.secret[..32]).unwrap())
    }

    pub(crate) fn read_document<T: Document>(&self, file: &str) -> Signed<T> {
        let text = fs::read_to_string(self.path(file)).unwrap();
        Signed::decode(&armor::dearmor(T::KIND, &text, 1 << 20).unwrap()).unwrap()
    }

    pub(crate) fn write_document<T: Document>(&self, file: &str, envelope: &[u8]) {
        fs::write(self.path(file), armor::armor(T::KIND, envelope)).unwrap();
    }

    /// Resident memory of a site's process.
    pub(crate) fn resident_mib(&self, index: usize) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process_id(index))).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
    }
}
