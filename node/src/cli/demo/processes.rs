//! The real binary as child processes: every one of them ends when the demo does, however it ends.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::founding::Folder;
use crate::cli::{Failure, runtime};
use crate::clock::Monotonic;
use crate::exit_code::ExitCode;

const POLL: Duration = Duration::from_millis(5);
const SERVING_MAX_MS: u64 = 60_000;
const STOPPING_MAX_MS: u64 = 20_000;
const STARTS_MAX: usize = 5;
const REMOVALS_MAX: usize = 20;

/// Arguments of a command: strings and paths in one list.
macro_rules! words {
    ($($word:expr),+ $(,)?) => {
        [$(::std::ffi::OsString::from(&$word)),+]
    };
}
pub(crate) use words;

/// How a command ended, and the object it printed.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) value: Value,
}

impl Ended {
    /// The message of a command that failed.
    pub(crate) fn message(&self) -> String {
        let message = self.value.get("error").and_then(Value::as_str);
        message.map_or_else(|| format!("no message (status {:?})", self.code), ToOwned::to_owned)
    }
}

type Children = BTreeMap<String, Child>;

type Running = Arc<Mutex<Children>>;

fn lock(running: &Running) -> MutexGuard<'_, Children> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kill_all(children: &mut Children) {
    for child in children.values_mut() {
        // Fails for a child that has ended already.
        drop(child.kill());
        drop(child.wait());
    }
    children.clear();
}

/// Runs commands of the binary.
pub(crate) struct Legation {
    binary: PathBuf,
    passphrase_file: PathBuf,
    logs: PathBuf,
    /// More arguments for every site.
    site_words: Vec<OsString>,
    /// Where the sites of these names listen, if not where the charter says.
    listens: BTreeMap<String, String>,
    /// Network namespaces of their own, by the path of each, for the children of these names.
    networks: BTreeMap<String, PathBuf>,
    running: Running,
}

impl Drop for Legation {
    fn drop(&mut self) {
        kill_all(&mut lock(&self.running));
    }
}

impl Legation {
    /// From now on a signal ends all children, removes the folder if it is temporary, and ends this process.
    pub(crate) fn new(binary: PathBuf, folder: &Folder, site_words: &[OsString]) -> Result<Self, Failure> {
        let running = Running::default();
        watch_signals(running.clone(), folder.temporary())?;
        let (passphrase_file, logs) = (folder.passphrase_file(), folder.at("logs"));
        let (site_words, listens, networks) = (site_words.to_vec(), BTreeMap::new(), BTreeMap::new());
        Ok(Self { binary, passphrase_file, logs, site_words, listens, networks, running })
    }

    fn log(&self, name: &str) -> Result<File, Failure> {
        let path = self.logs.join(name);
        OpenOptions::new().create(true).append(true).open(&path).map_err(|error| Failure::file(&path, &error))
    }

