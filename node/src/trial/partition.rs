//! `legation-trial partition`: sites with a network of their own each, whose lines are cut.
//!
//! The trial runs itself again in a network namespace, in which two bridges stand for two halves of the world: a site
//! whose line is moved to the other bridge is cut off from those at the first. All of it goes with the processes.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::source::{read_folder, write_folder};
use super::state::{State, until};
use super::verdict::Verdict;
use super::{legation, tell};
use crate::cli::Failure;
use crate::cli::demo::founding::Folder;
use crate::cli::demo::plan::Plan;
use crate::cli::demo::processes::{Ended, Legation, words};
use crate::exit_code::ExitCode;

const SITES: usize = 5;
const WHOLE_SECONDS: u64 = 180;
const MIB: u64 = 16;

/// How long.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: sudo legation-trial partition\nEnds with 10, and has tried nothing, where it may not \
                        make network namespaces."
)]
pub(super) struct Arguments {
    /// How long the halves are apart.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Set by the trial itself when it runs in its namespace.
    #[arg(long, hide = true)]
    inside: bool,
}

pub(super) fn run(arguments: &Arguments, keep: Option<&Path>) -> Result<Verdict, Failure> {
    if !arguments.inside {
        return Err(enter());
    }
    let state = prepare(keep)?;
    let mut verdict = Verdict::default();
    let (source, names) = (state.folder.at("source"), state.names());
    let minority = names.get(3..).unwrap_or_default().to_vec();
    write_folder(&source, MIB, 1)?;
    state.backup_durably(&source)?;

    tell(&format!("{} are cut off for {} s", minority.join(" and "), arguments.seconds));
    (3..SITES).try_for_each(|number| plug(number, "far"))?;
    write_folder(&source, MIB, 2)?;
    let apart = state.backup(&source)?;
    verdict.promise("a backup with two of five sites cut off is not called durable, and says so", is_refused(&apart));
    std::thread::sleep(Duration::from_secs(arguments.seconds));
    (3..SITES).try_for_each(|number| plug(number, "near"))?;
    wait_until_whole(&state, &mut verdict, "healed", "the halves are whole again after the cut")?;
    state.backup_durably(&source)?;

    tell("one site hears the others and cannot answer");
    one_way(&state, &names, "add")?;
    write_folder(&source, MIB, 3)?;
    let deaf = state.backup(&source)?;
    verdict.promise("a backup past a site that cannot answer is durable", deaf.code == Some(0));
    one_way(&state, &names, "del")?;
    wait_until_whole(&state, &mut verdict, "answered", "the site that could not answer has all its shards")?;

    let is_slow = slow_line();
    verdict.figure("slow_line", if is_slow { "200 ms, 5 % lost" } else { "not tried: no netem in this kernel" });
    if is_slow {
        write_folder(&source, MIB, 4)?;
        verdict.promise("a backup over a slow line is durable", state.backup(&source)?.code == Some(0));
        let slow = names.get(2).copied().unwrap_or_default();
        state.legation.kill(slow);
        state.empty(slow, false)?;
        state.start_sites(&[slow])?;
        wait_until_whole(&state, &mut verdict, "slow", "a site behind a slow line is repaired")?;
    }
    let written = read_folder(&source)?;
    let restored = state.restore("restored", None)?;
    verdict.promise("the newest snapshot comes back bit for bit", read_folder(&restored)? == written);
    Ok(verdict)
}

/// Runs this program again where it has a network of its own; comes back only if that fails.
fn enter() -> Failure {
    let not_here = |why: String| {
        Failure::new(ExitCode::NotHere, format!("{why}: run it as root, on a Linux with 'ip', 'unshare' and 'nsenter'"))
    };
    let tried = Command::new("unshare")
        .args(["--net", "ip", "link", "add", "try", "type", "bridge"])
        .stderr(Stdio::null())
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        return not_here("this machine does not let me make network namespaces and bridges".to_owned());
    }
    let Ok(me) = std::env::current_exe() else { return Failure::unexpected("where am I?") };
    let mut command = Command::new("unshare");
    command.arg("--net").arg(me).args(std::env::args_os().skip(1)).arg("--inside");
    not_here(command.exec().to_string())
}

