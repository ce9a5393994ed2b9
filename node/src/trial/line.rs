//! `legation-trial line`: every line of the mesh is long and bad.
//!
//! A relay stands before every site: what goes through it is held for a while, and now and then for much longer, together with
//! all that comes behind it. That is what TCP makes of a lost packet, so no packet needs to be lost, and no right of root.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::source::{read_folder, write_folder};
use super::state::{State, until};
use super::verdict::Verdict;
use super::{legation, tell};
use crate::cli::demo::founding::{Folder, loopback};
use crate::cli::demo::plan::Plan;
use crate::cli::demo::processes::{Legation, words};
use crate::cli::{Failure, runtime};
use crate::clock::{Monotonic, seconds};

const SITES: usize = 5;
const WHOLE_SECONDS: u64 = 300;
/// What a relay passes on at once, at most.
const PIECE_BYTES: usize = 16 << 10;
/// Pieces under way in one direction of one connection.
const PIECES_MAX: usize = 256;

/// How bad.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: legation-trial line --delay-ms 100 --lost-percent 5")]
pub(super) struct Arguments {
    /// How long a byte is under way in each direction.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    delay_ms: u64,
    /// How many of a hundred pieces of up to 16 KiB are held up, as if a packet of theirs had been lost.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=50))]
    lost_percent: u64,
    /// How much is backed up.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    mib: u64,
}

#[derive(Clone, Copy)]
struct Line {
    delay: Duration,
    /// Held up once in so many pieces; 0 for never.
    lost_once_in: u64,
}

impl Line {
    /// A sender finds out after a round trip and a pause, and sends again.
    fn held(self, piece: u64) -> Duration {
        let is_lost = self.lost_once_in > 0 && piece.is_multiple_of(self.lost_once_in);
        if is_lost { self.delay * 3 + Duration::from_millis(200) } else { self.delay }
    }
}

pub(super) fn run(arguments: &Arguments, keep: Option<&Path>) -> Result<Verdict, Failure> {
    let line = Line {
        delay: Duration::from_millis(arguments.delay_ms),
        lost_once_in: 100_u64.checked_div(arguments.lost_percent).unwrap_or(0),
    };
    let plan = Plan::for_trial(SITES, 3, (arguments.mib << 20).saturating_mul(4))?;
    let folder = Folder::open(keep, &plan)?;
    let mut legation = Legation::new(legation()?, &folder, &words!["--repair-patience", "0"])?;
    let (public, private) = (loopback(SITES)?, loopback(SITES)?);
    let relays = runtime()?;
    for ((place, public), private) in plan.sites.iter().zip(&public).zip(&private) {
        legation.listen_at(place.name, private);
        let listener = relays.block_on(TcpListener::bind(socket(public))).map_err(Failure::unexpected)?;
        relays.spawn(relay(listener, socket(private), line));
    }
    let state = State::start_at(&public, State { legation, folder, plan })?;
    let (mut verdict, source) = (Verdict::default(), state.folder.at("source"));
    write_folder(&source, arguments.mib, 1)?;
    tell(&format!("{} MiB are backed up over lines of {} ms each way", arguments.mib, arguments.delay_ms));
    let backing_up = Monotonic::start();
    let report = state.backup_durably(&source)?;
    verdict.figure("backup_seconds", seconds(backing_up.elapsed_ms()));
    let missing = report.get("missing").and_then(|missing| missing.as_object()).map_or(0, serde_json::Map::len);
    verdict.promise("every site took part in the backup", missing == 0);
    wait_until_whole(&state, &mut verdict, "settled", "all sites know that all is whole")?;

    let names = state.names();
    let emptied = names.get(2).copied().unwrap_or_default();
    tell(&format!("{emptied} loses its disk"));
    state.legation.kill(emptied);
    state.empty(emptied, true)?;
    state.start_sites(&[emptied])?;
    wait_until_whole(&state, &mut verdict, "repaired", "the emptied site has everything again")?;
    let restoring = Monotonic::start();
    let restored = state.restore("restored", None)?;
    verdict.figure("restore_seconds", seconds(restoring.elapsed_ms()));
    verdict.promise("what is restored is what was backed up", read_folder(&restored)? == read_folder(&source)?);
    Ok(verdict)
}

fn wait_until_whole(state: &State, verdict: &mut Verdict, figure: &str, promise: &'static str) -> Result<(), Failure> {
    let names = state.names();
    let whole = until(WHOLE_SECONDS, || Ok(names.iter().all(|name| state.is_whole(name))))?;
    verdict.figure(&format!("seconds_until_{figure}"), whole);
    verdict.promise(promise, whole.is_some());
    Ok(())
}

/// `127.0.0.1:port` of a multiaddr of [`loopback`].
fn socket(address: &str) -> (std::net::Ipv4Addr, u16) {
    let port = address.rsplit('/').next().and_then(|port| port.parse().ok());
    (std::net::Ipv4Addr::LOCALHOST, port.unwrap_or_default())
}

/// Passes connections on until the trial ends.
async fn relay(listener: TcpListener, target: (std::net::Ipv4Addr, u16), line: Line) {
    while let Ok((near, _from)) = listener.accept().await {
        tokio::spawn(async move {
            tokio::time::sleep(line.delay).await;
            let Ok(far) = TcpStream::connect(target).await else { return };
            let _slower = near.set_nodelay(true).and_then(|()| far.set_nodelay(true));
            let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(near_read, far_write, line));
            carry(far_read, near_write, line).await;
        });
    }
}

/// One direction: read at once, written when it is due.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, line: Line) {
    let (send, mut receive) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_MAX);
    tokio::spawn(async move {
        while let Some((due, piece)) = receive.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    });
    for number in 1.. {
        let mut piece = vec![0; PIECE_BYTES];
        let Ok(bytes @ 1..) = from.read(&mut piece).await else { return };
        piece.truncate(bytes);
        if send.send((Instant::now() + line.held(number), piece)).await.is_err() {
            return;
        }
    }
}