    fn spawn(&self, name: &str, arguments: &[OsString], stdout: Stdio) -> Result<(), Failure> {
        let mut command = match self.networks.get(name) {
            Some(network) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net={}", network.display())).arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        };
        command.arg("--json").arg("--passphrase-file").arg(&self.passphrase_file).args(arguments);
        command.env_remove("LEGATION_DIR").stdin(Stdio::null()).stdout(stdout);
        command.stderr(self.log(&format!("{name}.log"))?);
        self.keep(name, &mut command)
    }

    fn keep(&self, name: &str, command: &mut Command) -> Result<(), Failure> {
        let mut children = lock(&self.running);
        let child = command.spawn().map_err(|error| Failure::file(command.get_program().as_ref(), &error))?;
        children.insert(name.to_owned(), child);
        Ok(())
    }

    /// Gives the child of this name, when it starts, a network namespace of its own, held by a process that ends with
    /// the others; gives the holder's number.
    pub(crate) fn enclose(&mut self, name: &str) -> Result<i32, Failure> {
        let holder = format!("network-of-{name}");
        self.keep(&holder, Command::new("unshare").args(["--net", "sleep", "infinity"]).stdin(Stdio::null()))?;
        let pid = self.pid(&holder).ok_or_else(|| Failure::unexpected("the holder of a network has ended"))?;
        let number = pid.as_raw_nonzero().get();
        self.networks.insert(name.to_owned(), format!("/proc/{number}/ns/net").into());
        Ok(number)
    }

    /// Runs one command to its end, whatever that is.
    pub(crate) fn attempt(&self, arguments: &[OsString]) -> Result<Ended, Failure> {
        self.attempt_as("commands", arguments)
    }

    /// As [`Legation::attempt`], beside commands of other names; [`Legation::kill`] ends it early.
    pub(crate) fn attempt_as(&self, name: &str, arguments: &[OsString]) -> Result<Ended, Failure> {
        self.spawn(name, arguments, Stdio::piped())?;
        let stdout = lock(&self.running).get_mut(name).and_then(|child| child.stdout.take());
        let mut text = String::new();
        if let Some(mut stdout) = stdout {
            stdout.read_to_string(&mut text).map_err(Failure::unexpected)?;
        }
        let status = self.wait(name, u64::MAX)?;
        let value = serde_json::from_str(text.trim()).unwrap_or_default();
        Ok(Ended { code: status.and_then(|status| status.code()), value })
    }

    /// Runs one command that must succeed, and gives the object it printed.
    pub(crate) fn run(&self, arguments: &[OsString]) -> Result<Value, Failure> {
        let ended = self.attempt(arguments)?;
        if ended.code == Some(0) {
            return Ok(ended.value);
        }
        let command: Vec<_> = arguments.iter().take(2).map(|word| word.to_string_lossy()).collect();
        let code = match ended.code {
            Some(4) => ExitCode::NotDurable,
            Some(5) => ExitCode::SitesUnreachable,
            Some(6) => ExitCode::IntegrityFault,
            Some(8) => ExitCode::LocalStorage,
            _ => ExitCode::Unexpected,
        };
        Err(Failure::new(code, format!("legation {} failed: {}", command.join(" "), ended.message())))
    }

    /// Waits for a child's end, and forgets the child; `None` if it still runs after `wait_ms`.
    fn wait(&self, name: &str, wait_ms: u64) -> Result<Option<ExitStatus>, Failure> {
        let waiting = Monotonic::start();
        loop {
            let mut children = lock(&self.running);
            let Some(child) = children.get_mut(name) else { return Ok(None) };
            if let Some(status) = child.try_wait().map_err(Failure::unexpected)? {
                children.remove(name);
                return Ok(Some(status));
            }
            drop(children);
            if waiting.elapsed_ms() > wait_ms {
                return Ok(None);
            }
            std::thread::sleep(POLL);
        }
    }

    /// From now on the site of this name listens at another multiaddr than the charter says.
    pub(crate) fn listen_at(&mut self, name: &str, address: &str) {
        self.listens.insert(name.to_owned(), address.to_owned());
    }

    /// Starts a site; [`Legation::wait_until_serving`] comes next.
    pub(crate) fn start_site(&self, name: &str, dir: &Path, charter: &Path) -> Result<(), Failure> {
        let path = self.logs.join(format!("{name}.out"));
        let stdout = File::create(&path).map_err(|error| Failure::file(&path, &error))?;
        let mut words = words!["site", "run", "--dir", dir, "--charter", charter].to_vec();
        words.extend_from_slice(&self.site_words);
        if let Some(address) = self.listens.get(name) {
            words.extend_from_slice(&words!["--listen", address]);
        }
        self.spawn(name, &words, stdout.into())
    }

    /// Waits until the site says that it serves, and gives its identity on the mesh.
    pub(crate) fn wait_until_serving(&self, name: &str, dir: &Path, charter: &Path) -> Result<String, Failure> {
        let path = self.logs.join(format!("{name}.out"));
        for _start in 0..STARTS_MAX {
            let waiting = Monotonic::start();
            let mut said = Value::Null;
            while waiting.elapsed_ms() < SERVING_MAX_MS {
                let text = std::fs::read_to_string(&path).map_err(|error| Failure::file(&path, &error))?;
                said = serde_json::from_str(text.trim()).unwrap_or_default();
                if let Some(peer) = said.get("peer").and_then(Value::as_str) {
                    return Ok(peer.to_owned());
                }
                if said.get("error").is_some() || self.wait(name, 0)?.is_some() {
                    break;
                }
                std::thread::sleep(POLL);
            }
            let error = said.get("error").and_then(Value::as_str).unwrap_or("it does not say that it serves");
            // Somebody took the port between its choice and now: it may be free again in a moment.
            if !error.contains("in use") {
                return Err(Failure::unexpected(format!("site {name} does not start: {error}")));
            }
            self.kill(name);
            std::thread::sleep(Duration::from_millis(300));
            self.start_site(name, dir, charter)?;
        }
        Err(Failure::unexpected(format!("site {name} does not start: its port stays in use")))
    }

    /// Ends a child without warning, as a power cut would.
    pub(crate) fn kill(&self, name: &str) {
        if let Some(mut child) = lock(&self.running).remove(name) {
            // Fails for a child that has ended already.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// The process of a child that was not waited for.
    pub(crate) fn pid(&self, name: &str) -> Option<Pid> {
        lock(&self.running).get(name).and_then(|child| Pid::from_raw(child.id().cast_signed()))
    }

    /// Sends a signal to a child.
    pub(crate) fn signal(&self, name: &str, signal: Signal) -> Result<(), Failure> {
        let pid = self.pid(name).ok_or_else(|| Failure::unexpected(format!("{name} does not run")))?;
        kill_process(pid, signal).map_err(Failure::unexpected)
    }

    /// Asks a site to stop and waits for it.
    pub(crate) fn stop(&self, name: &str) -> Result<(), Failure> {
        self.signal(name, Signal::TERM)?;
        match self.wait(name, STOPPING_MAX_MS)? {
            Some(_status) => Ok(()),
            None => Err(Failure::unexpected(format!("site {name} does not stop when asked to"))),
        }
    }
}

/// At the first SIGINT, SIGTERM or SIGHUP: ends all children and this process, wherever the story stands.
fn watch_signals(running: Running, temporary: Option<PathBuf>) -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = runtime()?;
    let (ready, wait_ready) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        runtime.block_on(async {
            let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
            let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals else {
                let _waiting = ready.send(false);
                return;
            };
            let _waiting = ready.send(true);
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            // Nobody can start another one while this is held, and it is held to the end.
            let mut children = lock(&running);
            kill_all(&mut children);
            if let Some(folder) = temporary {
                // The story may be writing a file there at this moment.
                let gone = (0..REMOVALS_MAX).any(|_| std::fs::remove_dir_all(&folder).is_ok() || !folder.exists());
                let left = if gone { String::new() } else { format!("; {} is left", folder.display()) };
                eprintln!("legation: interrupted{left}");
            } else {
                eprintln!("legation: interrupted");
            }
            std::process::exit(i32::from(ExitCode::Unexpected.number()));
        });
    });
    match wait_ready.recv() {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(Failure::unexpected("cannot watch for signals")),
    }
}
