//! Founding a state with the commands that real officials use.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rand::Rng as _;
use serde_json::Value;

use super::plan::{OFFICIALS, Place, Plan, QUORUM};
use super::processes::{Legation, words};
use crate::cli::Failure;
use crate::entropy;

/// The database's name in the charter.
pub(crate) const DATABASE: &str = "land-register";

/// Where everything of the demo lies. Removed at the end unless it is to be kept.
pub(crate) struct Folder {
    root: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl Folder {
    /// A temporary folder, or `keep`, which must be new or empty and stays.
    pub(crate) fn open(keep: Option<&Path>, plan: &Plan) -> Result<Self, Failure> {
        let folder = match keep {
            Some(root) => {
                let occupied = fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some()) || root.is_file();
                if occupied {
                    let why = format!("--keep {}: give a new or an empty folder", root.display());
                    return Err(Failure::usage(why));
                }
                let mut builder = fs::DirBuilder::new();
                let made = builder.recursive(true).mode(0o700).create(root).and_then(|()| fs::canonicalize(root));
                Self { root: made.map_err(|error| Failure::file(root, &error))?, temporary: None }
            }
            None => {
                let parent = std::env::temp_dir();
                let temporary = tempfile::Builder::new().prefix("legation-demo-").tempdir_in(&parent);
                let temporary = temporary.map_err(|error| Failure::file(&parent, &error))?;
                Self { root: temporary.path().to_owned(), temporary: Some(temporary) }
            }
        };
        folder.check_room(plan)?;
        for name in ["logs", "sites", "officials", "register", "witness", "exile"] {
            let path = folder.root.join(name);
            fs::create_dir(&path).map_err(|error| Failure::file(&path, &error))?;
        }
        folder.write_passphrase()?;
        Ok(folder)
    }

    fn check_room(&self, plan: &Plan) -> Result<(), Failure> {
        let room = rustix::fs::statvfs(&self.root).map_err(|error| Failure::file(&self.root, &error.into()))?;
        let (free_mib, needed_mib) = (room.f_bavail.saturating_mul(room.f_frsize) >> 20, plan.room_bytes() >> 20);
        if free_mib >= needed_mib {
            return Ok(());
        }
        let (code, root) = (crate::exit_code::ExitCode::LocalStorage, self.root.display());
        let what = format!("{root}: {free_mib} MiB are free, {needed_mib} MiB are needed");
        Err(Failure::new(code, format!("{what}: give another place with --keep DIR, or a smaller --size-mib")))
    }

    fn write_passphrase(&self) -> Result<(), Failure> {
        let path = self.passphrase_file();
        let mut secret = [0; 24];
        entropy::rng().fill_bytes(&mut secret);
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| writeln!(file, "{}", hex::encode(secret)))
            .map_err(|error| Failure::file(&path, &error))
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The folder itself, if nothing of it is to stay.
    pub(crate) fn temporary(&self) -> Option<PathBuf> {
        self.temporary.as_ref().map(|folder| folder.path().to_owned())
    }

    pub(crate) fn passphrase_file(&self) -> PathBuf {
        self.at("passphrase")
    }

    pub(crate) fn site(&self, name: &str) -> PathBuf {
        self.at("sites").join(name)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.at("home")
    }

    pub(crate) fn charter(&self) -> PathBuf {
        self.at("charter.txt")
    }

    pub(crate) fn official(&self, number: usize) -> PathBuf {
        self.at("officials").join(format!("official-{number}"))
    }
}

/// Ports that nobody uses: all are held at once, then let go.
fn free_ports(count: usize) -> Result<Vec<u16>, Failure> {
    let bind = |_| TcpListener::bind(("127.0.0.1", 0));
    let listeners: Vec<TcpListener> = (0..count).map(bind).collect::<Result<_, _>>().map_err(Failure::unexpected)?;
    let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
    listeners.iter().map(port).collect::<Result<_, _>>().map_err(Failure::unexpected)
}