fn ip(words: &str) -> Result<(), Failure> {
    let output = Command::new("ip").args(words.split_whitespace()).output().map_err(Failure::unexpected)?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Failure::unexpected(format!("ip {words}: {}", why.trim())))
}

/// In the network of the site with this number.
fn ip_at(state: &State, name: &str, words: &str) -> Result<(), Failure> {
    let holder = state.legation.pid(&format!("network-of-{name}"));
    let holder = holder.ok_or_else(|| Failure::unexpected(format!("{name} has no network")))?.as_raw_nonzero();
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/proc/{holder}/ns/net")).arg("ip").args(words.split_whitespace());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        other => Err(Failure::unexpected(format!("ip {words} at {name}: {other:?}"))),
    }
}

fn plug(number: usize, bridge: &str) -> Result<(), Failure> {
    ip(&format!("link set line{number} master {bridge}"))
}

/// The bridges, a line to each site, and the sites; home is at the near bridge.
fn prepare(keep: Option<&Path>) -> Result<State, Failure> {
    let plan = Plan::for_trial(SITES, 3, MIB << 23)?;
    let folder = Folder::open(keep, &plan)?;
    let legation = Legation::new(legation()?, &folder, &words!["--repair-patience", "0"])?;
    let mut state = State { legation, folder, plan };
    ip("link set lo up")?;
    for bridge in ["near", "far"] {
        ip(&format!("link add {bridge} type bridge"))?;
        ip(&format!("link set {bridge} up"))?;
    }
    ip("addr add 10.77.0.254/24 dev near")?;
    let mut addresses = Vec::new();
    for (number, name) in state.names().into_iter().enumerate() {
        let holder = state.legation.enclose(name)?;
        ip(&format!("link add line{number} type veth peer name end"))?;
        // The holder has its own network only a moment after it was started.
        let moved = until(5, || Ok(own_network(holder)))?;
        moved.ok_or_else(|| Failure::unexpected("a network namespace does not come up"))?;
        ip(&format!("link set end netns {holder}"))?;
        plug(number, "near")?;
        ip(&format!("link set line{number} up"))?;
        let address = format!("10.77.0.{}", number + 1);
        ip_at(&state, name, "link set lo up")?;
        ip_at(&state, name, &format!("addr add {address}/24 dev end"))?;
        ip_at(&state, name, "link set end up")?;
        addresses.push(format!("/ip4/{address}/tcp/7000"));
    }
    State::start_at(&addresses, state)
}

fn own_network(pid: i32) -> bool {
    let network = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
    let theirs = network(&pid.to_string());
    theirs.is_some() && theirs != network("self")
}

fn is_refused(ended: &Ended) -> bool {
    matches!(ended.code, Some(4 | 5)) && ended.value.get("error").and_then(Value::as_str).is_some()
}

fn wait_until_whole(state: &State, verdict: &mut Verdict, figure: &str, promise: &'static str) -> Result<(), Failure> {
    let whole = until(WHOLE_SECONDS, || Ok(state.names().iter().all(|name| state.is_whole(name))))?;
    verdict.figure(&format!("seconds_until_whole_{figure}"), whole);
    verdict.promise(promise, whole.is_some());
    Ok(())
}

/// What the third site sends to the others and to home is thrown away; what they send arrives.
fn one_way(state: &State, names: &[&str], act: &str) -> Result<(), Failure> {
    let deaf = names.get(2).copied().unwrap_or_default();
    for number in [1, 2, 4, 5, 254] {
        ip_at(state, deaf, &format!("route {act} blackhole 10.77.0.{number}/32"))?;
    }
    Ok(())
}

/// The third site's line becomes slow and loses packets; false where the kernel cannot do that.
fn slow_line() -> bool {
    let words = ["qdisc", "add", "dev", "line2", "root", "netem", "delay", "200ms", "loss", "5%"];
    let tried = Command::new("tc").args(words).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}
