//! `legation restore`: a database comes back, anywhere.

use std::path::PathBuf;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use protocol::document::{CharterChain, ReleaseOrder};
use protocol::identifier::DatabaseName;
use protocol::limits::FRAME_BYTES_MAX;
use protocol::signature::Signed;
use protocol::wire::{Request, Response};

use super::backup::human;
use super::keys::Passphrases;
use super::{Failure, Output, documents, runtime};
use crate::connector::RestoreTarget;
use crate::network::frame::{STALL, read_frame, write_frame};
use crate::network::identity::public_key;
use crate::network::{Mesh, MeshOptions};
use crate::pipeline::restore::{RestoreContext, RestoreReport, RestoreRequest, restore};
use crate::progress::Progress;

/// What to restore, by whose permission, and where to.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  legation restore --order order.txt --key exile.key --charter charter.txt --to /srv/restored\n  \
                        legation restore --order order.txt --key exile.key --site /ip4/192.0.2.7/tcp/7000/p2p/12D3... \
                        --to - | pg_restore -d land\n\
                        An interrupted restore goes on where it stopped: run the same command again."
)]
pub(super) struct RestoreArguments {
    /// The signed release order.
    #[arg(long)]
    order: PathBuf,
    /// The key file of the order's recipient.
    #[arg(long)]
    key: PathBuf,
    /// An empty or new folder, or - for standard output (one file only).
    #[arg(long, value_name = "DIR|-")]
    to: String,
    /// The charter, if it is at hand; otherwise give one --site.
    #[arg(long, required_unless_present = "site")]
    charter: Option<PathBuf>,
    /// One address of any site, with its /p2p/ part: the charter is fetched there and checked against the order.
    #[arg(long)]
    site: Option<Multiaddr>,
    /// The database, if the order opens several.
    #[arg(long)]
    database: Option<DatabaseName>,
    /// Only this file or folder of the snapshot.
    #[arg(long, value_name = "PATH")]
    only: Option<String>,
}

pub(super) fn run(arguments: &RestoreArguments, passphrases: &Passphrases, output: &Output) -> Result<(), Failure> {
    let order = documents::read::<ReleaseOrder>(&arguments.order)?;
    let (identity, sealing) = passphrases.recipient(&arguments.key)?;
    if identity.public() != order.document().recipient {
        let why = format!("{} is not the key of the order's recipient", arguments.key.display());
        return Err(Failure::refused(why));
    }
    let database = choose(&order, arguments.database.as_ref())?;
    let (target, output) = if arguments.to == "-" {
        (RestoreTarget::Stdout, output.beside_data())
    } else {
        (RestoreTarget::Directory(PathBuf::from(&arguments.to)), *output)
    };
    let progress = if output.is_json() { Progress::hidden() } else { Progress::bytes("restore", Some(0)) };
    let context = RestoreContext { order, sealing };
    let report = runtime()?.block_on(async {
        let (mesh, _events) = Mesh::start(&identity, &MeshOptions::default()).await?;
        let state = context.order.document().state;
        let charters = match (&arguments.charter, &arguments.site) {
            (Some(path), _) => documents::read_chain(path, Some(state))?,
            (None, Some(address)) => fetch_charters(&mesh, address, &context.order).await?,
            (None, None) => return Err(Failure::usage("give --charter or --site")),
        };
        let request = RestoreRequest { database: &database, only: arguments.only.as_deref(), target: &target };
        Ok::<_, Failure>(restore(&context, &mesh, charters, &request, &progress).await?)
    })?;
    let value = serde_json::to_value(&report).map_err(Failure::unexpected)?;
    output.result(&value, || words(&report));
    Ok(())
}

fn choose(order: &Signed<ReleaseOrder>, named: Option<&DatabaseName>) -> Result<DatabaseName, Failure> {
    match (named, order.document().databases.as_slice()) {
        (Some(named), _) => Ok(named.clone()),
        (None, [only]) => Ok(only.clone()),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(DatabaseName::as_str).collect();
            Err(Failure::usage(format!("the order opens {}: say which with --database", names.join(", "))))
        }
    }
}

/// The charter chain from one site, believed only because it begins with the digest that the officials' order names.
async fn fetch_charters(
    mesh: &Mesh,
    address: &Multiaddr,
    order: &Signed<ReleaseOrder>,
) -> Result<CharterChain, Failure> {
    let (peer, text) = split_peer(address)?;
    let key = public_key(&peer).ok_or_else(|| Failure::usage("the /p2p/ part is not an Ed25519 identity"))?;
    let peer = mesh.connect(key, &[text]).await?;
    let mut stream = mesh.open_stream(peer).await.map_err(|error| Failure::unexpected(&error))?;
    write_frame(&mut stream, &Request::Charters { from_version: 1 }).await.map_err(Failure::unexpected)?;
    let answer: Response = read_frame(&mut stream, FRAME_BYTES_MAX, STALL).await.map_err(Failure::unexpected)?;
    let Response::Documents(documents) = answer else {
        return Err(Failure::unexpected("the site answered something else than a charter"));
    };
    let mut charters = documents.iter().map(|bytes| Signed::decode_form(bytes));
    let genesis = charters.next().ok_or_else(|| Failure::unexpected("the site shows no charter"))??;
    let mut chain = CharterChain::found(genesis, Some(order.document().state))?;
    for next in charters {
        chain.extend(next?)?;
    }
    Ok(chain)
}

fn split_peer(address: &Multiaddr) -> Result<(PeerId, String), Failure> {
    let mut address = address.clone();
    let Some(Protocol::P2p(peer)) = address.pop() else {
        return Err(Failure::usage(
            "--site needs the site's identity at its end, as in /ip4/192.0.2.7/tcp/7000/p2p/12D3...",
        ));
    };
    Ok((peer, address.to_string()))
}

fn words(report: &RestoreReport) -> String {
    let mut lines = vec![
        format!("{} snapshot {} is restored", report.database, report.sequence),
        format!("  {} files, {} in {:.1} s", report.files, human(report.bytes), report.seconds),
        format!("  key from {}", report.share_sites.join(", ")),
    ];
    for (sequence, reasons) in &report.passed_over {
        lines.push(format!("  passed over snapshot {sequence}, in quarantine: {}", reasons.join("; ")));
    }
    if report.resumed_bytes > 0 {
        lines.push(format!("  {} were there already", human(report.resumed_bytes)));
    }
    for (site, bytes) in &report.served_bytes {
        lines.push(format!("  {site:<20} served {}", human(*bytes)));
    }
    for (site, faults) in &report.faults {
        lines.extend(faults.iter().map(|fault| format!("  ! {site}: {fault}")));
    }
    lines.join("\n")
}
