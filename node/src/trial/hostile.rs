//! `legation-trial hostile`: strangers flood one site of the state while an honest backup runs.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::AsyncWriteExt as _;
use protocol::document::Site;
use protocol::signature::Keypair;

use super::meter::peak_kib;
use super::source::write_folder;
use super::state::State;
use super::tell;
use super::verdict::{Verdict, rounded};
use crate::cli::demo::plan::Plan;
use crate::cli::{Failure, documents, runtime};
use crate::clock::{Monotonic, seconds};
use crate::entropy;
use crate::network::{Mesh, MeshOptions};

const CONNECT_MAX: Duration = Duration::from_millis(500);
/// A stranger may cost the attacked site so much memory more than its peers, in KiB.
const MORE_KIB_MAX: u64 = 256 << 10;
/// The opening of a TLS record that never goes on.
const HALF_A_GREETING: [u8; 6] = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01];

/// How hard.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: legation-trial hostile --seconds 60")]
pub(super) struct Arguments {
    /// How long; backups without and under attack take turns.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// What each backup brings that is new.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    mib: u64,
    /// Connections that are held open at once.
    #[arg(long, default_value_t = 2_000)]
    connections: usize,
    /// Addresses that the strangers come from, none of them a member's.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u8).range(1..))]
    addresses: u8,
}

/// What the strangers share.
#[derive(Default)]
struct Attack {
    is_on: AtomicBool,
    addresses: u8,
    is_over: AtomicBool,
    connects: AtomicU64,
    refused: AtomicU64,
    garbage_bytes: AtomicU64,
    frames: AtomicU64,
}

pub(super) fn run(arguments: &Arguments, keep: Option<&Path>) -> Result<Verdict, Failure> {
    let plan = Plan::for_trial(5, 3, (arguments.mib << 20).saturating_mul(16))?;
    let state = State::start(plan, keep, &[])?;
    let names = state.names();
    let (victim, other) = (names.get(1).copied().unwrap_or_default(), names.get(2).copied().unwrap_or_default());
    let chain = documents::read_chain(&state.folder.charter(), None)?;
    let entry = chain.charter().active_sites().find(|site| site.name.to_string() == victim).cloned();
    let entry = entry.ok_or_else(|| Failure::unexpected("the charter does not name the site"))?;
    let port = entry.addresses.first().and_then(|address| address.rsplit('/').next()?.parse().ok()).unwrap_or_default();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let attack = Attack { addresses: arguments.addresses, ..Attack::default() };
    let held = arguments.connections / 2;
    let measured = std::thread::scope(|scope| {
        let strangers = [
            scope.spawn(|| hold(&attack, address, held, &[])),
            scope.spawn(|| hold(&attack, address, held, &HALF_A_GREETING)),
            scope.spawn(|| throw_garbage(&attack, address)),
            scope.spawn(|| send_frames(&attack, &entry)),
        ];
        let measured = measure(arguments, &state, victim, &attack);
        attack.is_over.store(true, Ordering::Relaxed);
        for stranger in strangers {
            stranger.join().map_err(|_panic| Failure::unexpected("a stranger failed by a defect"))??;
        }
        measured
    });
    let (quiet, attacked, left_out) = measured?;
    let mut verdict = Verdict::default();
    let pid = |name: &str| state.legation.pid(name).ok_or_else(|| Failure::unexpected(format!("{name} has ended")));
    let (peak, peer_peak) = (peak_kib(pid(victim)?)?, peak_kib(pid(other)?)?);
    for (name, count) in [
        ("connects", &attack.connects),
        ("connects_refused", &attack.refused),
        ("garbage_bytes", &attack.garbage_bytes),
        ("frames_of_a_stranger", &attack.frames),
    ] {
        verdict.figure(name, count.load(Ordering::Relaxed));
    }
    verdict.figure("backups_under_attack", attacked.len());
    verdict.figure("backups_without_the_attacked_site", left_out.len());
    verdict.figure("seconds_of_a_quiet_backup", median(&quiet));
    verdict.figure("seconds_of_an_attacked_backup", median(&attacked));
    verdict.figure("slower_by", rounded(median(&attacked) / median(&quiet).max(0.001)));
    verdict.figure("peak_mib_of_the_attacked_site", peak >> 10);
    verdict.figure("peak_mib_of_another_site", peer_peak >> 10);
    verdict.promise("every backup under attack is durable", !attacked.is_empty());
    verdict.promise("the attacked site took part in every backup", left_out.is_empty());
    verdict.promise("the attacked site's memory is bounded", peak <= peer_peak + MORE_KIB_MAX);
    verdict.figure("left_out_because", left_out);
    Ok(verdict)
}

