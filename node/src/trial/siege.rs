//! `legation-trial siege`: backups go on while sites are killed, emptied and frozen, one at a time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::source::{Numbers, Tree, read_folder, write_file};
use super::state::{State, number, until};
use super::tell;
use super::verdict::Verdict;
use crate::cli::Failure;
use crate::cli::demo::plan::Plan;
use crate::cli::demo::processes::words;
use crate::clock::{Monotonic, seconds};

/// So long the sites may take to be whole again after a blow.
const WHOLE_SECONDS: u64 = 120;
const PAUSE: Duration = Duration::from_millis(500);

/// How long.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: legation-trial siege --minutes 10")]
pub(super) struct Arguments {
    /// How long it is struck; what comes after takes as long as it takes.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Sites of the state.
    #[arg(long, default_value_t = 5)]
    sites: usize,
    /// Sites whose shards are enough; at least two fewer than there are sites.
    #[arg(long, default_value_t = 3)]
    data_shards: usize,
    /// Draws other victims and moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What the home saw.
#[derive(Default)]
struct Log {
    /// Snapshots that a backup called durable, with what was backed up.
    acknowledged: Vec<(u64, Tree)>,
    killed_backups: u64,
    not_durable: u64,
    failed: Vec<String>,
}

/// What was done to the sites.
#[derive(Default)]
struct Blows {
    kills: u64,
    emptied: u64,
    frozen: u64,
    home_kills: u64,
    healed_bytes: u64,
    /// The longest that the sites took to be whole again.
    whole_seconds: f64,
    not_whole: Vec<String>,
}

#[derive(Clone, Copy)]
enum Blow {
    Kill,
    Empty,
    Freeze,
    KillHome,
}

struct Siege<'a> {
    state: &'a State,
    source: PathBuf,
    is_over: AtomicBool,
    log: Mutex<Log>,
}

pub(super) fn run(arguments: &Arguments, keep: Option<&Path>) -> Result<Verdict, Failure> {
    if arguments.data_shards + 2 > arguments.sites {
        let (data_shards, sites) = (arguments.data_shards, arguments.sites);
        let why = format!("--data-shards {data_shards} with --sites {sites}: one lost site leaves no backup durable");
        return Err(Failure::usage(why));
    }
    let plan = Plan::for_trial(arguments.sites, arguments.data_shards, 1 << 30)?;
    let state = State::start(plan, keep, &words!["--repair-patience", "0", "--repair-rate", "1024"])?;
    let source = state.folder.at("source");
    std::fs::create_dir(&source).map_err(|error| Failure::file(&source, &error))?;
    let siege = Siege { state: &state, source, is_over: AtomicBool::new(false), log: Mutex::default() };
    let mut numbers = Numbers::new(arguments.seed);
    let (backed_up, struck) = std::thread::scope(|scope| {
        let home = scope.spawn(|| siege.keep_backing_up());
        let struck = siege.strike(arguments.minutes * 60.0, &mut numbers);
        siege.is_over.store(true, Ordering::Relaxed);
        (home.join(), struck)
    });
    backed_up.map_err(|_panic| Failure::unexpected("the home of the trial failed by a defect"))??;
    siege.conclude(struck?, &mut numbers)
}

