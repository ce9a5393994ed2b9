//! What the tests of crashes look at: disks of sites, home's index, memory of processes, commands in the background.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use node::chunk_index::{ChunkIndex, StripeRecord};
use node::shard_store::{ShardStore, Verification};
use shard_codec::Digest;

use super::harness::{Said, State};

/// No command of these tests takes longer unless it hangs.
const HANG: Duration = Duration::from_secs(60);

/// A stream of numbers that is the same for the same seed.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Bytes that do not compress.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..count.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(count);
        bytes
    }
}

/// A command that runs beside the test.
pub(crate) struct Running {
    child: Option<Child>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: Some(command.spawn().unwrap()) }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    /// kill -9, and whether it came in time.
    pub(crate) fn kill(mut self) -> bool {
        let mut child = self.child.take().unwrap();
        let in_time = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        in_time
    }

    /// What the command says; it fails the test if the command hangs.
    pub(crate) fn wait(mut self) -> Said {
        let started = Instant::now();
        while !self.has_ended() {
            assert!(started.elapsed() < HANG, "the command hangs");
            thread::sleep(Duration::from_millis(2));
        }
        Said::of(self.child.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl State {
    /// A backup beside the test.
    pub(crate) fn backing_up(&self, database: &str, source: &str, environment: &[(&str, &str)]) -> Running {
        let mut command =
            self.command(&["backup", database, "--from", source, "--dir", "home", "--charter", "charter.txt"]);
        command.envs(environment.iter().copied());
        Running::start(command)
    }

    /// Bytes of all files named like shards at all sites, acknowledged or not.
    pub(crate) fn shard_file_bytes(&self) -> u64 {
        self.sites.iter().map(|site| bytes_below(&site.dir.join("store/shards"))).sum()
    }

    /// Home's stripe records; no backup may be running.
    pub(crate) fn stripe_records(&self, database: &str) -> Vec<(u64, StripeRecord)> {
        let index = ChunkIndex::open(&self.path(&format!("home/index-{database}.redb"))).unwrap();
        index.stripes(0, usize::MAX).unwrap()
    }

    /// Opens the store of a site that does not run, hashes every shard it claims, and asserts that everything home
    /// noted as stored there is among them. Returns how many shards the site claims.
    pub(crate) fn assert_store_is_true(&self, index: usize, database: &str) -> u64 {
        let site = &self.sites[index];
        let (store, report) = ShardStore::open(&site.dir.join("store")).unwrap();
        assert!(report.is_whole(), "{}: {report:?}", site.name);
        let mut after = None;
        loop {
            let page = store.entries(after.as_ref(), 500).unwrap();
            for shard in &page {
                let verified = store.verify(&shard.root).unwrap();
                assert_eq!(verified, Verification::Verified, "{}: {shard:?}", site.name);
            }
            match page.last() {
                Some(last) => after = Some(last.root),
                None => break,
            }
        }
        // Every database of these tests places its shards at the sites in the order of the charter.
        for (number, record) in self.stripe_records(database) {
            let noted = &record.shards[index];
            let root = Digest::from_bytes(noted.root);
            assert!(
                !noted.stored || store.contains(&root).unwrap(),
                "{} acknowledged shard {root} of stripe {number} and does not have it; it has {} shards",
                site.name,
                store.count()
            );
        }
        store.count()
    }

    /// Asserts by `legation verify` that every site holds every shard it should.
    #[track_caller]
    pub(crate) fn assert_all_shards_verify(&self, database: &str) {
        let report = self.run(&["verify", database, "--dir", "home"]).succeeded().json;
        let sites = report["sites"].as_object().unwrap();
        assert_eq!(sites.len(), self.sites.len());
        for (name, found) in sites {
            assert!(found["shards"].as_u64().unwrap() > 0, "{name}: {found}");
            assert_eq!(found["shards"], found["good"], "{name}: {found}");
        }
    }

    /// A release order for one snapshot.
    pub(crate) fn order_for(&self, database: &str, sequence: u64, file: &str) {
        let sequence = sequence.to_string();
        self.run(&[
            "order",
            "draft",
            "--charter",
            "charter.txt",
            "--database",
            database,
            "--sequence",
            &sequence,
            "--recipient",
            "exile.key",
            "--reason",
            "the tests",
            "--out",
            file,
        ])
        .succeeded();
        self.sign("order", file, &[1, 2, 3]);
    }
}

/// Bytes of all files below `dir`; what vanishes meanwhile counts nothing.
pub(crate) fn bytes_below(dir: &Path) -> u64 {
    let files = walkdir::WalkDir::new(dir).into_iter().filter_map(Result::ok);
    files.filter_map(|entry| entry.metadata().ok()).filter(fs::Metadata::is_file).map(|metadata| metadata.len()).sum()
}

/// Waits until `reached` holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let started = Instant::now();
    while !reached() {
        assert!(started.elapsed() < HANG, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Where `needle` is in `bytes`.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let (first, rest) = needle.split_first().unwrap();
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.iter().position(|byte| byte == first)?;
        if bytes.get(at + 1..)?.starts_with(rest) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// The files below `dir` that hold any of `needles`, with the names of what they hold.
pub(crate) fn search_files(dir: &Path, needles: &[(String, Vec<u8>)]) -> Vec<(PathBuf, String)> {
    let mut hits = Vec::new();
    for entry in walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file())
    {
        let bytes = fs::read(entry.path()).unwrap();
        let found = needles.iter().filter(|(_name, needle)| find(&bytes, needle).is_some());
        hits.extend(found.map(|(name, _needle)| (entry.path().to_owned(), name.clone())));
    }
    hits
}

/// A copy of everything that a process has mapped and that can be read.
pub(crate) struct MemoryImage(Vec<(String, u64, Vec<u8>)>);

impl MemoryImage {
    pub(crate) fn of(process_id: u32) -> Self {
        let maps = fs::read_to_string(format!("/proc/{process_id}/maps")).unwrap();
        let mut memory = File::open(format!("/proc/{process_id}/mem")).unwrap();
        let mut regions = Vec::new();
        for line in maps.lines() {
            let mut fields = line.split_whitespace();
            let (range, access) = (fields.next().unwrap(), fields.next().unwrap());
            let (start, end) = range.split_once('-').unwrap();
            let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
            if !access.starts_with('r') || line.ends_with("[vvar]") || line.ends_with("[vsyscall]") {
                continue;
            }
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            memory.seek(SeekFrom::Start(start)).unwrap();
            match memory.read_exact(&mut bytes) {
                Ok(()) => regions.push((line.to_owned(), start, bytes)),
                Err(error) => assert!(!access.contains('w'), "cannot read {line}: {error}"),
            }
        }
        Self(regions)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|(_line, _start, bytes)| bytes.len()).sum()
    }

    /// The names of what was found, with where it was.
    pub(crate) fn search(&self, needles: &[(String, Vec<u8>)]) -> Vec<(String, String)> {
        let mut hits = Vec::new();
        for (line, start, bytes) in &self.0 {
            for (name, needle) in needles {
                if let Some(at) = find(bytes, needle) {
                    hits.push((name.clone(), format!("{:x} of {line}", start + at as u64)));
                }
            }
        }
        hits
    }
}