/// An address on loopback for each site.
pub(crate) fn loopback(count: usize) -> Result<Vec<String>, Failure> {
    Ok(free_ports(count)?.into_iter().map(|port| format!("/ip4/127.0.0.1/tcp/{port}")).collect())
}

/// Keys, sites at these addresses, and a charter with enough signatures.
pub(crate) fn found(plan: &Plan, folder: &Folder, legation: &Legation, addresses: &[String]) -> Result<(), Failure> {
    for (number, name) in OFFICIALS.iter().enumerate() {
        legation.run(&words!["official", "new", "--name", name, "--out", folder.official(number)])?;
    }
    for (place, address) in plan.sites.iter().zip(addresses) {
        init_site(place, address, folder, legation)?;
    }
    legation.run(&words!["home", "init", "--dir", folder.home(), "--name", "Land Board"])?;
    let draft = folder.at("charter-plan.toml");
    fs::write(&draft, charter_plan(plan)).map_err(|error| Failure::file(&draft, &error))?;
    let charter = folder.charter();
    legation.run(&words!["charter", "draft", "--plan", draft, "--out", charter])?;
    for number in 0..QUORUM {
        let key = folder.official(number).with_extension("key");
        legation.run(&words!["charter", "sign", charter, "--key", key])?;
    }
    legation.run(&words!["charter", "verify", charter])?;
    Ok(())
}

/// Makes the keys and the join request of one site.
pub(crate) fn init_site(place: &Place, address: &str, folder: &Folder, legation: &Legation) -> Result<(), Failure> {
    let dir = folder.site(place.name);
    let mut init = words!["site", "init", "--dir", dir, "--name", place.name, "--kind", place.kind].to_vec();
    init.extend(words!["--jurisdiction", place.jurisdiction, "--address", address]);
    legation.run(&init).map(drop)
}

/// Paths are relative to the plan's own folder.
pub(crate) fn charter_plan(plan: &Plan) -> String {
    let custodians: Vec<String> =
        plan.sites.iter().take(plan.custodians).map(|place| format!("\"{}\"", place.name)).collect();
    let officials: Vec<String> = (0..OFFICIALS.len()).map(|i| format!("\"officials/official-{i}.card\"")).collect();
    let sites: Vec<String> =
        plan.sites.iter().map(|place| format!("\"sites/{}/join-request.txt\"", place.name)).collect();
    format!(
        "state = \"Republic of the Demo\"\nquorum = {QUORUM}\nofficials = [{}]\nsites = [{}]\n\n[[databases]]\n\
         name = \"{DATABASE}\"\ndata_shards = {}\nthreshold = {}\nwriters = [\"home/writer.card\"]\n\
         custodians = [{}]\n",
        officials.join(", "),
        sites.join(", "),
        plan.data_shards,
        plan.threshold,
        custodians.join(", ")
    )
}

/// Starts these sites and waits until each serves; gives their identities on the mesh.
pub(crate) fn start_sites(places: &[&Place], folder: &Folder, legation: &Legation) -> Result<Vec<String>, Failure> {
    let charter = folder.charter();
    for place in places {
        legation.start_site(place.name, &folder.site(place.name), &charter)?;
    }
    let wait = |place: &&Place| legation.wait_until_serving(place.name, &folder.site(place.name), &charter);
    places.iter().map(wait).collect()
}

/// Shards of all sites together, in bytes as they lie on the disks.
pub(crate) fn stored_bytes(plan: &Plan, folder: &Folder) -> Result<u64, Failure> {
    let mut bytes = 0;
    for place in plan.sites {
        for entry in walkdir::WalkDir::new(folder.site(place.name).join("store/shards")) {
            let metadata = entry.and_then(|entry| entry.metadata()).map_err(Failure::unexpected)?;
            bytes += if metadata.is_file() { metadata.len() } else { 0 };
        }
    }
    Ok(bytes)
}

/// A text field of what a command printed.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}
