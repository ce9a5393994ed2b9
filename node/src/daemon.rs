//! A running site: the machines of `protocol` on real disks and sockets.
//!
//! [`driver`] owns the machines and carries out their outputs on one thread, persisting before anything is sent.
//! `server` answers peers; `spread` brings announcements to the other sites and asks them for what was missed; `work`
//! does what the machines want done beside their loop: audits of others, and repairs (`mend`); `scrub` reads the store
//! through again and again.
//! Bulk bytes go from stream to [`crate::shard_store`] and back without touching a machine.

pub mod driver;
mod help;
mod http;
pub mod inspect;
#[cfg(feature = "test-hooks")]
mod lie;
mod mend;
mod scrub;
mod server;
mod spread;
mod strangers;
mod watch;
mod work;

use std::path::Path;
use std::sync::Arc;

use protocol::document::CharterChain;
use protocol::host::{Input, Pace};
use protocol::machine::{Announcement, SiteKeys};

use crate::clock;
use crate::heard::Heard;
use crate::network::{Mesh, MeshError, MeshOptions};
use crate::shard_store::{OpenReport, ScrubOptions, ScrubProgress, ShardStore, StoreOptions};
use crate::status::Expectations;
use driver::{Driver, DriverError};
pub use http::SOCKET as STATUS_SOCKET;
#[cfg(feature = "test-hooks")]
pub use lie::Lie;

/// Between two times that a site tells what it was given by hand.
const VETOES_AGAIN: std::time::Duration = std::time::Duration::from_secs(60);

/// Why a site does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The network.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// The machines' state.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The shard store.
    #[error(transparent)]
    Store(#[from] crate::shard_store::OpenError),
    /// The status cannot be served.
    #[error(
        "the status cannot be served: {0}; is the address of --http free, and may files be made in the site's folder?"
    )]
    Http(std::io::Error),
    /// The charter has no place for this site.
    #[error("site {name} is not an active site of charter version {version}: {hint}")]
    NotInCharter {
        /// This site.
        name: String,
        /// The newest version known here.
        version: u64,
        /// What to do.
        hint: &'static str,
    },
}

/// How a site runs.
#[derive(Clone, Debug, Default)]
pub struct SiteOptions {
    /// Multiaddrs to listen on; the charter's addresses if empty.
    pub listen: Vec<String>,
    /// Bounds of the shard store.
    pub store: StoreOptions,
    /// How often it audits, how fast it repairs.
    pub pace: Pace,
    /// How the site reads its store through.
    pub scrub: ScrubOptions,
    /// Where the status is served besides the socket in the site's folder.
    pub http: Option<std::net::SocketAddr>,
    /// How fresh the databases must be.
    pub expectations: Expectations,
    /// Vetoes of officials, as they came by hand.
    pub vetoes: Vec<Vec<u8>>,
    /// What the site does wrong, on purpose.
    #[cfg(feature = "test-hooks")]
    pub lie: Option<Lie>,
}

/// Vetoes that came by hand are told again and again: the charter that one names may still be on its way.
async fn bring(driver: Driver, vetoes: Vec<Vec<u8>>) {
    loop {
        for veto in &vetoes {
            driver.tell(Input::announced(None, Announcement::Veto(veto.clone().into()))).await;
        }
        tokio::time::sleep(VETOES_AGAIN).await;
    }
}

/// A site that runs until it is dropped.
pub struct Site {
    /// Its machines.
    pub driver: Driver,
    /// What the store found when it was opened.
    pub store_report: OpenReport,
    mesh: Mesh,
    store: ShardStore,
    tasks: tokio::task::JoinSet<()>,
}

impl Site {
    /// Opens the state in `dir`, joins the mesh and serves.
    ///
    /// # Errors
    /// As [`StartError`].
    pub async fn start(
        dir: &Path,
        charters: CharterChain,
        keys: SiteKeys,
        options: SiteOptions,
    ) -> Result<Self, StartError> {
        let (name, identity) = (keys.name.clone(), keys.identity.public());
        let (store, store_report) = ShardStore::open_with(&dir.join("store"), options.store.clone())?;
        let mesh_keys = Arc::new(keys);
        let state_path = dir.join("state.redb");
        let (driver, outlets) = Driver::start(&state_path, charters, mesh_keys.clone(), store.clone(), options.pace)?;
        let listen = driver.read(|machines| {
            let charter = machines.catalog.charter();
            let entry = charter.active_site_by_identity(identity).filter(|site| site.name == name);
            entry.map(|site| site.addresses.clone()).ok_or_else(|| StartError::NotInCharter {
                name: name.to_string(),
                version: charter.version,
                hint: "ask the officials for a charter that admits it, or for a new one if it was expelled",
            })
        })?;
        let listen = if options.listen.is_empty() { listen } else { options.listen.clone() };
        let (mesh, events) = Mesh::start(&mesh_keys.identity, &MeshOptions { listen }).await?;
        let server = server::Server::new(driver.clone(), store.clone(), &mesh_keys, &options);
        let (heard, me) = (Heard::default(), name.clone());
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(strangers::guard(driver.clone(), mesh.clone(), events));
        tasks.spawn(server.run(mesh.accept()?));
        tasks.spawn(spread::run(driver.clone(), mesh.clone(), name, outlets.announcements, heard.clone()));
        tasks.spawn(work::run(driver.clone(), mesh.clone(), store.clone(), mesh_keys, outlets.work));
        tasks.spawn(bring(driver.clone(), options.vetoes));
        tasks.spawn(driver.clone().keep_time());
        let watcher = http::Watcher {
            driver: driver.clone(),
            store: store.clone(),
            me,
            heard,
            expectations: Arc::new(options.expectations),
            started_ms: clock::now_ms(),
        };
        tasks.spawn(watch::run(watcher.clone()));
        tasks.spawn(http::serve(watcher, dir, options.http).await.map_err(StartError::Http)?);
        let teller = driver.clone();
        let found = move |shard, verification| scrub::report(&teller, &shard, verification);
        tasks.spawn(scrub::run(store.clone(), options.scrub, scrub::START_AFTER, found));
        Ok(Self { driver, store_report, mesh, store, tasks })
    }

    /// The mesh it is on.
    #[must_use]
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// How far the site is with reading its store through, and what it found.
    #[must_use]
    pub fn scrub_progress(&self) -> ScrubProgress {
        self.store.scrub_progress()
    }

    /// Waits until a task of the site fails; none does while all is well.
    pub async fn failed(&mut self) {
        // Tasks run for ever: the first that ends, ends the site.
        let _ended = self.tasks.join_next().await;
    }
}