impl Siege<'_> {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_backing_up(&self) -> Result<(), Failure> {
        let (mut tree, mut round) = (Tree::new(), 0);
        while !self.is_over.load(Ordering::Relaxed) {
            round += 1;
            // It grows; every third time an older file changes.
            let file = if round % 3 == 0 { round / 3 } else { round };
            let name = PathBuf::from(format!("entry-{file}.bin"));
            tree.insert(name.clone(), write_file(&self.source.join(name), 1 + round % 4, round)?);
            self.back_up(&tree)?;
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn back_up(&self, tree: &Tree) -> Result<(), Failure> {
        let ended = self.state.backup(&self.source)?;
        let mut log = self.log();
        match (ended.code, number(&ended.value, "/sequence")) {
            (Some(0), Some(sequence)) => log.acknowledged.push((sequence, tree.clone())),
            (Some(4), _) => log.not_durable += 1,
            (None, _) => log.killed_backups += 1,
            (code, _) => log.failed.push(format!("{code:?}: {}", ended.message())),
        }
        Ok(())
    }

    /// One blow after the other: what one took is mended before another takes something.
    fn strike(&self, limit_seconds: f64, numbers: &mut Numbers) -> Result<Blows, Failure> {
        let (mut blows, started) = (Blows::default(), Monotonic::start());
        for blow in [Blow::Kill, Blow::Empty, Blow::KillHome, Blow::Freeze].into_iter().cycle() {
            if seconds(started.elapsed_ms()) >= limit_seconds {
                break;
            }
            let names = self.state.names();
            let victim = names.get(numbers.below(names.len())).copied().unwrap_or_default();
            let pause = Duration::from_millis(500 + numbers.below(2_500) as u64);
            match blow {
                Blow::Kill => {
                    tell(&format!("{:>6.1} s  {victim} is killed", seconds(started.elapsed_ms())));
                    self.kill(victim, &mut blows);
                    std::thread::sleep(pause);
                    self.state.start_sites(&[victim])?;
                    blows.kills += 1;
                }
                Blow::Empty => {
                    self.wait_until_whole("before a site is emptied", &mut blows);
                    tell(&format!("{:>6.1} s  {victim} loses its shards", seconds(started.elapsed_ms())));
                    self.kill(victim, &mut blows);
                    self.state.empty(victim, false)?;
                    std::thread::sleep(pause);
                    self.state.start_sites(&[victim])?;
                    blows.emptied += 1;
                    self.wait_until_whole(&format!("after {victim} was emptied"), &mut blows);
                }
                Blow::Freeze => {
                    tell(&format!("{:>6.1} s  {victim} is frozen", seconds(started.elapsed_ms())));
                    self.state.legation.signal(victim, Signal::STOP)?;
                    std::thread::sleep(pause * 3);
                    self.state.legation.signal(victim, Signal::CONT)?;
                    blows.frozen += 1;
                }
                Blow::KillHome => {
                    let runs = || Ok(self.state.legation.pid("backup").is_some());
                    if until(30, runs)?.is_some() {
                        tell(&format!("{:>6.1} s  the home's backup is killed", seconds(started.elapsed_ms())));
                        std::thread::sleep(pause / 10);
                        self.state.legation.kill("backup");
                        blows.home_kills += 1;
                    }
                }
            }
        }
        Ok(blows)
    }

    /// Ends a site without warning; what it mended until now is counted first.
    fn kill(&self, name: &str, blows: &mut Blows) {
        blows.healed_bytes += self.healed_bytes(name);
        self.state.legation.kill(name);
    }

    fn healed_bytes(&self, name: &str) -> u64 {
        self.state.status(name).ok().and_then(|status| number(&status, "/repair/written_bytes")).unwrap_or_default()
    }

    fn wait_until_whole(&self, when: &str, blows: &mut Blows) {
        let all_whole = || Ok(self.state.names().iter().all(|name| self.state.is_whole(name)));
        match until(WHOLE_SECONDS, all_whole) {
            Ok(Some(waited)) => blows.whole_seconds = blows.whole_seconds.max(waited),
            Ok(None) | Err(_) => blows.not_whole.push(when.to_owned()),
        }
    }

    fn conclude(self, mut blows: Blows, numbers: &mut Numbers) -> Result<Verdict, Failure> {
        let (state, mut verdict) = (self.state, Verdict::default());
        tell("the siege is over: a last backup, and the sites mend what they lack");
        let last = read_folder(&self.source)?;
        let ended = state.backup(&self.source)?;
        let sequence = number(&ended.value, "/sequence").filter(|_sequence| ended.code == Some(0));
        verdict.promise("the backup after the siege is durable", sequence.is_some());
        let log = self.log.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut acknowledged = log.acknowledged;
        acknowledged.extend(sequence.map(|sequence| (sequence, last)));
        let names = state.names();
        let alarms = |name: &str| -> Result<Vec<Value>, Failure> {
            Ok(state.status(name)?.get("alarms").and_then(Value::as_array).cloned().unwrap_or_default())
        };
        let is_well = |name: &str| state.is_whole(name) && alarms(name).is_ok_and(|alarms| alarms.is_empty());
        let well = until(WHOLE_SECONDS, || Ok(names.iter().all(|name| is_well(name))))?;
        verdict.figure("seconds_until_all_is_well", well);
        verdict.promise("every stripe is at all sites, and every site says that all is well", well.is_some());
        for name in &names {
            blows.healed_bytes +=
                self.state.status(name).map_or(0, |status| number(&status, "/repair/written_bytes").unwrap_or(0));
            if well.is_none() {
                verdict.figure(&format!("alarms_at_{name}"), alarms(name)?);
            }
        }
        let known = |name: &str| {
            let status = state.status(name).unwrap_or_default();
            let newest = acknowledged.iter().map(|(sequence, _tree)| *sequence).max();
            number(&status, "/databases/0/snapshot_count") >= newest
                && number(&status, "/databases/0/lost_stripe_count") == Some(0)
        };
        verdict.promise(
            "every site knows every acknowledged snapshot, and none has lost a stripe",
            names.iter().all(|name| known(name)),
        );
        let older = acknowledged.len().saturating_sub(1);
        let chosen = [acknowledged.last(), acknowledged.get(numbers.below(older.max(1)))];
        let mut identical = !acknowledged.is_empty();
        for (sequence, tree) in chosen.into_iter().flatten() {
            tell(&format!("snapshot {sequence} is restored and compared"));
            let restored = state.restore(&format!("restored-{sequence}"), Some(*sequence));
            let restored = restored.and_then(|dir| read_folder(&dir));
            identical &= restored.as_ref().is_ok_and(|restored| restored == tree);
            if let Err(failure) = restored {
                verdict.figure(&format!("restore_{sequence}"), failure.message);
            }
        }
        verdict.promise("the newest and an older acknowledged snapshot come back bit for bit", identical);
        verdict.promise("after each blow the sites became whole again", blows.not_whole.is_empty());
        verdict.promise("no backup failed but for too few receipts", log.failed.is_empty());
        for (name, count) in [
            ("snapshots_acknowledged", acknowledged.len() as u64),
            ("backups_not_durable", log.not_durable),
            ("backups_killed", log.killed_backups),
            ("site_kills", blows.kills),
            ("sites_emptied", blows.emptied),
            ("sites_frozen", blows.frozen),
            ("home_kills", blows.home_kills),
            ("healed_bytes", blows.healed_bytes),
        ] {
            verdict.figure(name, count);
        }
        verdict.figure("longest_seconds_until_whole", blows.whole_seconds);
        verdict.figure("not_whole", blows.not_whole);
        verdict.figure("backups_failed", log.failed);
        Ok(verdict)
    }
}
