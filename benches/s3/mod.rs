//! An S3 server on this machine: SeaweedFS, from the tests' Python environment, or the program named by `SEAWALL_BENCH_S3S`: that of
//! the crate `s3s-fs`, which does little more than write down what it is given, and so shows what is ours.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub const KEY: &str = "bench";
pub const SECRET: &str = "only-for-this-measurement";
pub const BUCKET: &str = "bucket";

/// Ends with its value.
#[derive(Debug)]
pub struct S3 {
    child: Child,
    pub port: u16,
    pub name: &'static str,
    _folder: tempfile::TempDir,
}

impl S3 {
    /// None where the tests' environment is not there.
    pub fn start() -> Option<S3> {
        std::env::var_os("SEAWALL_BENCH_S3S").map_or_else(S3::seaweedfs, |program| S3::plain(Path::new(&program)))
    }

    /// Here too a bucket is a folder.
    fn plain(program: &Path) -> Option<S3> {
        let folder = tempfile::tempdir().ok()?;
        fs::create_dir_all(folder.path().join("data").join(BUCKET)).ok()?;
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let mut command = Command::new(program);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--access-key", KEY, "--secret-key", SECRET]);
        command.arg(folder.path().join("data")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let s3 = S3 { child: command.spawn().ok()?, port, name: "s3s-fs", _folder: folder };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(s3)
    }

    fn seaweedfs() -> Option<S3> {
        let python = std::env::var("SEAWALL_TEST_PYTHON").unwrap_or_else(|_| "target/venv/bin/python".to_owned());
        let weed = PathBuf::from(python).parent()?.join("weed");
        weed.exists().then_some(())?;
        let folder = tempfile::tempdir().ok()?;
        fs::create_dir(folder.path().join("data")).ok()?;
        let identity = format!(
            r#"{{"identities":[{{"name":"{KEY}","credentials":[{{"accessKey":"{KEY}","secretKey":"{SECRET}"}}],"actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
        );
        fs::write(folder.path().join("s3.json"), identity).ok()?;
        let listeners: Vec<TcpListener> = (0..8).filter_map(|_| TcpListener::bind("127.0.0.1:0").ok()).collect();
        let ports: Vec<u16> = listeners.iter().filter_map(|listener| Some(listener.local_addr().ok()?.port())).collect();
        drop(listeners);
        let [master, master_grpc, volume, volume_grpc, filer, filer_grpc, port, grpc] = ports[..] else { return None };
        let mut command = Command::new(fs::canonicalize(weed).ok()?);
        command.arg("server").args(["-dir=data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-s3.config=s3.json", "-volume.max=0"]);
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false", "-master.volumeSizeLimitMB=4096"]);
        command.arg(format!("-filer.localSocket={}/filer.sock", folder.path().display()));
        command.arg(format!("-s3.localSocket={}/s3.sock", folder.path().display()));
        let named = [
            ("master.port", master),
            ("master.port.grpc", master_grpc),
            ("volume.port", volume),
            ("volume.port.grpc", volume_grpc),
            ("filer.port", filer),
            ("filer.port.grpc", filer_grpc),
            ("s3.port", port),
            ("s3.port.grpc", grpc),
        ];
        command.args(named.map(|(name, port)| format!("-{name}={port}")));
        let child = command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let mut s3 = S3 { child, port, name: "SeaweedFS", _folder: folder };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !s3.has_bucket(filer) {
            if Instant::now() > deadline || s3.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return None;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Some(s3)
    }

    /// In SeaweedFS a bucket is a folder.
    fn has_bucket(&self, filer: u16) -> bool {
        use std::io::{Read, Write};
        let ask = || {
            TcpStream::connect(("127.0.0.1", self.port)).ok()?;
            let mut stream = TcpStream::connect(("127.0.0.1", filer)).ok()?;
            write!(stream, "POST /buckets/{BUCKET}/ HTTP/1.1\r\nHost: filer\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            Some(answer.split(' ').nth(1)?.starts_with('2'))
        };
        ask().unwrap_or(false)
    }

    pub fn runs_on(&self, processors: &str) {
        let mut command = Command::new("taskset");
        command.args(["--all-tasks", "--cpu-list", "--pid", processors, &self.child.id().to_string()]);
        assert!(command.stdout(Stdio::null()).status().is_ok_and(|status| status.success()), "{command:?}");
    }

    /// What its processes have used of the processors so far.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(Path::new("/proc").join(self.child.id().to_string()).join("stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
        let ticks: u64 = fields.get(11..13).unwrap_or_default().iter().filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