/// Seconds of the backups without attack and under attack, and why the attacked site was left out.
type Measured = (Vec<f64>, Vec<f64>, Vec<String>);

/// Backups without and under attack in turn, so that both meet the same machine.
fn measure(arguments: &Arguments, state: &State, victim: &str, attack: &Attack) -> Result<Measured, Failure> {
    let (mut quiet, mut attacked, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    let started = Monotonic::start();
    let source = state.folder.at("source");
    for round in 0.. {
        if seconds(started.elapsed_ms()) >= f64::from(u32::try_from(arguments.seconds).unwrap_or(u32::MAX))
            && round >= 4
        {
            break;
        }
        let is_on = round % 2 == 1;
        attack.is_on.store(is_on, Ordering::Relaxed);
        write_folder(&source, arguments.mib, round)?;
        if is_on {
            std::thread::sleep(Duration::from_secs(2)); // until it is under way
        }
        let backing_up = Monotonic::start();
        let report = state.backup_durably(&source)?;
        let took = seconds(backing_up.elapsed_ms());
        tell(&format!("backup {round}: {took:.2} s {}", if is_on { "under attack" } else { "without attack" }));
        if is_on {
            attacked.push(took)
        } else {
            quiet.push(took)
        }
        left_out.extend(report.pointer(&format!("/missing/{victim}")).map(ToString::to_string));
    }
    Ok((quiet, attacked, left_out))
}

fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Whether the attack goes on; sleeps while it rests.
fn goes_on(attack: &Attack) -> bool {
    if !attack.is_on.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
    }
    !attack.is_over.load(Ordering::Relaxed)
}

/// Connects from the next of the strangers' addresses.
fn connect(attack: &Attack, runtime: &tokio::runtime::Runtime, address: SocketAddr) -> io::Result<TcpStream> {
    let number = attack.connects.fetch_add(1, Ordering::Relaxed) % u64::from(attack.addresses);
    let from = Ipv4Addr::new(127, 0, 1, 1 + u8::try_from(number).unwrap_or(0));
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = runtime.block_on(async { tokio::time::timeout(CONNECT_MAX, socket.connect(address)).await })??;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Opens connections as fast as it can, says `greeting` and no more, and holds the last `count`.
fn hold(attack: &Attack, address: SocketAddr, count: usize, greeting: &[u8]) -> Result<(), Failure> {
    let (runtime, mut held) = (runtime()?, VecDeque::new());
    while goes_on(attack) {
        if !attack.is_on.load(Ordering::Relaxed) {
            held.clear();
            continue;
        }
        match connect(attack, &runtime, address) {
            Ok(mut stream) => {
                // The site may have closed it already: that is its right.
                let _closed = stream.write_all(greeting);
                held.push_back(stream);
            }
            Err(_refused) => {
                attack.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        if held.len() > count {
            held.pop_front();
        }
    }
    Ok(())
}

fn throw_garbage(attack: &Attack, address: SocketAddr) -> Result<(), Failure> {
    let runtime = runtime()?;
    let mut bytes = vec![0; 64 << 10];
    blake3::Hasher::new().update(b"garbage").finalize_xof().fill(&mut bytes);
    while goes_on(attack) {
        if !attack.is_on.load(Ordering::Relaxed) {
            continue;
        }
        let Ok(mut stream) = connect(attack, &runtime, address) else { continue };
        let _closed =
            stream.set_read_timeout(Some(CONNECT_MAX)).and_then(|()| stream.set_write_timeout(Some(CONNECT_MAX)));
        if stream.write_all(&bytes).is_ok() {
            attack.garbage_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        let _closed = stream.read(&mut [0; 512]);
    }
    Ok(())
}

/// A key that no charter knows, on real streams, with headers of frames of 4 GiB.
fn send_frames(attack: &Attack, site: &Site) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let mut frame = vec![0xff; 64 << 10];
        frame.fill(0xff);
        while goes_on(attack) {
            if !attack.is_on.load(Ordering::Relaxed) {
                continue;
            }
            let keypair = Keypair::generate(&mut entropy::rng());
            let (mesh, _events) = Mesh::start(&keypair, &MeshOptions::default()).await?;
            let Ok(peer) = mesh.connect(site.identity, &site.addresses).await else { continue };
            for _stream in 0..50 {
                let Ok(mut stream) = mesh.open_stream(peer).await else { break };
                let sent = async {
                    stream.write_all(&frame).await?;
                    stream.flush().await
                };
                if sent.await.is_ok() {
                    attack.frames.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    })
}
