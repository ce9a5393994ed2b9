//! An object storage that speaks S3, on this machine: SeaweedFS, one process. `scripts/test` installs it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::harness::{LEGATION, free_port, wait_until};

const KEY: (&str, &str) = ("tests", "a secret of the tests");
/// Set to false, and locked for two days, from the first byte on.
const LOCK: &str = "<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                    <ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode>\
                    <Days>2</Days></DefaultRetention></Rule></ObjectLockConfiguration>";

/// The storage; it ends with the value.
pub(crate) struct Storage {
    dir: tempfile::TempDir,
    ports: Vec<u16>,
    server: Option<Child>,
}

/// What curl said.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

fn weed() -> PathBuf {
    let target = Path::new(LEGATION).parent().and_then(Path::parent).unwrap();
    let path = target.join("tools/seaweedfs-4.48/bin/weed");
    assert!(
        path.exists(),
        "{} is not there: scripts/test installs it (scripts/install-needs seaweedfs)",
        path.display()
    );
    path
}

impl Storage {
    pub(crate) fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("legation-s3-").tempdir().unwrap();
        let identity = serde_json::json!({ "identities": [{
            "name": KEY.0, "credentials": [{ "accessKey": KEY.0, "secretKey": KEY.1 }],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"] }] });
        std::fs::write(dir.path().join("s3.json"), identity.to_string()).unwrap();
        let mut storage = Self { dir, ports: (0..10).map(|_port| free_port()).collect(), server: None };
        storage.restart();
        storage
    }

    /// Starts it again with what it had.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let data = self.dir.path().join("data");
        std::fs::create_dir_all(&data).unwrap();
        let names = [
            "s3.port",
            "s3.port.grpc",
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "admin.port",
            "admin.port.grpc",
        ];
        let mut command = Command::new(weed());
        command.arg("-logtostderr=true").arg("mini").arg(format!("-dir={}", data.display()));
        command.args([
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-webdav=false",
            "-admin.ui=false",
        ]);
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
        command.args(names.iter().zip(&self.ports).map(|(name, port)| format!("-{name}={port}")));
        command.arg(format!("-s3.config={}", self.dir.path().join("s3.json").display()));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.dir.path().join("log")).unwrap();
        let child = command.current_dir(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.server = Some(child.unwrap());
        // What it answers first it may not mean yet: a whole round.
        wait_until("the object storage works", 60, || {
            self.call("PUT", "probe", &[]).status < 500
                && self.call("PUT", "probe/ready", &["--data-binary", "yes"]).status == 200
                && self.call("GET", "probe/ready", &[]).body == b"yes"
        });
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// A bucket of this name; with a lock, nothing in it can be deleted or changed for two days.
    pub(crate) fn bucket(&self, name: &str, is_locked: bool) {
        let lock: &[&str] = if is_locked { &["-H", "x-amz-bucket-object-lock-enabled: true"] } else { &[] };
        assert_eq!(self.call("PUT", name, lock).status, 200);
        if is_locked {
            let answer = self.call("PUT", &format!("{name}?object-lock="), &["--data-binary", LOCK]);
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        }
    }

    /// A signed request, as whoever has the keys can make it.
    pub(crate) fn call(&self, method: &str, path: &str, more: &[&str]) -> Answer {
        let body = self.dir.path().join(format!("body-{method}"));
        let output = Command::new("curl")
            .args(["--silent", "--max-time", "20", "--aws-sigv4", "aws:amz:us-east-1:s3", "--request", method])
            .args(["--user", &format!("{}:{}", KEY.0, KEY.1), "--write-out", "%{http_code}", "--output"])
            .arg(&body)
            // Without it this curl signs bodies in a way that no storage takes.
            .args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
            .args(more)
            .arg(format!("http://127.0.0.1:{}/{path}", self.ports[0]))
            .output()
            .expect("curl is not installed");
        let status = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(599);
        Answer { status, body: std::fs::read(&body).unwrap_or_default() }
    }

    /// The names of all shards of a bucket under a prefix.
    pub(crate) fn names(&self, bucket: &str, prefix: &str) -> Vec<String> {
        // In the order of their names, and encoded, as they are signed.
        let prefix = prefix.replace('/', "%2F");
        let answer = self.call("GET", &format!("{bucket}?list-type=2&max-keys=1000&prefix={prefix}"), &[]);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        let mut names = between(&String::from_utf8_lossy(&answer.body), "<Key>", "</Key>");
        names.retain(|name| !name.ends_with(".legation")); // whose place it is
        names
    }

    /// What a site needs to find it.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", KEY.0.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", KEY.1.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.ports[0])),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ]
    }
}

/// Every text that stands between two others.
pub(crate) fn between(text: &str, begin: &str, end: &str) -> Vec<String> {
    text.split(begin).skip(1).filter_map(|rest| Some(rest.split_once(end)?.0.to_owned())).collect()
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("--- the object storage, last lines first\n{}", tail.join("\n"));
        }
    }
}
